// The time mix of RWKV-4 and how it starts.
#include "nn/ssm/rwkv/rwkv4.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/ops.h"
#include "nn/ssm/linear/heads.h"

namespace ink {
namespace {

// -5 + 8 (i / (C - 1))^{0.7 + 1.3 rho}: half-lives from a step to a hundred.
Tensor rwkv4_decays(int64_t dim, double rho) {
  std::vector<float> decay;
  for (int64_t i = 0; i < dim; ++i)
    decay.push_back(float(-5 + 8 * std::pow(double(i) / double(std::max<int64_t>(dim - 1, 1)), 0.7 + 1.3 * rho)));
  return from_data(std::span<const float>(decay), {dim}).to(default_device());
}
// log 0.3 with a zigzag of half a unit over the channels.
Tensor rwkv4_bonus(int64_t dim) {
  std::vector<float> bonus;
  for (int64_t i = 0; i < dim; ++i) bonus.push_back(float(std::log(0.3) + 0.5 * double((i + 1) % 3 - 1)));
  return from_data(std::span<const float>(bonus), {dim}).to(default_device());
}
int64_t checked_rwkv4(const Rwkv4Options& o) {
  if (o.dim < 1) throw ValueError(fmt::format("Rwkv4TimeMix: got dim {}; expected a positive size", o.dim));
  return o.dim;
}

}  // namespace

Rwkv4TimeMix::Rwkv4TimeMix(const Rwkv4Options& o)
    : options(o),
      decay(rwkv4_decays(checked_rwkv4(o), o.depth.from_first())),
      first(rwkv4_bonus(o.dim)),
      mix_receptance(channel_ramp(o.dim, 0.5 * o.depth.to_last())),
      mix_key(channel_ramp(o.dim, o.depth.to_last())),
      mix_value(channel_ramp(o.dim, o.depth.to_last()) + 0.3 * o.depth.from_first()),
      receptance(zero_linear(o.dim, o.dim)),
      key(zero_linear(o.dim, o.dim)),
      value(o.dim, o.dim, {.bias = false}),
      out(zero_linear(o.dim, o.dim)) {}

Tensor Rwkv4TimeMix::step(const Tensor& x, State& state) const {
  check_tokens("Rwkv4TimeMix", x, options.dim);
  const Tensor before = previous_tokens("Rwkv4TimeMix", x, state.last);
  state.time += x.size(1);
  const auto shifted = [&](const Tensor& mu) { return mu * x + (1 - mu) * before; };  // (9.76)
  const Tensor r = sigmoid(receptance.forward(shifted(mix_receptance))), k = key.forward(shifted(mix_key)),
               v = value.forward(shifted(mix_value));
  return out.forward(r * wkv(k, v, -exp(decay), first, state.sums, options.algorithm));
}
Tensor Rwkv4TimeMix::forward(const Tensor& x) const {
  State fresh;
  return step(x, fresh);
}

}  // namespace ink
