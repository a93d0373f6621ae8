// The time mix of RWKV-6: shifts and decays that follow from the token.
#include "nn/ssm/rwkv/rwkv6.h"

#include <algorithm>
#include <cmath>

#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "nn/init.h"

namespace ink {
namespace {

const Rwkv6Options& checked_rwkv6(const Rwkv6Options& o) {
  check_heads("Rwkv6TimeMix", o.dim, o.heads, o.dim);
  if (o.shift_rank < 1 || o.decay_rank < 1) throw ValueError("Rwkv6TimeMix: got a rank below 1; expected at least 1");
  return o;
}
Tensor filled(int64_t dim, double (*f)(double place, double rho), double rho) {
  std::vector<float> v;
  for (int64_t i = 0; i < dim; ++i) v.push_back(float(f(double(i) / double(std::max<int64_t>(dim - 1, 1)), rho)));
  return from_data(std::span<const float>(v), {dim}).to(default_device());
}
Tensor rwkv6_decays(int64_t dim, double rho) {
  return filled(
      dim, [](double place, double rho) { return -6 + 5 * std::pow(place, 0.7 + 1.3 * rho); }, rho);
}
Tensor rwkv6_bonus(const Rwkv6Options& o) {
  Tensor bonus = filled(
      o.dim, [](double place, double rho) { return rho * (1 - place); }, o.depth.from_first());
  std::vector<float> zigzag;
  for (int64_t i = 0; i < o.dim; ++i) zigzag.push_back(0.1f * float((i + 1) % 3 - 1));
  bonus = bonus + from_data(std::span<const float>(zigzag), {o.dim}).to(default_device());
  return bonus.reshape({o.heads, o.dim / o.heads});
}
// In the order decay, key, value, receptance, gate: the share of the token before.
enum Mixed { kForDecay, kForKey, kForValue, kForReceptance, kForGate, kMixes };
Tensor rwkv6_shifts(const Rwkv6Options& o) {
  const double p = o.depth.to_last(), rho = o.depth.from_first();
  const Tensor usual = 1 - channel_ramp(o.dim, p), value = usual - 0.3 * rho,
               receptance = 1 - channel_ramp(o.dim, 0.5 * p);
  return stack({usual, usual, value, receptance, usual});
}

}  // namespace

Tensor read_before_write(const MatrixStateInputs& in, Tensor& state, const MatrixStateOptions& o) {
  const int64_t n = in.k.size(2);
  if (n == 0) return matrix_state(in, state, o);
  // What step t writes is written by step t + 1 before it reads; the first writes nothing, the last one here.
  const auto delayed = [&](const Tensor& x) { return cat({zeros_like(x.narrow(2, 0, 1)), x.narrow(2, 0, n - 1)}, 2); };
  MatrixStateInputs late = in;
  late.k = delayed(in.k), late.v = delayed(in.v), late.log_decay = delayed(in.log_decay);
  const Tensor out = matrix_state(late, state, o);
  const auto last = [&](const Tensor& x) { return widened(x.narrow(2, n - 1, 1)); };
  const Tensor fade = exp(transpose(last(in.log_decay), -2, -1));  // [batch, heads, dk, 1]
  state = fade * state + matmul(transpose(last(in.k), -2, -1), last(in.v));
  return out;
}

Tensor norm_of_heads(const Tensor& y, const Tensor& weight, const Tensor& bias) {
  return from_heads(layer_norm(y, {}, {}, 64e-5)) * weight + bias;
}

Rwkv6TimeMix::Rwkv6TimeMix(const Rwkv6Options& o)
    : options(checked_rwkv6(o)),
      shift_all(1 - channel_ramp(o.dim, o.depth.to_last())),
      shift_each(rwkv6_shifts(o)),
      shift_down(zeros({o.dim, kMixes * o.shift_rank})),
      shift_up(init::uniform({kMixes, o.shift_rank, o.dim}, -0.01, 0.01)),
      decay(o.dim, o.decay_rank, o.dim, LowRank::Between::tanh, rwkv6_decays(o.dim, o.depth.from_first()), true),
      first(rwkv6_bonus(o)),
      receptance(o.dim, o.dim, {.bias = false}),
      key(o.dim, o.dim, {.bias = false}),
      value(o.dim, o.dim, {.bias = false}),
      gate(o.dim, o.dim, {.bias = false}),
      out(o.dim, o.dim, {.bias = false}),
      norm_weight(ones({o.dim})),
      norm_bias(zeros({o.dim})) {}

Tensor Rwkv6TimeMix::step(const Tensor& x, State& state) const {
  check_tokens("Rwkv6TimeMix", x, options.dim);
  const Tensor change = previous_tokens("Rwkv6TimeMix", x, state.last) - x;
  state.time += x.size(1);
  // five shares of the token before, from a first mix of both: [5, batch time, dim]
  const int64_t tokens = x.size(0) * x.size(1), rank = options.shift_rank;
  const Tensor h = tanh(matmul(x + change * shift_all, shift_down)).reshape({tokens, kMixes, rank});
  const Tensor said = matmul(transpose(h, 0, 1), shift_up) + unsqueeze(shift_each, 1);
  const auto shifted = [&](Mixed which) { return x + change * select(said, 0, which).reshape(x.shape()); };

  const int64_t heads = options.heads;
  const MatrixStateInputs in{.q = to_heads(receptance.forward(shifted(kForReceptance)), heads),
                             .k = to_heads(key.forward(shifted(kForKey)), heads),
                             .v = to_heads(value.forward(shifted(kForValue)), heads),
                             .log_decay = to_heads(-exp(decay.forward(shifted(kForDecay))), heads)};
  const Tensor now = sum(in.q * in.k * unsqueeze(first, 1), {-1}, true) * in.v;
  const Tensor y = read_before_write(in, state.memory, options.state) + now;  // (9.81)
  return out.forward(norm_of_heads(y, norm_weight, norm_bias) * silu(gate.forward(shifted(kForGate))));
}
Tensor Rwkv6TimeMix::forward(const Tensor& x) const {
  State fresh;
  return step(x, fresh);
}
void Rwkv6TimeMix::fields(Fields& f) {
  f("shift_all", shift_all)("shift_each", shift_each)("shift_down", shift_down)("shift_up", shift_up);
  f("decay", decay)("first", first)("receptance", receptance)("key", key)("value", value)("gate", gate)("out", out);
  f("norm_weight", norm_weight)("norm_bias", norm_bias);
}

}  // namespace ink
