// Projections, heads side by side, and who turns them by their positions.
#include "nn/attention/multihead.h"

#include <fmt/format.h>

#include "autograd/ops.h"
#include "nn/attention/position.h"

namespace ink {
namespace {

const MultiHeadAttentionOptions& checked(const MultiHeadAttentionOptions& o) {
  if (o.dim < 1 || o.heads < 1 || o.dim % o.heads)
    throw ValueError(
        fmt::format("MultiHeadAttention: dim must be a multiple of heads; got dim {}, heads {}", o.dim, o.heads));
  if (o.kv_heads < 0 || (o.kv_heads > 0 && o.heads % o.kv_heads))
    throw ValueError(fmt::format("MultiHeadAttention: heads must be a multiple of kv_heads; got heads {}, kv_heads {}",
                                 o.heads, o.kv_heads));
  return o;
}
AnyCore core_of(const MultiHeadAttentionOptions& o) {
  AnyCore core = make_attention_core(checked(o));
  if (o.rotary && core->rotation() == Rotation::never)
    throw ValueError(fmt::format(
        "MultiHeadAttention: {} attention does not weigh by q . k, so rotating both does not tell distances; "
        "hint: rotary = false",
        name_of(o.kind)));
  return core;
}
int64_t key_heads(const MultiHeadAttentionOptions& o) { return o.kv_heads ? o.kv_heads : o.heads; }
int64_t projected(const MultiHeadAttentionOptions& o, const AnyCore& core) {
  return o.dim + (core->shares_query_and_key() ? 1 : 2) * key_heads(o) * (o.dim / o.heads);
}

}  // namespace

MultiHeadAttention::MultiHeadAttention(const MultiHeadAttentionOptions& o) : MultiHeadAttention(o, core_of(o)) {}
MultiHeadAttention::MultiHeadAttention(const MultiHeadAttentionOptions& o, AnyCore made)
    : options(o),
      qkv(o.dim, projected(o, made), {.bias = o.bias}),
      out(o.dim, o.dim, {.bias = o.bias}),
      core(std::move(made)) {
  if (core->shares_query_and_key() && key_heads(o) != o.heads)
    throw ValueError("MultiHeadAttention: lsh attention has one head of keys per head of queries; hint: kv_heads = 0");
}

MultiHeadAttention::Heads MultiHeadAttention::project(const Tensor& x, int64_t past, const StepPlaces* places) const {
  if (x.dim() != 3 || x.size(2) != options.dim)
    throw ShapeError(fmt::format("MultiHeadAttention: wrong input; got {}; expected [batch, time, {}]", x.shape().str(),
                                 options.dim));
  const int64_t batch = x.size(0), time = x.size(1), width = options.dim / options.heads, fewer = key_heads(options);
  Tensor all = reshape(qkv.forward(x), {batch, time, qkv.weight.size(0) / width, width});
  auto heads = [&](int64_t first, int64_t count) { return permute(narrow(all, 2, first, count), {0, 2, 1, 3}); };
  Heads h;
  h.q = heads(0, options.heads);
  const bool shared = core->shares_query_and_key();
  h.k = shared ? h.q : heads(options.heads, fewer);
  h.v = heads(options.heads + (shared ? 0 : fewer), fewer);  // all [batch, heads, time, width]
  if (options.rotary && core->rotation() == Rotation::outside) {
    auto turn = [&](const Tensor& y) {
      if (!places) return rotary(y, past);
      const Tensor& p = places->positions;
      return rotary(y, p.dim() == 2 ? p.unsqueeze(1) : p);
    };
    h.q = turn(h.q);
    h.k = shared ? h.q : turn(h.k);
  }
  if (fewer != options.heads && !core->takes_grouped_heads()) {
    h.k = repeat_interleave(h.k, options.heads / fewer, 1);
    h.v = repeat_interleave(h.v, options.heads / fewer, 1);
  }
  return h;
}

Tensor MultiHeadAttention::join(const Tensor& y) const {
  return out.forward(reshape(permute(y, {0, 2, 1, 3}), {y.size(0), y.size(2), options.dim}));
}

Tensor MultiHeadAttention::forward(const Tensor& x, const Tensor& mask) const {
  Heads h = project(x, 0);
  return join(core->attend(h.q, h.k, h.v, mask));
}

Tensor MultiHeadAttention::step(const Tensor& x, AttentionState& state) const {
  if (!options.causal)
    throw NotSupported("MultiHeadAttention: only causal attention goes on token by token; hint: .causal = true");
  Heads h = project(x, state.time);
  return join(core->step(h.q, h.k, h.v, state));
}
Tensor MultiHeadAttention::step(const Tensor& x, AttentionState& state, const StepPlaces& places) const {
  if (!options.causal)
    throw NotSupported("MultiHeadAttention: only causal attention goes on token by token; hint: .causal = true");
  Heads h = project(x, state.time, &places);
  return join(core->step_seen(h.q, h.k, h.v, state, places.mask));
}

}  // namespace ink
