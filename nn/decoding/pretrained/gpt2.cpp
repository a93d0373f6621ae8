// GPT-2's blocks and its tied head.
#include "nn/decoding/pretrained/gpt2.h"

#include <fmt/format.h>

#include "autograd/ops.h"
#include "nn/attention/multihead.h"

namespace ink {
namespace {

const GPT2Options& checked(const GPT2Options& o) {
  if (o.vocabulary < 1 || o.context < 1 || o.layers < 1 || o.dim < 1 || o.heads < 1 || o.hidden < 0)
    throw ValueError(fmt::format(
        "GPT2: got vocabulary {}, context {}, dim {}, heads {}, layers {}, hidden {}; expected positive sizes",
        o.vocabulary, o.context, o.dim, o.heads, o.layers, o.hidden));
  return o;
}

}  // namespace

GPT2::GPT2(const GPT2Options& o)
    : options(checked(o)), tokens(o.vocabulary, o.dim), positions(o.context, o.dim), norm(o.dim, o.norm_eps) {
  const int64_t hidden = o.hidden ? o.hidden : 4 * o.dim;
  for (int64_t i = 0; i < o.layers; ++i) {
    MultiHeadAttention attention({.dim = o.dim, .heads = o.heads, .causal = true});
    blocks.emplace_back(o.dim, std::vector<AnyMixer>{mixer("attention", std::move(attention)),
                                                     mixer("", FeedForward(o.dim, hidden, GeluForm::tanh))});
    for (TransformerBlock::Residual& r : blocks.back().residuals) r.norm.eps = o.norm_eps;
  }
}

Tensor GPT2::features(const Tensor& ids, std::vector<BlockState>* states, const StepPlaces* places) const {
  const Tensor at = begin("GPT2", ids, states, blocks.size(), places);
  Tensor x = tokens.forward(ids) + positions.forward(at);
  for (size_t i = 0; i < blocks.size(); ++i)
    x = states ? blocks[i].step(x, (*states)[i], places) : blocks[i].forward(x);
  return norm.forward(x);
}

Tensor GPT2::logits(const Tensor& features) const { return linear(features, tokens.weight); }

}  // namespace ink
