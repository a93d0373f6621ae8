// One tile of attention scores, shared by the forward and the backward pass. A tile lies transposed: its rows are keys,
// its lanes are queries. So maxima and sums over keys run down the rows, whole packs at a time, and no pack is ever
// summed across its lanes.
#pragma once
#include "tensor/backend/visible.h"
#include "tensor/cpu/attention/tile_product.h"
#include "tensor/cpu/elementwise/transpose.h"
#include "tensor/cpu/random/philox_pack.h"
#include "tensor/math/online.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {

// Queries i0, i0 + 1, ... against keys j0, j0 + 1, ...
struct Tile {
  int64_t i0, queries;
  int64_t width;  // lanes of a row: the queries in whole packs
  int64_t j0, keys;
};

INK_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
INK_INLINE int64_t within(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }
INK_INLINE int64_t blocks_of(int64_t n, int64_t size) { return (n + size - 1) / size; }

// How many queries, and how many keys, are computed together.
INK_INLINE int64_t query_block(const AttentionArgs& a) { return a.block_q > 0 ? a.block_q : 64; }
INK_INLINE int64_t key_block(const AttentionArgs& a) { return a.block_k > 0 ? a.block_k : 64; }

// How much of a tile the dense mask shows.
INK_INLINE Seen by_mask(const Visible& see, const Tile& t) {
  if (!see.mask) return Seen::all;
  bool none = true, all = true;
  for (int64_t i = 0; i < (see.mask_row ? t.queries : 1) && (none || all); ++i)
    for (int64_t j = 0; j < (see.mask_col ? t.keys : 1); ++j) {
      const bool seen = see.mask[(t.i0 + i) * see.mask_row + (t.j0 + j) * see.mask_col];
      none = none && !seen;
      all = all && seen;
    }
  return none ? Seen::none : all ? Seen::all : Seen::some;
}
// How much of a tile everything together shows.
INK_INLINE Seen seen_of(const Visible& see, const Tile& t) {
  const int64_t i1 = t.i0 + t.queries, j1 = t.j0 + t.keys;
  Seen s = see.by_diagonals(t.i0, i1, t.j0, j1);
  if (s == Seen::none) return s;
  for (Seen other : {see.by_tiles(t.i0, i1, t.j0, j1), by_mask(see, t)})
    if (other == Seen::none)
      return other;
    else if (other == Seen::some)
      s = other;
  return s;
}
// The tiles of a block mask transposed, [tile][key][query], as scores lie. There are few distinct ones, and all heads
// share them.
class TurnedTiles {
 public:
  explicit TurnedTiles(const AttentionArgs& a) : count_(a.tiles ? count(a) : 0), bits_(count_ * kSize) {
    parallel_for(count_, 8, [&](int64_t begin, int64_t end) {
      for (int64_t tile = begin; tile < end; ++tile)
        for (int64_t i = 0; i < kMaskTile; ++i)
          for (int64_t j = 0; j < kMaskTile; ++j)
            bits_[tile * kSize + j * kMaskTile + i] = a.bits[tile * kSize + i * kMaskTile + j];
    });
  }
  INK_INLINE const uint8_t* at(int64_t tile, int64_t key, int64_t query) const {
    return bits_.data() + tile * kSize + key % kMaskTile * kMaskTile + query % kMaskTile;
  }

 private:
  static constexpr int64_t kSize = kMaskTile * kMaskTile;
  static int64_t count(const AttentionArgs& a) {
    const int64_t one = blocks_of(a.nq, kMaskTile) * blocks_of(a.nk, kMaskTile);
    int32_t most = 0;
    for (int64_t b = 0; b < (a.tile_strides[0] ? a.batch : 1); ++b)
      for (int64_t h = 0; h < (a.tile_strides[1] ? a.heads : 1); ++h)
        for (int64_t t = 0; t < one; ++t) {
          const int32_t tile = a.tiles[b * a.tile_strides[0] + h * a.tile_strides[1] + t];
          most = tile > most ? tile : most;
        }
    return most + 1;
  }
  int64_t count_;
  Scratch<uint8_t> bits_;
};

