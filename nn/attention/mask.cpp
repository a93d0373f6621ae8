// Masks written out: as bools, as tiles, as pictures; and what & | ! make of them.
#include "nn/attention/mask.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <numeric>

#include "autograd/ops.h"
#include "tensor/backend/kernels.h"

namespace ink {
namespace {

using Rows = std::vector<uint8_t>;
constexpr int64_t kTile = kMaskTile;
static_assert(kTile == 64, "a row of a tile is one word");
using Tile = std::array<uint64_t, kTile>;  // bit c of word r: the pair at row r, column c

void check_sizes(const char* who, int64_t nq, int64_t nk) {
  if (nq < 0 || nk < 0) throw ValueError(fmt::format("{}: sizes must not be negative; got {} and {}", who, nq, nk));
}

// The positions that an order names, or 0 .. n - 1.
std::vector<int64_t> positions(const Tensor& order, int64_t n, const char* name) {
  if (!order.defined()) {
    std::vector<int64_t> natural(static_cast<size_t>(n));
    std::iota(natural.begin(), natural.end(), 0);
    return natural;
  }
  if (order.dtype() != i64 || order.dim() != 1)
    throw ShapeError(
        fmt::format("AttentionMask::blocks: {} must be a list of "
                    "positions; got {} {}; expected i64 [rows]",
                    name, name_of(order.dtype()), order.shape().str()));
  std::vector<int64_t> out = order.to_vector<int64_t>();
  for (int64_t p : out)
    if (p < 0 || p >= n)
      throw IndexError(
          fmt::format("AttentionMask::blocks: {} names a position that does "
                      "not exist; got {}; expected 0 .. {}",
                      name, p, n - 1));
  return out;
}

// 64 bytes (0 or 1) as the bits of a word: the product moves bit 0 of byte b to
// bit 56 + b.
uint64_t pack(const uint8_t* bytes) {
  uint64_t word = 0;
  for (int part = 0; part < 8; ++part) {
    uint64_t eight;
    std::memcpy(&eight, bytes + 8 * part, 8);
    word |= (eight * 0x0102040810204080u >> 56) << (8 * part);
  }
  return word;
}

// A tile of the result for each distinct content: 0 and 1 are given.
class TileList {
 public:
  int32_t number(const Tile& tile) {
    auto [at, added] = numbers_.try_emplace(hash(tile));
    for (int32_t n : at->second)
      if (tiles_[size_t(n)] == tile) return n + 2;
    at->second.push_back(int32_t(tiles_.size()));
    tiles_.push_back(tile);
    return int32_t(tiles_.size()) + 1;
  }
  Tensor bits() const {  // bool [count, 64, 64]
    Tensor out = zeros({int64_t(tiles_.size()) + 2, kTile, kTile}, {boolean, Device::cpu()});
    bool* to = out.data<bool>() + kTile * kTile;
    std::fill(to, to + kTile * kTile, true);
    to += kTile * kTile;
    for (const Tile& tile : tiles_)
      for (uint64_t word : tile)
        for (int64_t c = 0; c < kTile; ++c) *to++ = word >> c & 1;
    return out;
  }

