// Llama's attention, feed-forward layer and blocks.
#include "nn/decoding/pretrained/llama.h"

#include <fmt/format.h>

#include "autograd/attention.h"
#include "autograd/ops.h"

namespace ink {
namespace {

LlamaOptions completed(LlamaOptions o) {
  if (o.vocabulary < 1 || o.context < 1 || o.dim < 1 || o.heads < 1 || o.layers < 1 || o.hidden < 1)
    throw ValueError(fmt::format(
        "Llama: got vocabulary {}, context {}, dim {}, heads {}, layers {}, hidden {}; expected positive sizes",
        o.vocabulary, o.context, o.dim, o.heads, o.layers, o.hidden));
  if (o.kv_heads == 0) o.kv_heads = o.heads;
  if (o.kv_heads < 1 || o.heads % o.kv_heads)
    throw ValueError(
        fmt::format("Llama: heads must be a multiple of kv_heads; got heads {}, kv_heads {}", o.heads, o.kv_heads));
  if (o.width == 0 && o.dim % o.heads)
    throw ValueError(
        fmt::format("Llama: dim must be a multiple of heads; got dim {}, heads {}; hint: width", o.dim, o.heads));
  if (o.width == 0) o.width = o.dim / o.heads;
  int64_t joined = 0;
  if (o.width < 1 || __builtin_mul_overflow(o.width, o.heads, &joined))
    throw ValueError(
        fmt::format("Llama: got heads {} of width {}; expected sizes that can be multiplied", o.heads, o.width));
  if (o.window < 0) throw ValueError(fmt::format("Llama: got window {}; expected at least 0", o.window));
  if (o.rope.dim == 0) o.rope.dim = o.width;
  if (o.rope.dim > o.width)
    throw ValueError(fmt::format("Llama: more is turned than a head has; got {} of {}", o.rope.dim, o.width));
  return o;
}

}  // namespace

LlamaAttention::LlamaAttention(const LlamaOptions& o)
    : options(completed(o)),
      rope(options.rope),
      query(o.dim, options.heads * options.width, {.bias = o.attention_bias || o.query_key_value_bias}),
      key(o.dim, options.kv_heads * options.width, {.bias = o.attention_bias || o.query_key_value_bias}),
      value(o.dim, options.kv_heads * options.width, {.bias = o.attention_bias || o.query_key_value_bias}),
      out(options.heads * options.width, o.dim, {.bias = o.attention_bias}) {}

Tensor LlamaAttention::attend(const Tensor& x, State& state, const StepPlaces* places, bool whole) const {
  if (x.dim() != 3 || x.size(2) != options.dim)
    throw ShapeError(
        fmt::format("LlamaAttention: wrong input; got {}; expected [batch, time, {}]", x.shape().str(), options.dim));
  const int64_t batch = x.size(0), time = x.size(1), past = state.time, length = past + time;
  if (!whole && !rope.fixed_up_to(length))
    throw NotSupported(
        fmt::format("LlamaAttention: beyond {} tokens the angles of keys already seen change; got {}; "
                    "hint: run the whole sequence",
                    options.rope.original_context, length));
  auto heads = [&](const Linear& projection, int64_t count) {  // [batch, count, time, width]
    return permute(reshape(projection.forward(x), {batch, time, count, options.width}), {0, 2, 1, 3});
  };
  if (places && options.window && length > options.window)
    throw NotSupported(fmt::format(
        "LlamaAttention: a tree of tokens, or sequences of different lengths, beyond the window of {}; got {} columns",
        options.window, length));
  Tensor positions = places ? places->positions : arange(past, length, 1, {i64, x.device()});
  if (positions.dim() == 2) positions = positions.unsqueeze(1);
  Tensor q = rope.rotate(heads(query, options.heads), positions, length);
  state.append(rope.rotate(heads(key, options.kv_heads), positions, length), heads(value, options.kv_heads));
  AttentionOptions a{.causal = places ? Causal::no : Causal::bottom_right};
  if (places)
    a.mask = places->mask;
  else if (options.window)
    a.left = options.window - 1;
  Tensor y = scaled_dot_product_attention(q, state.key, state.value, a);
  return out.forward(reshape(permute(y, {0, 2, 1, 3}), {batch, time, options.heads * options.width}));
}

Tensor LlamaAttention::forward(const Tensor& x) const {
  State fresh;
  return attend(x, fresh, nullptr, true);
}
Tensor LlamaAttention::step(const Tensor& x, State& state, const StepPlaces* places) const {
  return attend(x, state, places, false);
}

SwiGLU::SwiGLU(int64_t dim, int64_t hidden, bool bias)
    : gate(dim, hidden, {.bias = bias}), up(dim, hidden, {.bias = bias}), down(hidden, dim, {.bias = bias}) {}
Tensor SwiGLU::forward(const Tensor& x) const { return down.forward(silu(gate.forward(x)) * up.forward(x)); }

LlamaBlock::LlamaBlock(const LlamaOptions& o)
    : norm1(o.dim, o.norm_eps), attention(o), norm2(o.dim, o.norm_eps), feed_forward(o.dim, o.hidden) {}
Tensor LlamaBlock::forward(const Tensor& x, BlockState* state, const StepPlaces* places) const {
  Tensor normed = norm1.forward(x), mixed;
  if (state) {
    if (state->mixers.empty()) state->mixers.resize(1);
    mixed = attention.step(normed, state->mixers[0].as<AttentionState>(), places);
  } else {
    mixed = attention.forward(normed);
  }
  const Tensor y = x + mixed;
  return y + feed_forward.forward(norm2.forward(y));
}

Llama::Llama(const LlamaOptions& o) : options(completed(o)), tokens(o.vocabulary, o.dim), norm(o.dim, o.norm_eps) {
  for (int64_t i = 0; i < o.layers; ++i) blocks.emplace_back(options);
  if (!o.tied) head.emplace(o.dim, o.vocabulary, LinearOptions{.bias = false});
}

Tensor Llama::features(const Tensor& ids, std::vector<BlockState>* states, const StepPlaces* places) const {
  begin("Llama", ids, states, blocks.size(), places);
  Tensor x = tokens.forward(ids);
  for (size_t i = 0; i < blocks.size(); ++i) x = blocks[i].forward(x, states ? &(*states)[i] : nullptr, places);
  return norm.forward(x);
}

Tensor Llama::logits(const Tensor& features) const {
  return head ? head->forward(features) : linear(features, tokens.weight);
}

}  // namespace ink
