// Mamba-3's block: the trapezoidal rule as two inputs into one state, and the rotation of B and C.
#include "nn/ssm/mamba3.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "nn/init.h"

namespace ink {
namespace {

const Mamba3Options& checked_mamba3(const Mamba3Options& o) {
  if (o.dim < 1 || o.state < 2 || o.state % 2 || o.expand < 1 || o.head < 1 || o.groups < 1 || o.scan.chunk < 1 ||
      !(o.A_least >= 0))
    throw ValueError(
        fmt::format("Mamba3: got dim {}, state {}, expand {}, head {}, groups {}, chunk {}, A_least {}; expected "
                    "positive sizes and "
                    "an even state",
                    o.dim, o.state, o.expand, o.head, o.groups, o.scan.chunk, o.A_least));
  if (o.expand * o.dim % o.head || o.expand * o.dim / o.head % o.groups)
    throw ValueError(fmt::format(
        "Mamba3: got an inner width of {}, heads of {}, {} groups; expected a head that divides the width and groups "
        "that divide the heads",
        o.expand * o.dim, o.head, o.groups));
  return o;
}

void check_mamba3_state(const Mamba3& m, const Tensor& x, const Mamba3::State& s) {
  const int64_t b = x.size(0), N = m.options.state;
  const Shape expected[] = {
      {b, m.heads, N, m.options.head}, {b, m.heads, 1, N}, {b, m.heads, 1, m.options.head}, {b, m.heads, 1, N / 2}};
  Mamba3::State copy = s;
  const std::vector<Tensor*> got = copy.tensors();
  bool fits = true, none = true;
  for (size_t i = 0; i < got.size(); ++i) {
    none = none && !got[i]->defined();
    fits = fits && got[i]->defined() && got[i]->shape() == expected[i];
  }
  if (none || fits) return;
  const auto text = [](const Tensor* t) { return t->defined() ? t->shape().str() : std::string("none"); };
  throw ShapeError(fmt::format(
      "Mamba3::step: wrong state; got S {}, key {}, value {}, angle {}; expected {}, {}, {}, {}, or none of them",
      text(got[0]), text(got[1]), text(got[2]), text(got[3]), expected[0].str(), expected[1].str(), expected[2].str(),
      expected[3].str()));
}

void check_trapezoidal(const TrapezoidalInputs& in, const Mamba3::State& s) {
  const Shape x = in.x.shape(), b = in.B.shape();
  bool fits = in.x.dim() == 4 && in.B.dim() == 4 && in.C.shape() == b && b[3] % 2 == 0 &&
              in.angle.shape() == Shape{b[0], b[1], b[2], b[3] / 2};
  for (const Tensor* t : {&in.delta, &in.A, &in.lambda}) fits = fits && t->shape() == Shape{x[0], x[1], x[2]};
  fits = fits && Shape{b[0], b[1], b[2]} == Shape{x[0], x[1], x[2]} &&
         (!s.key.defined() || s.key.shape() == Shape{x[0], x[1], 1, b[3]}) &&
         (!s.value.defined() || s.value.shape() == Shape{x[0], x[1], 1, x[3]});
  if (!fits)
    throw ShapeError(fmt::format(
        "trapezoidal_ssd: shapes do not fit; got x {}, delta {}, A {}, lambda {}, B {}, C {}, angle {}; expected "
        "[batch, "
        "heads, time, width], three [batch, heads, time], two [batch, heads, time, states], [.., states / 2], and the "
        "state of such a call",
        x.str(), in.delta.shape().str(), in.A.shape().str(), in.lambda.shape().str(), b.str(), in.C.shape().str(),
        in.angle.shape().str()));
}

// Turns each pair (x_2i, x_2i+1) of x [batch, heads, time, states] by -angle_i [batch, heads, time, states / 2].
Tensor turned_back(const Tensor& x, const Tensor& angle) {
  const Tensor c = cos(angle), s = sin(angle);
  const Tensor pairs = reshape(x, {x.size(0), x.size(1), x.size(2), x.size(3) / 2, 2}), a = select(pairs, -1, 0),
               b = select(pairs, -1, 1);
  return reshape(stack({a * c + b * s, b * c - a * s}, -1), x.shape());  // (9.65)
}

}  // namespace

Tensor trapezoidal_ssd(const TrapezoidalInputs& in, Mamba3::State& state, const MatrixStateOptions& options) {
  check_trapezoidal(in, state);
  const int64_t n = in.x.size(2);
  const Tensor q = turned_back(in.C, in.angle), k = turned_back(in.B, in.angle), log_decay = in.delta * in.A;
  // The token before each.
  const auto before = [&](const Tensor& x, Tensor& last) {
    const Tensor all = cat({last.defined() ? last : zeros_like(x.narrow(2, 0, 1)), x}, 2);
    last = all.narrow(2, n, 1).clone();
    return all.narrow(2, 0, n);
  };
  const Tensor k_before = before(k, state.key), x_before = before(in.x, state.value);
  const Tensor now = unsqueeze(in.lambda * in.delta, -1),
               then = unsqueeze((1 - in.lambda) * in.delta * exp(log_decay), -1);
  // The state is linear in what goes in: one recurrence for the input of now, one for the input before.
  Tensor S_before;
  const Tensor y_now = matrix_state({q, k, now * in.x, log_decay, {}, {}}, state.S, options);
  const Tensor y_before = matrix_state({q, k_before, then * x_before, log_decay, {}, {}}, S_before, options);
  state.S = state.S + S_before;
  return y_now + y_before;  // (9.64)
}

Mamba3::Mamba3(const Mamba3Options& o)
    : options(checked_mamba3(o)),
      inner(o.expand * o.dim),
      heads(inner / o.head),
      in_proj(o.dim, 2 * inner + 2 * o.groups * o.state + 3 * heads + o.state / 2, {.bias = false}),
      B_norm(o.state, 1e-5),
      C_norm(o.state, 1e-5),
      B_bias(ones({heads, o.state})),
      C_bias(ones({heads, o.state})),
      dt_bias(step_bias(heads, o.dt)),
      D(ones({heads})),
      out_proj(inner, o.dim, {.bias = false}) {}

Tensor Mamba3::forward(const Tensor& x) const {
  State fresh;
  return step(x, fresh);
}

Tensor Mamba3::step(const Tensor& input, State& state) const {
  if (input.dim() != 3 || input.size(2) != options.dim)
    throw ShapeError(
        fmt::format("Mamba3: wrong input; got {}; expected [batch, time, {}]", input.shape().str(), options.dim));
  check_mamba3_state(*this, input, state);
  const int64_t batch = input.size(0), n = input.size(1), N = options.state, shared = options.groups * N;
  const Tensor projected = in_proj.forward(input);
  if (n == 0) return out_proj.forward(projected.narrow(-1, 0, inner));
  const std::vector<Tensor> p = split(projected, Shape{inner, inner, shared, shared, heads, heads, heads, N / 2}, -1);
  const auto per_head = [](const Tensor& x) { return transpose(widened(x), 1, 2); };  // [batch, heads, time]
  const auto in_heads = [&](const Tensor& x, const RMSNorm& norm, const Param& bias) {
    const Tensor normed = rms_norm(reshape(widened(x), {batch, n, options.groups, N}), widened(norm.weight), norm.eps);
    return transpose(repeat_interleave(normed, heads / options.groups, 2) + widened(bias), 1, 2);
  };
  const Tensor x = transpose(reshape(widened(p[1]), {batch, n, heads, options.head}), 1, 2);
  const Tensor delta = softplus(per_head(p[4]) + unsqueeze(widened(dt_bias), -1));
  Tensor angle = cumsum(unsqueeze(delta, -1) * unsqueeze(widened(p[7]), 1), 2);  // one theta for all heads
  if (state.angle.defined()) angle = angle + state.angle;
  const TrapezoidalInputs in{.x = x,
                             .delta = delta,
                             .A = -clamp(softplus(per_head(p[5])), options.A_least),
                             .lambda = sigmoid(per_head(p[6])),
                             .B = in_heads(p[2], B_norm, B_bias),
                             .C = in_heads(p[3], C_norm, C_bias),
                             .angle = angle};
  Tensor y = trapezoidal_ssd(in, state, options.scan) + widened(D).reshape({heads, 1, 1}) * x;
  state.angle = remainder(angle.narrow(2, n - 1, 1), 2 * M_PI);
  state.time += n;
  y = reshape(transpose(y, 1, 2), {batch, n, inner}) * silu(widened(p[0]));
  return out_proj.forward(y.to(p[0].dtype()));
}

}  // namespace ink
