// The delta rule with and without decays.
#include "nn/ssm/linear/delta_net.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/ops.h"
#include "nn/init.h"
#include "nn/ssm/mamba.h"

namespace ink {
namespace {

DeltaNetOptions checked_delta(DeltaNetOptions o) {
  if (o.key_dim == 0) o.key_dim = o.dim;
  if (o.value_dim == 0) o.value_dim = o.dim;
  check_heads("DeltaNet", o.key_dim, o.heads, o.value_dim);
  if (o.dim < 1 || o.conv < 0)
    throw ValueError(fmt::format("DeltaNet: got dim {}, conv {}; expected a positive size, and a width of at least 0",
                                 o.dim, o.conv));
  return o;
}
std::optional<CausalConv> short_conv(int64_t channels, int64_t width) {
  return width > 0 ? std::optional(CausalConv(channels, width, false)) : std::nullopt;
}

}  // namespace

DeltaNet::DeltaNet(const DeltaNetOptions& o)
    : options(checked_delta(o)),
      q(o.dim, options.key_dim, {.bias = false}),
      k(o.dim, options.key_dim, {.bias = false}),
      v(o.dim, options.value_dim, {.bias = false}),
      beta(o.dim, o.heads, {.bias = false}),
      out(options.value_dim, o.dim, {.bias = false}),
      q_conv(short_conv(options.key_dim, o.conv)),
      k_conv(short_conv(options.key_dim, o.conv)),
      v_conv(short_conv(options.value_dim, o.conv)),
      norm(ones({options.value_dim / o.heads})) {
  const int64_t key_size = options.key_dim / o.heads, value_size = options.value_dim / o.heads;
  if (o.decay != DeltaDecay::none) {
    rate = log(init::uniform({o.heads}, 1e-3, 16));
    bias = step_bias(o.decay == DeltaDecay::per_head ? o.heads : options.key_dim, {});
  }
  if (o.decay == DeltaDecay::per_head) decay = Linear(o.dim, o.heads, {.bias = false});
  if (o.decay == DeltaDecay::per_channel)
    decay_by_channel = LowRank(o.dim, key_size, options.key_dim, LowRank::Between::nothing);
  if (o.gate == DeltaGate::silu) gate = Linear(o.dim, options.value_dim, {.bias = false});
  if (o.gate == DeltaGate::sigmoid)
    gate_low_rank = LowRank(o.dim, value_size, options.value_dim, LowRank::Between::nothing);
}

Tensor DeltaNet::log_decay(const Tensor& x) const {
  if (options.decay == DeltaDecay::none) return {};
  const int64_t heads = options.heads;
  if (options.decay == DeltaDecay::per_head)
    return transpose(-exp(rate) * softplus(decay->forward(x) + bias), 1, 2);  // (9.86)
  const Tensor steps = softplus(decay_by_channel->forward(x) + bias);
  return -reshape(exp(rate), {1, heads, 1, 1}) * to_heads(steps, heads);
}

Tensor DeltaNet::step(const Tensor& x, State& state) const {
  check_tokens("DeltaNet", x, options.dim);
  const auto local = [](const Tensor& y, const std::optional<CausalConv>& conv, Tensor& tail) {
    return conv ? silu(conv->step(y, tail)) : y;
  };
  const auto heads = [&](const Tensor& y) { return to_heads(y, options.heads); };
  const Tensor query = unit_length(heads(local(q.forward(x), q_conv, state.q_tail))),
               key = unit_length(heads(local(k.forward(x), k_conv, state.k_tail)));
  const Tensor strength = heads(sigmoid(beta.forward(x))) * (options.reflections ? 2. : 1.);  // [batch, heads, time, 1]
  MatrixStateInputs in{.q = query / std::sqrt(double(query.size(-1))),
                       .k = strength * key,
                       .v = heads(local(v.forward(x), v_conv, state.v_tail)),
                       .log_decay = log_decay(x)};
  if (options.rule == WriteRule::delta) {
    // alpha S + beta k (v - (alpha S)^T k)^T: what is read under k has faded before
    in.erase = -in.k;
    in.read = !in.log_decay.defined()                 ? key
              : options.decay == DeltaDecay::per_head ? key * exp(unsqueeze(in.log_decay, -1))
                                                      : key * exp(in.log_decay);  // (9.85)
  }
  const Tensor o = rms_norm(matrix_state(in, state.memory, options.state), norm, options.eps);
  state.time += x.size(1);
  if (gate) return out.forward(from_heads(o) * silu(gate->forward(x)));
  if (gate_low_rank) return out.forward(from_heads(o) * sigmoid(gate_low_rank->forward(x)));
  return out.forward(from_heads(o));
}
Tensor DeltaNet::forward(const Tensor& x) const {
  State fresh;
  return step(x, fresh);
}
void DeltaNet::fields(Fields& f) {
  f("q", q)("k", k)("v", v)("beta", beta)("out", out)("q_conv", q_conv)("k_conv", k_conv)("v_conv", v_conv);
  f("rate", rate)("bias", bias)("decay", decay)("decay_by_channel", decay_by_channel);
  f("gate", gate)("gate_low_rank", gate_low_rank)("norm", norm);
}

}  // namespace ink
