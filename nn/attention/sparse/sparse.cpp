// Attention over the parts of a pattern, joined by their log-sum-exps; and top-k attention.
#include "nn/attention/sparse/sparse.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "tensor/backend/kernels.h"

namespace ink {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

void check_options(const char* who, const AttentionOptions& o) {
  if (o.slopes.defined())
    throw NotSupported(
        fmt::format("{}: slopes count distances in natural order, and parts are sorted; hint: "
                    "scaled_dot_product_attention with .blocks = mask.blocks(n, n)",
                    who));
}

// Where each of n queries stands in the order, or, if some are not in it, in cat({all n, those of the order}).
Tensor places(const Tensor& order, int64_t n, const char* name, Device device) {
  if (!order.defined()) return {};
  const std::vector<int64_t> list = order.to_vector<int64_t>();
  std::vector<int64_t> place(static_cast<size_t>(n), -1);
  for (size_t r = 0; r < list.size(); ++r) {
    int64_t& p = place[size_t(list[r])];
    if (p != -1)
      throw ValueError(
          fmt::format("sparse_part: {} names position {} twice; expected each at most once", name, list[r]));
    p = int64_t(r);
  }
  if (int64_t(list.size()) < n)
    for (int64_t i = 0; i < n; ++i) place[size_t(i)] = place[size_t(i)] == -1 ? i : n + place[size_t(i)];
  return from_data(std::span<const int64_t>(place), {n}).to(device);
}

Tensor at(const Tensor& x, int64_t dim, const Tensor& order) {
  return order.defined() ? index_select(x, dim, order) : x;
}

struct Result {
  Tensor out, lse;  // undefined: no part yet
};
Result merged(const Result& a, const Result& b) {
  if (!a.out.defined()) return b;
  auto [out, lse] = merge_attention(a.out, a.lse, b.out, b.lse);  // (11.6)
  return {out, lse};
}
// The result so far joined by that of a part, whose rows are in the part's order.
Result joined(const Result& so_far, const SparsePart& part, int64_t nq, const Result& own) {
  if (!part.order_q.defined()) return merged(so_far, own);
  if (part.order_q.numel() == nq)
    return merged(so_far, {index_select(own.out, -2, part.place), index_select(own.lse, -1, part.place)});
  Result all = so_far;
  if (!all.out.defined()) {
    Shape out = own.out.shape(), lse = own.lse.shape();
    out[out.size() - 2] = lse[lse.size() - 1] = nq;
    all = {zeros(out, own.out.options()), full(lse, -kInf, own.lse.options())};
  }
  Result few = merged({index_select(all.out, -2, part.order_q), index_select(all.lse, -1, part.order_q)}, own);
  return {index_select(cat({all.out, few.out}, -2), -2, part.place),
          index_select(cat({all.lse, few.lse}, -1), -1, part.place)};
}

Tensor mask_at(const Tensor& mask, const SparsePart& part) {
  if (!mask.defined()) return mask;
  Tensor m = mask.dim() < 2 ? unsqueeze(mask, 0) : mask;
  if (part.order_q.defined() && m.size(-2) > 1) m = index_select(m, -2, part.order_q);
  if (part.order_k.defined() && m.size(-1) > 1) m = index_select(m, -1, part.order_k);
  return m;
}

int64_t tile_extent(int64_t tile, int64_t n) { return std::min(kMaskTile, n - tile * kMaskTile); }

}  // namespace

SparsePart sparse_part(const AttentionMask& mask, int64_t nq, int64_t nk, const Tensor& order_q, const Tensor& order_k,
                       Device device) {
  SparsePart part;
  part.blocks = mask.blocks(nq, nk, order_q, order_k, device);  // checks the orders
  part.place = places(order_q, nq, "order_q", device);
  places(order_k, nk, "order_k", device);
  if (order_q.defined()) part.order_q = order_q.to(device);
  if (order_k.defined()) part.order_k = order_k.to(device);
  return part;
}