// seen[j][i] for every lane of the tile, as bytes.
INK_INLINE void fill_seen(uint8_t* seen, const Visible& see, const TurnedTiles& turned, const Tile& t) {
  const bool inside = see.by_diagonals(t.i0, t.i0 + t.queries, t.j0, t.j0 + t.keys) == Seen::all;
  for (int64_t j = 0; j < t.keys; ++j) {  // i from j - high to j - low
    const int64_t first = inside ? 0 : within(t.j0 + j - see.high - t.i0, 0, t.queries),
                  end = inside ? t.queries : within(t.j0 + j - see.low + 1 - t.i0, first, t.queries);
    __builtin_memset(seen + j * t.width, 0, size_t(t.width));
    __builtin_memset(seen + j * t.width + first, 1, size_t(end - first));
  }
  if (see.mask)
    for (int64_t i = 0; i < t.queries; ++i)
      for (int64_t j = 0; j < t.keys; ++j)
        seen[j * t.width + i] &= uint8_t(see.mask[(t.i0 + i) * see.mask_row + (t.j0 + j) * see.mask_col]);
  if (see.tiles)
    for (int64_t i = 0; i < t.queries;) {  // as far as one tile reaches
      const int64_t rows = least(t.queries - i, kMaskTile - (t.i0 + i) % kMaskTile);
      for (int64_t j = 0; j < t.keys; ++j) {
        const uint8_t* bits = turned.at(see.tile_of(t.i0 + i, t.j0 + j), t.j0 + j, t.i0 + i);
        uint8_t* to = seen + j * t.width + i;
        for (int64_t e = 0; e < rows; ++e) to[e] &= bits[e];
      }
      i += rows;
    }
}

// Calls f(at) for each pack of a tile: its elements are at, at + 1, ...
template <class T, class F> INK_INLINE void for_tile(const Tile& t, F f) {
  for (int64_t at = 0; at < t.keys * t.width; at += kLanes<T>) f(at);
}
// s = value where a pair is not seen.
template <class T> INK_INLINE void hide(T* s, const uint8_t* seen, const Tile& t, T value) {
  for_tile<T>(t, [&](int64_t at) {
    select(Mask<T, kLanes<T>>::load(reinterpret_cast<const bool*>(seen) + at), Lanes<T>::load(s + at), Lanes<T>(value))
        .store(s + at);
  });
}

// s = c tanh(s / c); slope[..] = 1 - (s / c)^2, the derivative, unless it is null.
template <class T> void cap_scores(T* s, T* slope, const Tile& t, double cap) {
  const Lanes<T> one(T(1)), c{T(cap)}, inverse(T(1 / cap));
  for_tile<T>(t, [&](int64_t at) {
    const Lanes<T> y = tanh(Lanes<T>::load(s + at) * inverse);
    (y * c).store(s + at);
    if (slope) (one - y * y).store(slope + at);
  });
}
// s -= slope |j - i - diagonal|
template <class T> void add_alibi(T* s, const Tile& t, T slope, int64_t diagonal) {
  Lanes<T> lane;
  for (int i = 0; i < kLanes<T>; ++i) lane.v[i] = T(i);
  for (int64_t j = 0; j < t.keys; ++j)
    for (int64_t i = 0; i < t.width; i += kLanes<T>) {
      T* at = s + j * t.width + i;
      const Lanes<T> distance = abs(Lanes<T>(T(t.j0 + j - t.i0 - i - diagonal)) - lane);
      (Lanes<T>::load(at) - Lanes<T>(slope) * distance).store(at);
    }
}
// z[j][i] = 0 where the weight is dropped, else 1 / (1 - p).
template <class T> void dropout_factors(T* z, const AttentionArgs& a, const Tile& t, int64_t matrix) {
  const float p = float(a.dropout);
  const T kept = a.dropout < 1 ? T(1 / (1 - a.dropout)) : T(0);
  constexpr int64_t kGroup = 4 * kLanes<uint64_t>;  // draws of one call
  Scratch<uint32_t> draws((t.keys + 3) / kGroup * kGroup + 2 * kGroup);
  for (int64_t i = 0; i < t.width; ++i) {
    const uint64_t first = a.key.offset + uint64_t((matrix * a.nq + least(t.i0 + i, a.nq - 1)) * a.nk + t.j0);
    philox_words(draws.data(), a.key.seed, first / 4, 0, int(blocks_of(t.keys + 3, kGroup) * kGroup / 4));
    for (int64_t j = 0; j < t.keys; ++j)
      z[j * t.width + i] = ink::uniform_from(draws[int64_t(first % 4) + j]) >= p ? kept : T(0);
  }
}

