// Retention: projections, decays per head, rotation, the norm that takes out the scale.
#include "nn/ssm/linear/retention.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "nn/attention/position.h"
#include "nn/init.h"
#include "nn/ssm/linear/heads.h"

namespace ink {
namespace {

RetentionOptions checked_retention(RetentionOptions o) {
  if (o.value_dim == 0) o.value_dim = 2 * o.dim;
  check_heads("Retention", o.dim, o.heads, o.value_dim);
  if (o.gamma.empty()) o.gamma = retention_decays(o.heads);
  if (int64_t(o.gamma.size()) != o.heads)
    throw ValueError(fmt::format("Retention: got {} decays; expected {}, one per head", o.gamma.size(), o.heads));
  for (double g : o.gamma)
    if (!(g > 0 && g <= 1)) throw ValueError(fmt::format("Retention: got a decay of {}; expected 0 < gamma <= 1", g));
  if (o.rotary && o.dim / o.heads % 2)
    throw ValueError(
        fmt::format("Retention: rotation turns pairs; got heads of size {}; expected an even number", o.dim / o.heads));
  return o;
}

Linear drawn(int64_t in, int64_t out, double gain) {
  Linear layer(in, out, {.bias = false});
  layer.weight = init::xavier_uniform({out, in}, gain);
  return layer;
}

// Angles theta_i = 10000^{-i / (pairs - 1)}, the last 1/10000 exactly; rotary() has base^{-i / pairs}.
Tensor turned(const Tensor& x, int64_t past) {
  const double pairs = double(x.size(-1)) / 2;
  return rotary(x, past, pairs > 1 ? std::pow(10000., pairs / (pairs - 1)) : 10000.);
}

// log gamma [heads]. The published ones are made on the device, log(1 - e^{-(5 + h) log 2}): nothing is copied there in
// a step.
Tensor log_gammas(const RetentionOptions& o, const Options& numbers) {
  if (o.gamma == retention_decays(o.heads)) return log1p(-exp(arange(5, 5 + o.heads, 1, numbers) * -std::log(2.)));
  return log(from_data(std::span<const double>(o.gamma), {o.heads})).to(numbers);
}

// sqrt(1 + gamma + ... + gamma^t) for the steps t = past, past + 1, ..: [heads, time, 1].
Tensor root_of_decays(const std::vector<double>& gamma, int64_t past, int64_t time, const Options& numbers) {
  std::vector<double> roots;
  for (double g : gamma)
    for (int64_t t = past; t < past + time; ++t)
      roots.push_back(std::sqrt(g == 1 ? double(t + 1) : -std::expm1(double(t + 1) * std::log(g)) / (1 - g)));
  return from_data(std::span<const double>(roots), {int64_t(gamma.size()), time, 1}).to(numbers);
}

}  // namespace

std::vector<double> retention_decays(int64_t heads) {
  std::vector<double> gamma;
  for (int64_t h = 0; h < heads; ++h) gamma.push_back(1 - std::exp2(-5 - double(h)));  // (9.91)
  return gamma;
}

Retention::Retention(const RetentionOptions& o)
    : options(checked_retention(o)),
      q(drawn(o.dim, o.dim, std::exp2(-2.5))),
      k(drawn(o.dim, o.dim, std::exp2(-2.5))),
      v(drawn(o.dim, options.value_dim, std::exp2(-2.5))),
      gate(drawn(o.dim, options.value_dim, std::exp2(-2.5))),
      out(drawn(options.value_dim, o.dim, 0.5)) {}

Tensor Retention::retained(const Tensor& x, State& state) const {
  check_tokens("Retention", x, options.dim);
  const int64_t batch = x.size(0), time = x.size(1), heads = options.heads;
  MatrixStateInputs in{.q = to_heads(q.forward(x), heads),
                       .k = to_heads(k.forward(x), heads) / std::sqrt(double(options.dim / heads)),
                       .v = to_heads(v.forward(x), heads)};
  if (options.rotary) in.q = turned(in.q, state.time), in.k = turned(in.k, state.time);
  if (options.rescale) in.v = cat({in.v, ones_like(in.v.narrow(-1, 0, 1))}, -1);  // its row of o sums the weights
  const Options numbers{widened(in.v).dtype(), x.device()};
  in.log_decay = expand(reshape(log_gammas(options, numbers), {1, heads, 1}), {batch, heads, time});
  Tensor o = matrix_state(in, state.memory, options.state);  // (9.73)
  if (options.rescale) {
    o = o / root_of_decays(options.gamma, state.time, time, o.options());
    o = o.narrow(-1, 0, o.size(-1) - 1) / clamp(abs(o.narrow(-1, o.size(-1) - 1, 1)), 1);
  }
  state.time += time;
  return o;
}

Tensor Retention::step(const Tensor& x, State& state) const {
  const Tensor o = retained(x, state);
  return out.forward(silu(gate.forward(x)) * from_heads(layer_norm(o, {}, {}, options.eps)));
}
Tensor Retention::forward(const Tensor& x) const {
  State fresh;
  return step(x, fresh);
}

}  // namespace ink
