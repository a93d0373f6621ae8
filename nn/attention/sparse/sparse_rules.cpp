// The rules of sparse:: and their layout: which order brings the pairs of each piece together.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <mutex>
#include <optional>

#include "autograd/ops.h"
#include "nn/attention/sparse/sparse.h"
#include "tensor/fork.h"

namespace ink {

Tensor SparseOrder::of(int64_t n, Device device) const {
  std::vector<int64_t> list;
  switch (kind) {
    case Kind::natural:
      return {};
    case Kind::by_remainder:
      for (int64_t r = 0; r < std::min(length, n); ++r)
        for (int64_t i = r; i < n; i += length) list.push_back(i);
      break;
    case Kind::ends_of_blocks:
      for (int64_t i = 0; i < n; ++i)
        if (i % length >= length - last) list.push_back(i);
      break;
    case Kind::listed:
      for (int64_t p : positions)
        if (p < n) list.push_back(p);
  }
  return from_data(std::span<const int64_t>(list), {int64_t(list.size())}).to(device);
}

namespace {

// Lists of keys side by side as one part.
SparsePart part_of(const SparsePiece& piece, int64_t n, Device device) {
  const Tensor queries = piece.queries.of(n, Device::cpu());
  if (piece.keys.size() == 1)
    return sparse_part(piece.keys[0].mask, n, n, queries, piece.keys[0].order.of(n, Device::cpu()), device);
  std::vector<int64_t> columns, ends;
  for (const SparsePiece::Keys& list : piece.keys) {
    const Tensor order = list.order.of(n, Device::cpu());
    for (int64_t p : (order.defined() ? order : arange(n)).to_vector<int64_t>()) columns.push_back(p);
    ends.push_back(int64_t(columns.size()));
  }
  const auto count = int64_t(columns.size());
  AttentionMask side_by_side([&](int64_t i, int64_t, int64_t, uint8_t* row) {
    std::vector<uint8_t> line(static_cast<size_t>(n));
    int64_t c = 0;
    for (size_t l = 0; l < ends.size(); ++l)
      for (piece.keys[l].mask.row(i, n, n, line.data()); c < ends[l]; ++c) row[c] = line[size_t(columns[size_t(c)])];
  });
  SparsePart part = sparse_part(side_by_side, n, count, queries, {}, device);
  part.order_k = from_data(std::span<const int64_t>(columns), {count}).to(device);
  return part;
}

}  // namespace

SparsePattern SparseRule::pattern(int64_t n, Device device) const {
  if (n < 0) throw ValueError(fmt::format("SparseRule::pattern: got length {}; expected at least 0", n));
  SparsePattern out{.nq = n, .nk = n, .parts = {}};
  for (const SparsePiece& piece : pieces) {
    SparsePart part = part_of(piece, n, device);
    // A piece in which nobody sees anything costs nothing (and one part is left, so that there is a result).
    if (out.parts.empty() || any(part.blocks.tiles != 0).item<bool>()) out.parts.push_back(std::move(part));
  }
  return out;
}

static bool is_same(const SparseRule& a, const SparseRule& b) {
  auto same_keys = [](const SparsePiece::Keys& x, const SparsePiece::Keys& y) {
    return x.mask.is_same(y.mask) && x.order == y.order;
  };
  return std::ranges::equal(a.pieces, b.pieces, [&](const SparsePiece& x, const SparsePiece& y) {
    return x.queries == y.queries && std::ranges::equal(x.keys, y.keys, same_keys);
  });
}

struct PatternCache::Kept {
  struct Entry {
    SparseRule rule;  // keeps its masks alive, so that no other one can be taken for them
    int64_t n;
    Device device;
    SparsePattern pattern;
  };
  ForkMutex mutex{ForkOrder::pattern};
  std::deque<Entry> entries;  // the newest in front
  std::vector<int64_t> key;
  std::optional<SparseRule> rule;  // made last, for `key`
};
PatternCache::PatternCache() : kept_(std::make_shared<Kept>()) {}
SparsePattern PatternCache::operator()(const SparseRule& rule, int64_t n, Device device) const {
  std::lock_guard lock(kept_->mutex);
  for (const Kept::Entry& e : kept_->entries)
    if (e.n == n && e.device == device && is_same(e.rule, rule)) return e.pattern;
  kept_->entries.push_front({rule, n, device, rule.pattern(n, device)});
  if (kept_->entries.size() > 4) kept_->entries.pop_back();
  return kept_->entries.front().pattern;
}
SparseRule PatternCache::rule(const std::vector<int64_t>& key, FunctionRef<SparseRule()> make) const {
  std::lock_guard lock(kept_->mutex);
  if (!kept_->rule || kept_->key != key) kept_->rule = make(), kept_->key = key;
  return *kept_->rule;
}

namespace sparse {
namespace {

using Kind = SparseOrder::Kind;
AttentionMask with_causal(const AttentionMask& mask, bool causal) { return causal ? mask & masks::causal() : mask; }
SparsePiece natural(const AttentionMask& mask) { return {.keys = {{mask}}}; }
SparsePiece by_remainder(const AttentionMask& mask, int64_t k) {
  SparseOrder order{.kind = Kind::by_remainder, .length = k};
  return {.keys = {{mask, order}}, .queries = order};
}
const char* kind_of(bool causal) { return causal ? ", causal" : ""; }

}  // namespace

SparseRule local(int64_t k, bool causal) {
  AttentionMask mask = with_causal(masks::local(k), causal);
  return {fmt::format("local({}{})", k, kind_of(causal)), mask, causal, {natural(mask)}};
}

// Sorted by the remainder, those that see each other are n / k neighbours: a block on the diagonal.
SparseRule atrous(int64_t k, bool causal) {
  AttentionMask mask = with_causal(masks::atrous(k), causal);
  return {fmt::format("atrous({}{})", k, kind_of(causal)), mask, causal, {by_remainder(mask, k)}};
}

SparseRule local_and_atrous(int64_t k_local, int64_t k_atrous, bool causal) {
  AttentionMask near = masks::local(k_local), far = masks::atrous(k_atrous);
  return {fmt::format("local_and_atrous({}, {}{})", k_local, k_atrous, kind_of(causal)),
          with_causal(near | far, causal),
          causal,
          {natural(with_causal(near, causal)), by_remainder(with_causal(far & !near, causal), k_atrous)}};
}

SparseRule strided(int64_t l) {
  AttentionMask whole = masks::strided(l), near = masks::window(l, 0);
  return {fmt::format("strided({})", l), whole, true, {natural(near), by_remainder(whole & !near, l)}};
}

// The own block lies on the diagonal; the ends of the blocks before, one column of c in l, form a short list of keys.
SparseRule fixed(int64_t l, int64_t c) {
  AttentionMask whole = masks::fixed(l, c),
                own = masks::rule([l](int64_t i, int64_t j) { return j <= i && i / l == j / l; });
  const SparseOrder ends{.kind = Kind::ends_of_blocks, .length = l, .last = c};
  return {fmt::format("fixed({}, {})", l, c), whole, true, {SparsePiece{.keys = {{own}, {whole & !own, ends}}}}};
}

// Global queries see everybody; the others their window and, behind it in the same list, the global keys.
SparseRule longformer(int64_t w, std::vector<int64_t> global, bool causal) {
  std::sort(global.begin(), global.end());
  global.erase(std::unique(global.begin(), global.end()), global.end());
  AttentionMask tokens = masks::global(global), near = masks::local(w);  // masks::global checks the positions
  SparseOrder listed{.kind = Kind::listed, .positions = global};
  AttentionMask others =
      masks::rule([global](int64_t i, int64_t) { return !std::binary_search(global.begin(), global.end(), i); });
  return {fmt::format("longformer({}, [{}]{})", w, fmt::join(global, " "), kind_of(causal)),
          with_causal(near | tokens, causal),
          causal,
          {SparsePiece{.keys = {{with_causal(near & !tokens, causal)}, {with_causal(others, causal), listed}}},
           SparsePiece{.keys = {{with_causal(masks::all(), causal)}}, .queries = listed}}};
}

SparseRule custom(AttentionMask mask, bool causal) { return {"custom", mask, causal, {natural(mask)}}; }

}  // namespace sparse
}  // namespace ink
