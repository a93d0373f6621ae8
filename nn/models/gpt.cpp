// Embeddings, blocks, logits, and how the weights start.
#include "nn/models/gpt.h"

#include <fmt/format.h>

#include <algorithm>
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
    return TransformerBlock(
        SsmOptions{.kind = *ssm, .dim = o.dim, .heads = o.heads, .layer = i, .layers = o.layers, .length = o.context},
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
Tensor GPT::features(const Tensor& ids, std::vector<BlockState>* states, const StepPlaces* places) const {
  const Tensor at = begin("GPT", ids, states, blocks.size(), places);
  Tensor x = tokens.forward(ids);
  if (positions) x = x + positions->forward(at);
  for (size_t i = 0; i < blocks.size(); ++i)
    x = states ? blocks[i].step(x, (*states)[i], places) : blocks[i].forward(x);
  return norm.forward(x);
}
bool GPT::takes_places() const {
  return std::all_of(blocks.begin(), blocks.end(), [](const TransformerBlock& b) { return b.takes_places(); });
}

}  // namespace ink
