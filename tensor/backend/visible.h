// Which keys a query sees: the rule of AttentionArgs (tensor/backend/kernels.h), element by element and for rectangles
// of the scores. Host and device.
#pragma once
#include "tensor/backend/kernels.h"
#include "tensor/math/hd.h"

namespace ink {

// How much of a rectangle of scores counts.
enum class Seen {
  none,  // nothing: it need not be computed
  some,  // pair by pair
  all,   // everything: no pair need be asked for
};

// What a query of one batch entry and head sees.
struct Visible {
  int64_t low, high;
  const bool* mask;
  int64_t mask_row, mask_col;
  const int32_t* tiles;
  int64_t tile_row;  // tiles along the keys
  const bool* bits;

  INK_HD INK_INLINE Visible(const AttentionArgs& a, int64_t batch, int64_t head)
      : low(a.low),
        high(a.high),
        mask(a.mask ? a.mask + batch * a.mask_strides[0] + head * a.mask_strides[1] : nullptr),
        mask_row(a.mask_strides[2]),
        mask_col(a.mask_strides[3]),
        tiles(a.tiles ? a.tiles + batch * a.tile_strides[0] + head * a.tile_strides[1] : nullptr),
        tile_row((a.nk + kMaskTile - 1) / kMaskTile),
        bits(a.bits) {}

  INK_HD INK_INLINE int32_t tile_of(int64_t i, int64_t j) const {
    return tiles[i / kMaskTile * tile_row + j / kMaskTile];
  }
  INK_HD INK_INLINE bool operator()(int64_t i, int64_t j) const {
    if (j - i < low || j - i > high) return false;
    if (mask && !mask[i * mask_row + j * mask_col]) return false;
    return !tiles || bits[(tile_of(i, j) * kMaskTile + i % kMaskTile) * kMaskTile + j % kMaskTile];
  }

  // What is seen of the rectangle of queries [i0, i1) and keys [j0, j1), both not empty, by the diagonals low and high.
  INK_HD INK_INLINE Seen by_diagonals(int64_t i0, int64_t i1, int64_t j0, int64_t j1) const {
    const int64_t least = j0 - (i1 - 1), most = j1 - 1 - i0;  // of j - i
    if (most < low || least > high) return Seen::none;
    return least >= low && most <= high ? Seen::all : Seen::some;
  }
  // The same by the tiles that it touches.
  INK_HD INK_INLINE Seen by_tiles(int64_t i0, int64_t i1, int64_t j0, int64_t j1) const {
    if (!tiles) return Seen::all;
    bool none = true, all = true;
    for (int64_t i = i0 / kMaskTile; i <= (i1 - 1) / kMaskTile; ++i)
      for (int64_t j = j0 / kMaskTile; j <= (j1 - 1) / kMaskTile; ++j) {
        const int32_t t = tiles[i * tile_row + j];
        none = none && t == 0;
        all = all && t == 1;
      }
    return none ? Seen::none : all ? Seen::all : Seen::some;
  }
};

}  // namespace ink
