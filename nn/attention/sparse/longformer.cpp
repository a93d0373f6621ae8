// The Longformer layer: its window by a sparse pattern, its global queries by attention of their own.
#include "nn/attention/sparse/longformer.h"

#include <fmt/format.h>

#include "autograd/ops.h"

namespace ink {

LongformerAttention::LongformerAttention(const LongformerOptions& o)
    : options(o),
      query(o.dim, o.dim, {.bias = o.bias}),
      key(o.dim, o.dim, {.bias = o.bias}),
      value(o.dim, o.dim, {.bias = o.bias}),
      global_query(query),
      global_key(key),
      global_value(value),
      out(o.dim, o.dim, {.bias = o.bias}) {
  if (o.heads < 1 || o.dim % o.heads || o.window < 0)
    throw ValueError(fmt::format(
        "LongformerAttention: dim must be a multiple of heads, the window at least 0; got dim {}, heads {}, "
        "window {}",
        o.dim, o.heads, o.window));
}

Tensor LongformerAttention::heads(const Tensor& x) const {
  return permute(reshape(x, {x.size(0), x.size(1), options.heads, options.dim / options.heads}), {0, 2, 1, 3});
}

Tensor LongformerAttention::forward(const Tensor& x, const std::vector<int64_t>& global, const Tensor& keep) const {
  if (x.dim() != 3 || x.size(2) != options.dim)
    throw ShapeError(fmt::format("LongformerAttention: wrong input; got {}; expected [batch, time, {}]",
                                 x.shape().str(), options.dim));
  const int64_t batch = x.size(0), time = x.size(1);
  if (keep.defined() && (keep.dtype() != boolean || !(keep.shape() == Shape{batch, time})))
    throw ShapeError(
        fmt::format("LongformerAttention: wrong keep; got {} {}; expected bool [{}, {}], false for padding",
                    name_of(keep.dtype()), keep.shape().str(), batch, time));
  for (int64_t p : global)
    if (p < 0 || p >= time)
      throw IndexError(
          fmt::format("LongformerAttention: no such global token; got position {}; expected 0 .. {}", p, time - 1));

  const AttentionOptions common{.mask = keep.defined() ? reshape(keep, {batch, 1, 1, time}) : Tensor(),
                                .dropout = is_training() ? options.dropout : 0};
  std::vector<int64_t> asked{options.window, options.causal};
  asked.insert(asked.end(), global.begin(), global.end());
  SparseRule rule = patterns_.rule(asked, [&] { return sparse::longformer(options.window, global, options.causal); });
  const SparseOrder listed = rule.pieces.back().queries;
  rule.pieces.pop_back();  // the global queries: theirs are other projections
  Tensor y = sparse_attention(heads(query.forward(x)), heads(key.forward(x)), heads(value.forward(x)),
                              patterns_(rule, time, x.device()), common);
  if (!global.empty()) {
    const Tensor rows = listed.of(time, x.device());
    AttentionOptions o = common;
    if (options.causal) o.blocks = masks::causal().blocks(time, time, rows, {}, x.device());
    Tensor tokens = scaled_dot_product_attention(heads(global_query.forward(index_select(x, 1, rows))),
                                                 heads(global_key.forward(x)), heads(global_value.forward(x)), o);
    y = index_add(y, 2, rows, tokens);  // y is 0 there: they saw nothing yet
  }
  return out.forward(reshape(permute(y, {0, 2, 1, 3}), {batch, time, options.dim}));
}

}  // namespace ink
