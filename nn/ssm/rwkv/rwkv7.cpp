// The time mix of RWKV-7: a delta rule whose erasing, writing and fading all follow from the token.
#include "nn/ssm/rwkv/rwkv7.h"

#include <algorithm>
#include <cmath>

#include "autograd/ops.h"
#include "nn/ssm/rwkv/rwkv6.h"

namespace ink {
namespace {

enum Shift { kR, kW, kK, kV, kA, kG };  // rows of `shift`

const Rwkv7Options& checked_rwkv7(const Rwkv7Options& o) {
  check_heads("Rwkv7TimeMix", o.dim, o.heads, o.dim);
  if (std::min({o.decay_rank, o.erase_rank, o.value_rank, o.gate_rank}) < 1)
    throw ValueError("Rwkv7TimeMix: got a rank below 1; expected at least 1");
  return o;
}
// The powers by which channels share the token before: less in deeper layers.
Tensor rwkv7_shifts(const Rwkv7Options& o) {
  const double p = o.depth.to_last();
  const auto share = [&](double power) { return 1 - channel_ramp(o.dim, power * p); };
  return stack({share(0.2), share(0.9), share(0.7), share(0.7), share(0.9), share(0.2)});
}
// From slow to fast channels, the argument of w's sigmoid.
Tensor rwkv7_decays(const Rwkv7Options& o) {
  std::vector<float> z;
  const double power = 1 + std::pow(o.depth.from_first(), 0.3);
  for (int64_t i = 0; i < o.dim; ++i)
    z.push_back(float(-5.5 + 6 * std::pow(double(i) / double(std::max<int64_t>(o.dim - 1, 1)), power)));
  return from_data(std::span<const float>(z), {o.dim}).to(default_device());
}

}  // namespace

Tensor rwkv7_log_decay(const Tensor& z) { return -std::exp(-0.5) * sigmoid(z); }  // (9.83)

Rwkv7TimeMix::Rwkv7TimeMix(const Rwkv7Options& o)
    : options(checked_rwkv7(o)),
      shift(rwkv7_shifts(o)),
      decay(o.dim, o.decay_rank, o.dim, LowRank::Between::tanh, rwkv7_decays(o), true),
      erase(o.dim, o.erase_rank, o.dim, LowRank::Between::nothing, zeros({o.dim}), true),
      gate(o.dim, o.gate_rank, o.dim, LowRank::Between::sigmoid),
      erase_key(full({o.dim}, 0.7)),
      write_key(ones({o.dim})),
      bonus(zeros({o.heads, o.dim / o.heads})),
      receptance(o.dim, o.dim, {.bias = false}),
      key(o.dim, o.dim, {.bias = false}),
      value(o.dim, o.dim, {.bias = false}),
      out(zero_linear(o.dim, o.dim)),
      norm_weight(ones({o.dim})),
      norm_bias(zeros({o.dim})) {
  if (o.value_residual && o.depth.layer > 0)
    value_mix = LowRank(o.dim, o.value_rank, o.dim, LowRank::Between::nothing, full({o.dim}, 0.7), true);
}

Tensor Rwkv7TimeMix::mixed(const Tensor& x, State& state, Tensor* first_value) const {
  check_tokens("Rwkv7TimeMix", x, options.dim);
  const Tensor change = previous_tokens("Rwkv7TimeMix", x, state.last) - x;
  state.time += x.size(1);
  const auto shifted = [&](Shift row) { return x + change * shift[row]; };
  const auto heads = [&](const Tensor& y) { return to_heads(y, options.heads); };

  Tensor v = value.forward(shifted(kV));
  if (first_value && !value_mix)
    *first_value = v;
  else if (first_value)
    v = v + (*first_value - v) * sigmoid(value_mix->forward(shifted(kV)));
  const Tensor k = key.forward(shifted(kK)), a = sigmoid(erase.forward(shifted(kA)));
  const Tensor log_w = rwkv7_log_decay(decay.forward(shifted(kW)));
  const Tensor kappa = unit_length(heads(k * erase_key)), write = heads(k * (1 + (a - 1) * write_key));
  const MatrixStateInputs in{.q = heads(receptance.forward(shifted(kR))),
                             .k = write,
                             .v = heads(v),
                             .log_decay = heads(log_w),
                             .erase = -heads(a) * kappa,
                             .read = kappa};
  const Tensor y = matrix_state(in, state.memory, options.state);  // (9.82)
  const Tensor now = sum(in.q * write * unsqueeze(bonus, 1), {-1}, true) * in.v;
  return out.forward((norm_of_heads(y, norm_weight, norm_bias) + from_heads(now)) * gate.forward(shifted(kG)));
}

Tensor Rwkv7TimeMix::step(const Tensor& x, State& state) const {
  if (options.value_residual)
    throw NotSupported(
        "Rwkv7TimeMix: with value_residual it needs the first block's values; hint: step(x, state, first_value)");
  return mixed(x, state, nullptr);
}
Tensor Rwkv7TimeMix::step(const Tensor& x, State& state, Tensor& first_value) const {
  const bool reads = value_mix.has_value();
  if (reads && (!first_value.defined() || !(first_value.shape() == x.shape())))
    throw ShapeError("Rwkv7TimeMix: expected first_value as the first block made it for the same tokens, of x's shape");
  return mixed(x, state, options.value_residual ? &first_value : nullptr);
}
Tensor Rwkv7TimeMix::forward(const Tensor& x) const {
  State fresh;
  return step(x, fresh);
}
void Rwkv7TimeMix::fields(Fields& f) {
  f("shift", shift)("decay", decay)("erase", erase)("gate", gate)("value_mix", value_mix);
  f("erase_key", erase_key)("write_key", write_key)("bonus", bonus);
  f("receptance", receptance)("key", key)("value", value)("out", out);
  f("norm_weight", norm_weight)("norm_bias", norm_bias);
}

}  // namespace ink