// Whether no number of x [rows, cols] is NaN or an infinity.
template <class T> bool all_finite(const T* x, int64_t row, int64_t rows, int64_t cols) {
  Lanes<T> bad(T(0));  // x * 0 is NaN for NaN and infinities; lanes beyond the end are loaded as 0
  for (int64_t r = 0; r < rows; ++r)
    for_packs<T>(cols, [&](int64_t c, auto k) { bad += load(x + r * row + c, k) * Lanes<T>(T(0)); });
  return sum(bad) == T(0);
}
// c += a b for a tile of weights a and rows of keys, values or queries b. Where only some pairs are seen, weights of 0
// stand for hidden keys, whose rows must not bring in NaN.
template <class T>
void add_product(Seen seen, int64_t m, int64_t k, const LeftFactor<T>& a, const WholeRows<T>& b, T* c) {
  const RowsAt<T> sums{c, b.width()};
  if (seen == Seen::some && !all_finite(b.rows().data, b.rows().row, k, b.width()))
    careful_product(m, b.width(), k, a, b.rows(), sums);
  else
    tile_product<T, true>(m, b.width(), k, a, b.rows(), sums);
}

// A block of queries transposed and scaled: [d][width].
template <class T> void turned_queries(T* to, const AttentionArgs& a, const T* queries, const Tile& t) {
  transpose(to, t.width, queries, a.q_strides[2], t.queries, a.d, true);
  row_map(
      a.d * t.width, to, [c = Lanes<T>(T(a.scale))](Lanes<T> x) { return x * c; }, to);
}
template <class T> INK_INLINE T slope_of(const AttentionArgs& a, int64_t head) {
  return a.slopes ? static_cast<const T*>(a.slopes)[head] : T(0);
}
// What the scores of one block of queries are made with, in one batch entry and head, and where they go.
template <class T> struct Scores {
  const AttentionArgs& a;
  int64_t head;
  const Visible& see;
  const TurnedTiles& turned;
  const T* query;  // the queries, transposed and scaled: [d][width]
  T* score;        // [keys][width]
  T* cap_slope;    // the same, the derivative of the soft cap as in cap_scores; may be null
  uint8_t* seen;   // the same, which pairs count

  // The scores of tile t, whose first key is given. Where `shown` says that only some are seen, the others become -inf,
  // and `seen` is written.
  void compute(const Tile& t, const T* key, Seen shown) const {
    tile_product<T, false>(t.keys, t.width, a.d, {key, a.k_strides[2], 1}, {query, t.width}, {score, t.width});
    if (a.softcap > 0) cap_scores(score, cap_slope, t, a.softcap);
    if (a.slopes) add_alibi(score, t, slope_of<T>(a, head), a.diagonal);
    if (shown != Seen::some) return;
    fill_seen(seen, see, turned, t);
    hide(score, seen, t, lowest<T>());
  }
};

// The operand pointers of one batch entry and head.
template <class T>
INK_INLINE const T* part_of(const void* x, const int64_t (&strides)[3], int64_t batch, int64_t head) {
  return static_cast<const T*>(x) + batch * strides[0] + head * strides[1];
}

// The forward pass for AttentionArgs::batch_invariant.
void listed_attention(const AttentionArgs& a, void* out, void* lse, const void* q, const void* k, const void* v);

}  // namespace ink::INK_CPU_LEVEL
