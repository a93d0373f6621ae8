// Elementwise ops of one operand: y = f(x). Rules are written for complex x too (gradients follow torch's convention,
// so a holomorphic f gives g * conj(f'(x)); conj() is free for reals).
#include <cmath>

#include "autograd/ops.h"
#include "autograd/ops/elementwise/derivative.h"
#include "autograd/ops/halves.h"

namespace ink {

using B = const Backward&;

Tensor neg(const Tensor& x) {
  if (x.dtype() == boolean) throw DTypeError("neg: got bool; expected a number; hint: logical_not, or to(i64) first");
  static constexpr Op op{.name = "neg", .rules = {{[](B b) { return neg(b.grad()); }}}};
  return unary(op, fn::Neg{}, x);
}
static Tensor abs_rule(B b) {
  Tensor x = b.in(0);
  if (!is_complex(x.dtype())) return b.grad() * sign(x);
  Tensor y = abs(x);  // z / |z|, 0 at 0
  return b.grad() * (x / where(y == 0, ones_like(y), y));
}
Tensor abs(const Tensor& x) {
  static constexpr Op op{.name = "abs", .rules = {{abs_rule, kIn0}}};
  return unary(op, fn::Abs{}, x);
}
Tensor sign(const Tensor& x) {
  static constexpr Op op{.name = "sign", .rules = {{[](B b) { return zeros_like(b.grad()); }}}};
  return unary(op, fn::Sign{}, x);
}
Tensor exp(const Tensor& x) {
  static constexpr Op op{.name = "exp",
                         .rules = {{[](B b) { return b.grad() * conj(b.out()); }, kOut0}},
                         .cast = Cast::raise};
  return unary(op, fn::Exp{}, x);
}
Tensor expm1(const Tensor& x) {
  static constexpr Op op{.name = "expm1",
                         .rules = {{[](B b) { return b.grad() * (b.out() + 1); }, kOut0 | kWide}},
                         .cast = Cast::raise};
  return unary(op, fn::Expm1{}, x);
}
Tensor log(const Tensor& x) {
  static constexpr Op op{.name = "log",
                         .rules = {{[](B b) { return b.grad() / conj(b.in(0)); }, kIn0}},
                         .cast = Cast::raise};
  return unary(op, fn::Log{}, x);
}
Tensor log1p(const Tensor& x) {
  static constexpr Op op{.name = "log1p",
                         .rules = {{[](B b) { return b.grad() / (b.in(0) + 1); }, kIn0 | kWide}},
                         .cast = Cast::raise};
  return unary(op, fn::Log1p{}, x);
}
Tensor log2(const Tensor& x) {
  static constexpr Op op{.name = "log2",
                         .rules = {{[](B b) { return b.grad() / b.in(0) / M_LN2; }, kIn0 | kWide}},
                         .cast = Cast::raise};
  return unary(op, fn::Log2{}, x);
}
Tensor log10(const Tensor& x) {
  static constexpr Op op{.name = "log10",
                         .rules = {{[](B b) { return b.grad() / b.in(0) / M_LN10; }, kIn0 | kWide}},
                         .cast = Cast::raise};
  return unary(op, fn::Log10{}, x);
}
Tensor sqrt(const Tensor& x) {
  static constexpr Op op{.name = "sqrt",
                         .rules = {{[](B b) { return b.grad() / (2 * conj(b.out())); }, kOut0 | kWide}}};
  return unary(op, fn::Sqrt{}, x);
}
Tensor rsqrt(const Tensor& x) {
  static constexpr Op op{.name = "rsqrt",
                         .rules = {{[](B b) { return b.grad() * (-0.5 * pow(b.out(), 3)); }, kOut0 | kWide}},
                         .cast = Cast::raise};
  return unary(op, fn::Rsqrt{}, x);
}
Tensor reciprocal(const Tensor& x) {  // needs range under autocast
  return div(Scalar(1), mode().observers & kAutocast ? widened(x) : x);
}
Tensor square(const Tensor& x) {
  static constexpr Op op{.name = "square",
                         .rules = {{[](B b) { return b.grad() * (2 * conj(b.in(0))); }, kIn0 | kWide}}};
  return unary(op, fn::Square{}, x);
}
Tensor sin(const Tensor& x) {
  static constexpr Op op{.name = "sin", .rules = {{[](B b) { return b.grad() * conj(cos(b.in(0))); }, kIn0 | kWide}}};
  return unary(op, fn::Sin{}, x);
}
Tensor cos(const Tensor& x) {
  static constexpr Op op{.name = "cos",
                         .rules = {{[](B b) { return -(b.grad() * conj(sin(b.in(0)))); }, kIn0 | kWide}}};
  return unary(op, fn::Cos{}, x);
}
Tensor tan(const Tensor& x) {
  static constexpr Op op{.name = "tan",
                         .rules = {{[](B b) { return b.grad() * (1 + square(b.out())); }, kOut0 | kWide}},
                         .cast = Cast::raise};
  return unary(op, fn::Tan{}, x);
}
Tensor asin(const Tensor& x) {
  static constexpr Op op{.name = "asin",
                         .rules = {{[](B b) { return b.grad() * rsqrt(1 - square(b.in(0))); }, kIn0 | kWide}},
                         .cast = Cast::raise};
  return unary(op, fn::Asin{}, x);
}
Tensor acos(const Tensor& x) {
  static constexpr Op op{.name = "acos",
                         .rules = {{[](B b) { return -(b.grad() * rsqrt(1 - square(b.in(0)))); }, kIn0 | kWide}},
                         .cast = Cast::raise};
  return unary(op, fn::Acos{}, x);
}
Tensor atan(const Tensor& x) {
  static constexpr Op op{.name = "atan",
                         .rules = {{[](B b) { return b.grad() / (1 + square(b.in(0))); }, kIn0 | kWide}}};
  return unary(op, fn::Atan{}, x);
}
Tensor sinh(const Tensor& x) {
  static constexpr Op op{.name = "sinh",
                         .rules = {{[](B b) { return b.grad() * conj(cosh(b.in(0))); }, kIn0 | kWide}},
                         .cast = Cast::raise};
  return unary(op, fn::Sinh{}, x);
}
Tensor cosh(const Tensor& x) {
  static constexpr Op op{.name = "cosh",
                         .rules = {{[](B b) { return b.grad() * conj(sinh(b.in(0))); }, kIn0 | kWide}},
                         .cast = Cast::raise};
  return unary(op, fn::Cosh{}, x);
}
Tensor tanh(const Tensor& x) {
  static constexpr Op op{.name = "tanh", .rules = {{[](B b) { return derivative<fn::TanhGrad>(b, b.out()); }, kOut0}}};
  return unary(op, fn::Tanh{}, x);
}
Tensor erf(const Tensor& x) {
  static constexpr Op op{
      .name = "erf", .rules = {{[](B b) { return b.grad() * (M_2_SQRTPI * exp(-square(b.in(0)))); }, kIn0 | kWide}}};
  return unary(op, fn::Erf{}, x);
}
Tensor erfc(const Tensor& x) {
  static constexpr Op op{
      .name = "erfc", .rules = {{[](B b) { return b.grad() * (-M_2_SQRTPI * exp(-square(b.in(0)))); }, kIn0 | kWide}}};
  return unary(op, fn::Erfc{}, x);
}
Tensor erfinv(const Tensor& x) {
  static constexpr Op op{.name = "erfinv",
                         .rules = {{[](B b) { return b.grad() * (exp(square(b.out())) / M_2_SQRTPI); }, kOut0 | kWide}},
                         .cast = Cast::raise};
  return unary(op, fn::Erfinv{}, x);
}
// psi'(x) by its recurrence, then the asymptotic series; left of 1/2 by reflection (Abramowitz &
// Stegun 6.4.6, 6.4.12, 6.4.7).
static Tensor trigamma(const Tensor& x) {
  Tensor left = x < 0.5, z = where(left, 1 - x, x), y = zeros_like(z);
  for (int k = 0; k < 12; ++k) y = y + 1 / square(z + k);
  Tensor r = 1 / (z + 12), s = square(r);
  y = y + r * (1 + 0.5 * r + s * (1. / 6 - s * (1. / 30 - s * (1. / 42 - s * (1. / 30 - s * (5. / 66))))));
  Tensor inside = where(left, x, full({}, 0.5, x.options()));  // sin is not 0 in the branch that is not taken
  return where(left, square(M_PI / sin(M_PI * (inside - round(inside)))) - y, y);
}
Tensor digamma(const Tensor& x) {
  static constexpr Op op{.name = "digamma",
                         .rules = {{[](B b) { return b.grad() * trigamma(b.in(0)); }, kIn0 | kWide}},
                         .cast = Cast::raise};
  return unary(op, fn::Digamma{}, x);
}
Tensor lgamma(const Tensor& x) {
  static constexpr Op op{.name = "lgamma",
                         .rules = {{[](B b) { return b.grad() * digamma(b.in(0)); }, kIn0 | kWide}},
                         .cast = Cast::raise};
  return unary(op, fn::Lgamma{}, x);
}

// Rounding is constant between its steps: gradient 0. Integers are whole already.
template <class F> static Tensor rounding(const Op& op, const Tensor& x) {
  return is_integral(x.dtype()) ? clone(x) : unary(op, F{}, x);
}
static constexpr Rule zero_rule = [](B b) { return zeros_like(b.grad()); };
Tensor round(const Tensor& x) {
  static constexpr Op op{.name = "round", .rules = {{zero_rule}}};
  return rounding<fn::Round>(op, x);
}
Tensor floor(const Tensor& x) {
  static constexpr Op op{.name = "floor", .rules = {{zero_rule}}};
  return rounding<fn::Floor>(op, x);
}
Tensor ceil(const Tensor& x) {
  static constexpr Op op{.name = "ceil", .rules = {{zero_rule}}};
  return rounding<fn::Ceil>(op, x);
}
Tensor trunc(const Tensor& x) {
  static constexpr Op op{.name = "trunc", .rules = {{zero_rule}}};
  return rounding<fn::Trunc>(op, x);
}

// ---- activations
Tensor sigmoid(const Tensor& x) {
  static constexpr Op op{.name = "sigmoid",
                         .rules = {{[](B b) { return derivative<fn::SigmoidGrad>(b, b.out()); }, kOut0}}};
  return unary(op, fn::Sigmoid{}, x);
}
Tensor log_sigmoid(const Tensor& x) { return -softplus(-x); }
Tensor relu(const Tensor& x) {
  static constexpr Op op{.name = "relu", .rules = {{[](B b) { return derivative<fn::ReluGrad>(b, b.out()); }, kOut0}}};
  return unary(op, fn::Relu{}, x);
}
Tensor leaky_relu(const Tensor& x, double slope) {
  static constexpr Op op{
      .name = "leaky_relu",
      .rules = {{[](B b) { return where(b.in(0) > 0, b.grad(), b.grad() * b.context<fn::LeakyRelu>().slope); }, kIn0}}};
  return unary(op, fn::LeakyRelu{{}, slope}, x);
}
Tensor elu(const Tensor& x, double alpha) {
  static constexpr Op op{.name = "elu",
                         .rules = {{[](B b) {  // alpha e^x below 0
                                      Tensor x = b.in(0);
                                      return where(x > 0, b.grad(),
                                                   b.grad() * exp(clamp(x, {}, 0)) * b.context<fn::Elu>().alpha);
                                    },
                                    kIn0 | kWide}}};
  return unary(op, fn::Elu{{}, alpha}, x);
}
Tensor silu(const Tensor& x) {
  static constexpr Op op{.name = "silu", .rules = {{[](B b) { return derivative<fn::SiluGrad>(b, b.in(0)); }, kIn0}}};
  return unary(op, fn::Silu{}, x);
}
Tensor softplus(const Tensor& x) {
  static constexpr Op op{.name = "softplus",
                         .rules = {{[](B b) { return b.grad() * sigmoid(b.in(0)); }, kIn0 | kWide}},
                         .cast = Cast::raise};
  return unary(op, fn::Softplus{}, x);
}
static Tensor gelu_erf(const Tensor& x) {
  static constexpr Op op{.name = "gelu", .rules = {{[](B b) { return derivative<fn::GeluGrad>(b, b.in(0)); }, kIn0}}};
  return unary(op, fn::Gelu{}, x);
}
static Tensor gelu_tanh(const Tensor& x) {
  static constexpr Op op{.name = "gelu_tanh",
                         .rules = {{[](B b) { return derivative<fn::GeluTanhGrad>(b, b.in(0)); }, kIn0}}};
  return unary(op, fn::GeluTanh{}, x);
}
Tensor gelu(const Tensor& x, GeluForm form) { return form == GeluForm::erf ? gelu_erf(x) : gelu_tanh(x); }

// ---- bounds
static Tensor clamp_min(const Tensor& x, Scalar low) {
  static constexpr Op op{
      .name = "clamp",
      .rules = {
          {[](B b) { return where(b.in(0) >= b.context<fn::ClampMin>().s, b.grad(), zeros_like(b.grad())); }, kIn0}}};
  return unary(op, fn::ClampMin{{}, low}, x);
}
static Tensor clamp_max(const Tensor& x, Scalar high) {
  static constexpr Op op{
      .name = "clamp",
      .rules = {
          {[](B b) { return where(b.in(0) <= b.context<fn::ClampMax>().s, b.grad(), zeros_like(b.grad())); }, kIn0}}};
  return unary(op, fn::ClampMax{{}, high}, x);
}
Tensor clamp(const Tensor& x, std::optional<Scalar> low, std::optional<Scalar> high) {
  if (!low && !high) throw ValueError("clamp: neither bound is given");
  DType t = x.dtype();
  if (low) t = promote(t, *low);
  if (high) t = promote(t, *high);
  Tensor y = to(x, t);
  if (low) y = clamp_min(y, nearest(*low, t));
  return high ? clamp_max(y, nearest(*high, t)) : y;
}
Tensor nan_to_num(const Tensor& x, double nan, std::optional<double> posinf, std::optional<double> neginf) {
  if (is_integral(x.dtype())) return clone(x);
  const double largest = largest_of(x.dtype());
  Tensor y = masked_fill(x, isnan(x), nan), infinite = isinf(x);
  y = masked_fill(y, logical_and(infinite, x > 0), posinf.value_or(largest));
  return masked_fill(y, logical_and(infinite, x < 0), neginf.value_or(-largest));
}

}  // namespace ink
