// Gated linear attention.
#include "nn/ssm/linear/gla.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/ops.h"

namespace ink {

static GlaOptions checked_gla(GlaOptions o) {
  if (o.key_dim == 0) o.key_dim = o.dim / 2;
  if (o.value_dim == 0) o.value_dim = o.dim;
  check_heads("GatedLinearAttention", o.key_dim, o.heads, o.value_dim);
  if (o.dim < 1 || o.rank < 1 || !(o.temperature > 0))
    throw ValueError(fmt::format("GatedLinearAttention: got dim {}, rank {}, temperature {}; expected positive numbers",
                                 o.dim, o.rank, o.temperature));
  return o;
}

GatedLinearAttention::GatedLinearAttention(const GlaOptions& o)
    : options(checked_gla(o)),
      q(o.dim, options.key_dim, {.bias = false}),
      k(o.dim, options.key_dim, {.bias = false}),
      v(o.dim, options.value_dim, {.bias = false}),
      gate(o.dim, options.value_dim, {.bias = false}),
      out(options.value_dim, o.dim, {.bias = false}),
      decay(o.dim, o.rank, options.key_dim, LowRank::Between::nothing, zeros({options.key_dim})),
      norm(ones({options.value_dim / o.heads})) {}

Tensor GatedLinearAttention::step(const Tensor& x, State& state) const {
  check_tokens("GatedLinearAttention", x, options.dim);
  const auto heads = [&](const Tensor& y) { return to_heads(y, options.heads); };
  const Tensor log_alpha = log_sigmoid(decay.forward(x)) / options.temperature;  // (9.77)
  const Tensor o = matrix_state({.q = heads(q.forward(x)) / std::sqrt(double(options.key_dim / options.heads)),
                                 .k = heads(k.forward(x)),
                                 .v = heads(v.forward(x)),
                                 .log_decay = heads(log_alpha)},
                                state.memory, options.state);
  state.time += x.size(1);
  return out.forward(from_heads(rms_norm(o, norm, options.eps)) * silu(gate.forward(x)));
}
Tensor GatedLinearAttention::forward(const Tensor& x) const {
  State fresh;
  return step(x, fresh);
}

}  // namespace ink