int64_t SparsePattern::visited_tiles() const {
  int64_t count = 0;
  for (const SparsePart& part : parts) count += count_nonzero(part.blocks.tiles).item<int64_t>();
  return count;
}
double SparsePattern::work() const {
  double pairs = 0;
  for (const SparsePart& part : parts) {
    const std::vector<int64_t> tiles = part.blocks.tiles.to_vector<int64_t>();
    const int64_t across = part.blocks.tiles.size(-1);
    for (int64_t t = 0; t < int64_t(tiles.size()); ++t)
      if (tiles[size_t(t)] != 0)
        pairs += double(tile_extent(t / across, part.blocks.nq) * tile_extent(t % across, part.blocks.nk));
  }
  return nq && nk ? pairs / (double(nq) * double(nk)) : 0;
}
Tensor SparsePattern::dense() const {
  Tensor all = zeros({nq, nk}, {boolean, Device::cpu()});
  bool* seen = all.data<bool>();
  for (const SparsePart& part : parts) {
    auto list = [](const Tensor& order) {
      return order.defined() ? order.to_vector<int64_t>() : std::vector<int64_t>();
    };
    const std::vector<int64_t> queries = list(part.order_q), keys = list(part.order_k);
    const Tensor block = part.blocks.dense().to(Device::cpu()).contiguous();
    const bool* b = block.data<bool>();
    for (int64_t r = 0; r < part.blocks.nq; ++r)
      for (int64_t c = 0; c < part.blocks.nk; ++c) {
        if (!*b++) continue;
        const int64_t i = part.order_q.defined() ? queries[size_t(r)] : r,
                      j = part.order_k.defined() ? keys[size_t(c)] : c;
        if (seen[i * nk + j])
          throw ValueError(fmt::format(
              "SparsePattern: query {} sees key {} in two parts; expected parts without a common pair", i, j));
        seen[i * nk + j] = true;
      }
  }
  return all.to(default_device());
}

Tensor sparse_attention(const Tensor& q, const Tensor& k, const Tensor& v, const SparsePattern& pattern,
                        const AttentionOptions& options) {
  check_options("sparse_attention", options);
  if (options.causal != Causal::no || options.left || options.right || options.blocks.defined())
    throw ValueError(
        "sparse_attention: what a query sees is the pattern's matter; got an option that is causal, a window or "
        "blocks; "
        "hint: build the pattern with causal = true, or of the mask rule & masks::causal()");
  if (pattern.parts.empty())
    throw ValueError("sparse_attention: the pattern has no parts; hint: SparseRule::pattern(n)");
  if (q.dim() < 2 || k.dim() < 2 || q.size(-2) != pattern.nq || k.size(-2) != pattern.nk)
    throw ShapeError(fmt::format(
        "sparse_attention: the pattern is of another size; got q {}, k {}; expected {} queries and {} keys; "
        "hint: make one for each length",
        q.shape().str(), k.shape().str(), pattern.nq, pattern.nk));
  Result result;
  for (const SparsePart& part : pattern.parts) {
    AttentionOptions o = options;
    o.blocks = part.blocks;
    o.mask = mask_at(options.mask, part);
    auto [out, lse] = attention_with_lse(at(q, -2, part.order_q), at(k, -2, part.order_k), at(v, -2, part.order_k), o);
    result = joined(result, part, pattern.nq, {out, lse});
  }
  return result.out;
}

Tensor topk_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t keep,
                      const AttentionOptions& options) {
  check_options("topk_attention", options);
  const int64_t nk = k.size(-2);
  if (keep < 1 || keep > std::max<int64_t>(nk, 1))
    throw ValueError(fmt::format(
        "topk_attention: there is no score number {} among {} keys; expected 1 <= keep <= {}; hint: a query "
        "that sees fewer keys keeps them all, so min(keep, {}) means the same",
        keep, nk, nk, nk));
  if (nk == 0) return scaled_dot_product_attention(q, k, v, options);
  AttentionOptions kept = options;
  {
    NoGrad guard;  // which keys are kept is a choice: no gradient. Softcap and scale (if positive) keep the order of
                   // scores.
    Tensor keys =
        q.dim() > 2 && k.dim() > 2 && q.size(-3) != k.size(-3) ? repeat_interleave(k, q.size(-3) / k.size(-3), -3) : k;
    Tensor scores = matmul(options.scale.value_or(1) < 0 ? -q : q, transpose(keys, -2, -1));  // [batch, heads, nq, nk]
    Tensor seen = visible_keys(q, k, options);
    if (seen.defined()) scores = masked_fill(scores, !seen, -kInf);
    Tensor least = slice(std::get<0>(topk(scores, keep, -1)), -1, keep - 1, keep);  // the keep-th largest of each row
    kept.mask = scores >= least;                                                    // (11.5)
    if (seen.defined()) kept.mask = kept.mask & seen;
  }
  return scaled_dot_product_attention(q, k, v, kept);
}

}  // namespace ink
