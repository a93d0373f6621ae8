// Embeddings, blocks, logits, and how the weights start.
#include "nn/models/gpt.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/graph/mode.h"
#include "nn/init.h"

namespace ink {

BlockKind block_kind(const std::string& name) {
  for (SsmKind kind : all_ssm_kinds())
    if (name == name_of(kind)) return kind;
  for (AttentionKind kind : all_attention_kinds())
    if (name == name_of(kind)) return KindChoice(kind);
  std::string known;
  for (SsmKind kind : all_ssm_kinds()) known += std::string(name_of(kind)) + ", ";
  for (AttentionKind kind : all_attention_kinds()) known += std::string(name_of(kind)) + ", ";
  throw ValueError(
      fmt::format("block_kind: unknown kind; got {}; expected one of {}", name, known.substr(0, known.size() - 2)));
}
const char* name_of(const BlockKind& kind) {
  const SsmKind* ssm = std::get_if<SsmKind>(&kind);
  return ssm ? name_of(*ssm) : name_of(AttentionKind(std::get<KindChoice>(kind)));
}

// The block with number i.
static TransformerBlock block_of(const GPTOptions& o, int64_t i) {
  const BlockKind kind = o.stack.empty() ? BlockKind(o.kind) : o.stack[size_t(i)];
  if (const SsmKind* ssm = std::get_if<SsmKind>(&kind))
    return TransformerBlock(SsmOptions{.kind = *ssm, .dim = o.dim, .heads = o.heads, .layer = i, .layers = o.layers},
                            o.dropout);
  return TransformerBlock(MultiHeadAttentionOptions{
      .dim = o.dim, .heads = o.heads, .causal = true, .dropout = o.dropout, .kind = std::get<KindChoice>(kind)});
}
// GPT-2's start is not for layers that begin in a way of their own: what mixes tokens in a block of a stack.
static bool starts_as_it_is(const GPTOptions& o, std::string_view name) {
  for (size_t i = 0; i < o.stack.size(); ++i) {
    const std::string block = fmt::format("blocks.{}.", i);
    if (!std::holds_alternative<SsmKind>(o.stack[i]) || !name.starts_with(block)) continue;
    const std::string_view rest = name.substr(block.size());
    return !rest.starts_with("up.") && !rest.starts_with("down.");  // the feed-forward layer
  }
  return false;
}
static GPTOptions checked(GPTOptions o) {
  if (!o.stack.empty()) o.layers = int64_t(o.stack.size());
  if (o.vocabulary < 1 || o.context < 1 || o.layers < 1)
    throw ValueError(fmt::format("GPT: got vocabulary {}, context {}, layers {}; expected positive sizes", o.vocabulary,
                                 o.context, o.layers));
  return o;
}
GPT::GPT(const GPTOptions& o)
    : options(checked(o)),
      tokens(o.vocabulary, o.dim),
      positions(o.positions ? std::optional(Embedding(o.context, o.dim)) : std::nullopt),
      norm(o.dim),
      head(o.dim, o.vocabulary, {.bias = false}) {
  for (int64_t i = 0; i < options.layers; ++i) blocks.push_back(block_of(options, i));
  // GPT-2's start: weights normal with 0.02, biases 0, and residual projections smaller by sqrt(2 layers). Gains start
  // as their layers have them.
  for (auto& [name, p] : named_parameters()) {
    if (starts_as_it_is(options, name)) continue;
    bool residual = name.ends_with("out.weight") || name.ends_with("down.weight");
    double std = residual ? 0.02 / std::sqrt(2. * double(options.layers)) : 0.02;
    NoGrad guard;
    if (p.dim() == 2 && name.ends_with("weight"))
      p.copy_(init::normal(p.shape(), std));
    else if (name.ends_with("bias"))
      p.zero_();
  }
}
Tensor GPT::embed(const Tensor& ids, int64_t past) const {
  if (ids.dim() != 2 || (positions && past + ids.size(1) > options.context))
    throw ShapeError(
        fmt::format("GPT: wrong input; got {} after {} tokens; expected [batch, time] with at most {} tokens in all",
                    ids.shape().str(), past, options.context));
  if (!positions) return tokens.forward(ids);
  return tokens.forward(ids) + positions->forward(arange(past, past + ids.size(1), 1, {i64, ids.device()}));
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
