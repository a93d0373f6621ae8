// Embeddings, blocks, logits, and how the weights start.
#include "nn/models/gpt.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/graph/mode.h"
#include "nn/init.h"

namespace ink {

static MultiHeadAttentionOptions attention_options(const GPTOptions& o) {
  return {.dim = o.dim, .heads = o.heads, .causal = true, .dropout = o.dropout, .kind = o.kind};
}
static const GPTOptions& checked(const GPTOptions& o) {
  if (o.vocabulary < 1 || o.context < 1 || o.layers < 1)
    throw ValueError(fmt::format("GPT: got vocabulary {}, context {}, layers {}; expected positive sizes", o.vocabulary,
                                 o.context, o.layers));
  return o;
}
GPT::GPT(const GPTOptions& o)
    : options(checked(o)),
      tokens(o.vocabulary, o.dim),
      positions(o.context, o.dim),
      norm(o.dim),
      head(o.dim, o.vocabulary, {.bias = false}) {
  for (int64_t i = 0; i < o.layers; ++i) blocks.emplace_back(attention_options(o));
  // GPT-2's start: weights normal with 0.02, biases 0, and residual projections smaller by sqrt(2 layers). Gains start
  // as their layers have them.
  for (auto& [name, p] : named_parameters()) {
    bool residual = name.ends_with("out.weight") || name.ends_with("down.weight");
    double std = residual ? 0.02 / std::sqrt(2. * double(o.layers)) : 0.02;
    NoGrad guard;
    if (p.dim() == 2 && name.ends_with("weight"))
      p.copy_(init::normal(p.shape(), std));
    else if (name.ends_with("bias"))
      p.zero_();
  }
}
Tensor GPT::embed(const Tensor& ids, int64_t past) const {
  if (ids.dim() != 2 || past + ids.size(1) > options.context)
    throw ShapeError(
        fmt::format("GPT: wrong input; got {} after {} tokens; expected [batch, time] with at most {} tokens in all",
                    ids.shape().str(), past, options.context));
  return tokens.forward(ids) + positions.forward(arange(past, past + ids.size(1), 1, {i64, ids.device()}));
}
Tensor GPT::forward(const Tensor& ids) const {
  Tensor x = embed(ids, 0);
  for (const TransformerBlock& b : blocks) x = b.forward(x);
  return head.forward(norm.forward(x));
}
Tensor GPT::step(const Tensor& ids, std::vector<BlockState>& states) const {
  if (states.empty()) states.resize(blocks.size());
  if (states.size() != blocks.size())
    throw ValueError(fmt::format("GPT::step: got {} states; expected {}, one per layer, or none at the start",
                                 states.size(), blocks.size()));
  Tensor x = embed(ids, states.empty() ? 0 : states[0].time());
  for (size_t i = 0; i < blocks.size(); ++i) x = blocks[i].step(x, states[i]);
  return head.forward(norm.forward(x));
}

}  // namespace ink