 private:
  static uint64_t hash(const Tile& tile) {
    uint64_t h = 0;
    for (uint64_t word : tile) h = (std::rotl(h, 5) ^ word) * 0x9e3779b97f4a7c15u;
    return h;
  }
  std::map<uint64_t, std::vector<int32_t>> numbers_;
  std::vector<Tile> tiles_;
};

}  // namespace

bool AttentionMask::operator()(int64_t i, int64_t j, int64_t nq, int64_t nk) const {
  if (i < 0 || i >= nq || j < 0 || j >= nk)
    throw IndexError(
        fmt::format("AttentionMask: no such pair; got query {} "
                    "and key {}; expected a pair of {} x {}",
                    i, j, nq, nk));
  Rows line(static_cast<size_t>(nk));
  row(i, nq, nk, line.data());
  return line[size_t(j)];
}

Tensor AttentionMask::dense(int64_t nq, int64_t nk, Device device) const {
  check_sizes("AttentionMask::dense", nq, nk);
  Tensor out = empty({nq, nk}, {boolean, Device::cpu()});
  if (out.numel() == 0) return out.to(device);
  auto* bytes = reinterpret_cast<uint8_t*>(out.data<bool>());
  for (int64_t i = 0; i < nq; ++i) row(i, nq, nk, bytes + i * nk);
  return out.to(device);
}

BlockMask AttentionMask::blocks(int64_t nq, int64_t nk, const Tensor& order_q, const Tensor& order_k,
                                Device device) const {
  check_sizes("AttentionMask::blocks", nq, nk);
  const std::vector<int64_t> queries = positions(order_q, nq, "order_q"), keys = positions(order_k, nk, "order_k");
  const auto rows = int64_t(queries.size()), cols = int64_t(keys.size());
  const int64_t down = (rows + kTile - 1) / kTile, across = (cols + kTile - 1) / kTile;
  Tensor tiles = empty({down, across}, {i32, Device::cpu()});
  TileList list;
  Rows line(static_cast<size_t>(nk)),
      sorted(size_t(across * kTile));  // what is beyond the last column stays 0
  std::vector<Tile> strip(static_cast<size_t>(across));
  for (int64_t s = 0; s < down; ++s) {
    const int64_t height = std::min(kTile, rows - s * kTile);
    for (Tile& tile : strip) tile = {};
    for (int64_t r = 0; r < height; ++r) {
      row(queries[size_t(s * kTile + r)], nq, nk, order_k.defined() ? line.data() : sorted.data());
      if (order_k.defined())
        for (int64_t c = 0; c < cols; ++c) sorted[size_t(c)] = line[size_t(keys[size_t(c)])];
      for (int64_t t = 0; t < across; ++t) strip[size_t(t)][size_t(r)] = pack(&sorted[size_t(t * kTile)]);
    }
    for (int64_t t = 0; t < across; ++t) {
      const int64_t width = std::min(kTile, cols - t * kTile);
      const uint64_t whole = ~uint64_t(0) >> (kTile - width);
      uint64_t some = 0, every = whole;
      for (int64_t r = 0; r < height; ++r) some |= strip[size_t(t)][size_t(r)], every &= strip[size_t(t)][size_t(r)];
      tiles.data<int32_t>()[s * across + t] = some == 0 ? 0 : every == whole ? 1 : list.number(strip[size_t(t)]);
    }
  }
  return {rows, cols, tiles.to(device), list.bits().to(device)};
}

double AttentionMask::density(int64_t nq, int64_t nk) const {
  check_sizes("AttentionMask::density", nq, nk);
  if (nq == 0 || nk == 0) return 0;
  Rows line(static_cast<size_t>(nk));
  int64_t seen = 0;
  for (int64_t i = 0; i < nq; ++i) row(i, nq, nk, line.data()), seen += std::count(line.begin(), line.end(), 1);
  return double(seen) / (double(nq) * double(nk));
}

std::string AttentionMask::picture(int64_t nq, int64_t nk) const {
  check_sizes("AttentionMask::picture", nq, nk);
  const int64_t limit = 96, down = std::max<int64_t>(1, (nq + limit - 1) / limit),
                across = std::max<int64_t>(1, (nk + limit - 1) / limit);
  Rows line(static_cast<size_t>(nk));
  std::string out;
  for (int64_t i = 0; i < nq; i += down) {
    row(i, nq, nk, line.data());
    for (int64_t j = 0; j < nk; j += across) out += line[size_t(j)] ? '#' : '.';
    out += '\n';
  }
  return out;
}

AttentionMask operator&(const AttentionMask& a, const AttentionMask& b) {
  return AttentionMask([a, b](int64_t i, int64_t nq, int64_t nk, uint8_t* row) {
    Rows other(static_cast<size_t>(nk));
    a.row(i, nq, nk, row), b.row(i, nq, nk, other.data());
    for (int64_t j = 0; j < nk; ++j) row[j] &= other[size_t(j)];
  });
}
AttentionMask operator|(const AttentionMask& a, const AttentionMask& b) {
  return AttentionMask([a, b](int64_t i, int64_t nq, int64_t nk, uint8_t* row) {
    Rows other(static_cast<size_t>(nk));
    a.row(i, nq, nk, row), b.row(i, nq, nk, other.data());
    for (int64_t j = 0; j < nk; ++j) row[j] |= other[size_t(j)];
  });
}
AttentionMask AttentionMask::operator!() const {
  return AttentionMask([a = *this](int64_t i, int64_t nq, int64_t nk, uint8_t* row) {
    a.row(i, nq, nk, row);
    for (int64_t j = 0; j < nk; ++j) row[j] ^= 1;
  });
}

Tensor two_layer_reach(const AttentionMask& first, const AttentionMask& second, int64_t n) {
  Tensor below = first.dense(n, n, Device::cpu()), above = second.dense(n, n, Device::cpu());
  return (matmul(above.to(f32), below.to(f32)) > 0).to(default_device());  // (11.3)
}

TileCount count_tiles(const BlockMask& blocks) {
  TileCount count;
  const std::vector<int64_t> tiles = blocks.tiles.to_vector<int64_t>();
  for (int64_t t : tiles) (t == 0 ? count.empty : t == 1 ? count.full : count.partial) += 1 / double(tiles.size());
  return count;
}

}  // namespace ink
