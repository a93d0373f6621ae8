// LRU and SLRU: initialisation in a ring, and the same states by recurrence or by convolution.
#include "nn/ssm/lru.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "nn/init.h"

namespace ink {
namespace {

void check_lru(const LruOptions& o) {
  if (o.dim < 1 || o.state < 1)
    throw ValueError(fmt::format("LRU: got dim {}, state {}; expected both at least 1", o.dim, o.state));
  if (!(0 <= o.r_min && o.r_min <= o.r_max && o.r_max <= 1 && o.r_max > 0 && o.r_min < 1))
    throw ValueError(
        fmt::format("LRU: got moduli from {} to {}; expected 0 <= r_min <= r_max <= 1; hint: a pole outside the unit "
                    "circle makes the state grow without bound",
                    o.r_min, o.r_max));
  if (!(o.max_phase > 0) || !std::isfinite(o.max_phase))
    throw ValueError(fmt::format("LRU: got a max_phase of {}; expected a positive one", o.max_phase));
}

// log lambda, [state]. e^10 per step leaves 0 even of a double; more could be infinite, and lambda^0 = e^{-0 inf} no
// number.
Tensor log_poles(const Tensor& nu, const Tensor& theta) {
  const Tensor decay = -exp(clamp(nu, std::nullopt, 10));
  return theta.defined() ? complex_of(decay, exp(theta)) : decay;
}

// h_t = sum over j <= t of lambda^{t - j} u_j + lambda^{t + 1} start, for u [batch, time, state]: a convolution with
// the powers of lambda.
Tensor convolved(const Tensor& log_pole, const Tensor& u, const Tensor& start) {
  const int64_t n = u.size(1);
  const bool complex = is_complex(u.dtype());
  // in f64: the angle of lambda^t is t times as wrong as that of lambda
  const Tensor wide = to(log_pole, complex ? c128 : f64), t = arange(0, n, 1, Options(f64, u.device())).unsqueeze(1);
  const Tensor powers = to(exp(t * wide), u.dtype());  // [time, state]
  const Tensor h = transpose(causal_convolution(transpose(u, 1, 2), transpose(powers, 0, 1)), 1, 2);
  return start.defined() ? h + powers * unsqueeze(to(exp(wide), u.dtype()) * start, 1) : h;
}

}  // namespace

LRU::LRU(const LruOptions& o) : options(o) {
  check_lru(o);
  NoGrad guard;
  // |lambda|^2 = u (r_max^2 - r_min^2) + r_min^2 and |lambda| = exp(-e^nu). u is kept off 0 and 1, where |lambda| could
  // be 0 or 1 and a log infinite.
  const auto uniform = [&] { return 1e-6 + (1 - 2e-6) * rand({o.state}, f64); };
  const Tensor square = uniform() * (o.r_max * o.r_max - o.r_min * o.r_min) + o.r_min * o.r_min;
  nu = log(-0.5 * log(square)).to(f32);
  gamma_log = (0.5 * log(1 - square)).to(f32);  // gamma = sqrt(1 - |lambda|^2)
  const double in = 1 / std::sqrt(double(o.dim)), out = 1 / std::sqrt(double(o.state));
  if (o.complex) {
    theta = log(o.max_phase * uniform()).to(f32);
    B = init::normal({o.state, 2, o.dim}, in / std::sqrt(2.));
    C = init::normal({o.dim, o.state, 2}, out);
  } else {
    B = init::normal({o.state, o.dim}, in);
    C = init::normal({o.dim, o.state}, out);
  }
  D = init::normal({o.dim}, 1);
}

Tensor LRU::poles() const { return exp(log_poles(widened(nu), widened(theta))); }

Tensor LRU::forward(const Tensor& x) const {
  State fresh;
  return step(x, fresh);
}

Tensor LRU::step(const Tensor& x, State& state) const {
  if (x.dim() != 3 || x.size(2) != options.dim)
    throw ShapeError(fmt::format("LRU: got x {}; expected [batch, time, {}]", x.shape().str(), options.dim));
  const int64_t batch = x.size(0), n = x.size(1), states = options.state;
  if (state.h.defined() && !(state.h.shape() == Shape{batch, states}))
    throw ShapeError(
        fmt::format("LRU: the state does not fit; got {}; expected {}; hint: a state belongs to one layer "
                    "and one batch",
                    state.h.shape().str(), Shape{batch, states}.str()));
  if (state.h.defined() && is_complex(state.h.dtype()) != options.complex)
    throw DTypeError(fmt::format("LRU: the state is {}; expected a {} one; hint: a state belongs to one layer",
                                 is_complex(state.h.dtype()) ? "complex" : "real",
                                 options.complex ? "complex" : "real"));
  if (n == 0) return x;
  const Tensor in = widened(x), log_pole = log_poles(widened(nu), widened(theta));
  // One product for both parts of B x: the rows of B are pairs. Under autocast it comes back as a half.
  Tensor u = widened(linear(in, reshape(widened(B), {options.complex ? 2 * states : states, options.dim})));
  if (options.complex) u = view_as_complex(reshape(u, {batch, n, states, 2}));
  u = exp(widened(gamma_log)) * u;
  const Tensor h = options.form == LruForm::convolution && n > 1
                       ? convolved(log_pole, u, state.h)
                       : linear_recurrence(exp(log_pole), u, 1, {.start = state.h, .algorithm = options.algorithm});
  state.h = contiguous(select(h, 1, n - 1)), state.time += n;
  // Re(C h) = sum of Re C Re h - Im C Im h: a real product with the parts of conj(h).
  const Tensor parts = options.complex ? reshape(view_as_real(contiguous(conj(h))), {batch, n, 2 * states}) : h;
  const Tensor y = linear(parts, reshape(widened(C), {options.dim, parts.size(2)})) + widened(D) * in;
  return is_half(x.dtype()) ? y.to(x.dtype()) : y;
}

void LRU::fields(Fields& f) {
  f("nu", nu);
  if (options.complex) f("theta", theta);
  f("gamma_log", gamma_log)("B", B)("C", C)("D", D);
}

}  // namespace ink
