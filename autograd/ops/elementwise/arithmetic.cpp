// Elementwise ops of two operands. The engine undoes broadcasting and promotion, so a rule is written as if a and b had
// the output's shape and dtype.
#include <fmt/format.h>

#include <cmath>

#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "autograd/ops/list_op.h"

namespace ink {

using B = const Backward&;

namespace {

// f(x, number): the number is a parameter of the formula; x takes the dtype the pair promotes to.
template <class F> Tensor with_scalar(const Op& op, const Tensor& x, const Scalar& s) {
  DType t = promote(x.dtype(), s);
  F f;
  f.s = s;
  return unary(op, f, t == x.dtype() ? x : to(x, t));
}
template <class F> const Scalar& scalar_of(B b) { return b.context<F>().s; }
Scalar conj(const Scalar& s) { return s.is_complex() ? Scalar(fn::Conj{}(s.to<complex<double>>())) : s; }
// A number as a 0-dim tensor of the dtype that x and it promote to.
Tensor number_like(const Tensor& x, const Scalar& s) { return full({}, s, {promote(x.dtype(), s), x.device()}); }
bool both_bool(const Tensor& a, const Tensor& b) { return a.dtype() == boolean && b.dtype() == boolean; }
bool both_bool(const Tensor& a, const Scalar& b) { return a.dtype() == boolean && b.kind() == kBool; }
// The gradient of x^e for e: x^e log x; 0 where x is 0 and e is not negative, or x is infinite and e negative.
Tensor exponent_gradient(const Tensor& g, const Tensor& x, const Tensor& e, const Tensor& y) {
  return g * conj(y * log(where(where(real(e) >= 0, x == 0, x == INFINITY), ones_like(x), x)));
}

}  // namespace

void refuse_bool(const char* op, DType a, DType b) {
  if (a == boolean || b == boolean)
    throw DTypeError(
        fmt::format("{}: got {} and {}; expected numbers; hint: logical_xor or logical_not, or to(i64) first", op,
                    name_of(a), name_of(b)));
}

Scalar negated(const Scalar& s) {
  if (s.is_complex()) return Scalar(-s.to<complex<double>>());
  // the smallest is its own
  return s.kind() == kFloat ? Scalar(-s.as_double()) : Scalar(int64_t(-uint64_t(s.to<int64_t>())));
}

Tensor add(const Tensor& a, const Tensor& b, const Scalar& alpha) {
  if (both_bool(a, b)) return alpha.to<bool>() ? logical_or(a, b) : logical_or(a, zeros_like(b));
  static constexpr Op op{.name = "add", .rules = {{[](B b) { return b.grad(); }}, {[](B b) { return b.grad(); }}}};
  auto sum = [](const Tensor& a, const Tensor& b) { return binary(op, fn::Add{}, a, b); };
  if (alpha.kind() <= kInt && alpha.to<int64_t>() == 1) return sum(a, b);
  return in_f32_if_half([&](const Tensor& a, const Tensor& b) { return sum(a, mul(b, alpha)); }, a, b);
}
Tensor add(const Tensor& a, const Scalar& b) {
  if (both_bool(a, b)) return logical_or(a, number_like(a, b));
  static constexpr Op op{.name = "add", .rules = {{[](B b) { return b.grad(); }}}};
  return with_scalar<fn::AddScalar>(op, a, b);
}
Tensor sub(const Tensor& a, const Tensor& b) {
  refuse_bool("sub", a.dtype(), b.dtype());
  static constexpr Op op{.name = "sub", .rules = {{[](B b) { return b.grad(); }}, {[](B b) { return -b.grad(); }}}};
  return binary(op, fn::Sub{}, a, b);
}
Tensor sub(const Tensor& a, const Scalar& b) {
  refuse_bool("sub", a.dtype(), b.kind() == kBool ? boolean : i64);
  return add(a, negated(b));
}
Tensor sub(const Scalar& a, const Tensor& b) {
  refuse_bool("sub", a.kind() == kBool ? boolean : i64, b.dtype());
  static constexpr Op op{.name = "sub", .rules = {{[](B b) { return -b.grad(); }}}};
  return with_scalar<fn::RsubScalar>(op, b, a);
}
Tensor mul(const Tensor& a, const Tensor& b) {
  if (both_bool(a, b)) return logical_and(a, b);
  static constexpr Op op{.name = "mul",
                         .rules = {{[](B b) { return b.grad() * conj(b.in(1)); }, kIn1},
                                   {[](B b) { return b.grad() * conj(b.in(0)); }, kIn0}}};
  return binary(op, fn::Mul{}, a, b);
}
Tensor mul(const Tensor& a, const Scalar& b) {
  if (both_bool(a, b)) return logical_and(a, number_like(a, b));
  static constexpr Op op{.name = "mul", .rules = {{[](B b) { return b.grad() * conj(scalar_of<fn::MulScalar>(b)); }}}};
  return with_scalar<fn::MulScalar>(op, a, b);
}
Tensor div(const Tensor& a, const Tensor& b) {
  static constexpr Op op{.name = "div",
                         .rules = {{[](B b) { return b.grad() / conj(b.in(1)); }, kIn1},
                                   {[](B b) { return -(b.grad() * conj(b.out() / b.in(1))); }, kIn1 | kOut0 | kWide}}};
  return binary(op, fn::Div{}, a, b);
}
Tensor div(const Tensor& a, const Scalar& b) {
  static constexpr Op op{.name = "div", .rules = {{[](B b) { return b.grad() / conj(scalar_of<fn::DivScalar>(b)); }}}};
  return with_scalar<fn::DivScalar>(op, a, b);
}
Tensor div(const Scalar& a, const Tensor& b) {
  static constexpr Op op{.name = "div",
                         .rules = {{[](B b) { return -(b.grad() * conj(b.out() / b.in(0))); }, kIn0 | kOut0 | kWide}}};
  return with_scalar<fn::RdivScalar>(op, b, a);
}

static void check_divisor(const char* op, const Tensor& a, const Tensor& b) {
  if (is_integral(promote(a.dtype(), b.dtype())) && !all(b != 0).item<bool>())
    throw ValueError(fmt::format("{}: division of integers by zero; hint: convert to f32 first for inf and NaN", op));
}
Tensor floor_divide(const Tensor& a, const Tensor& b) {
  NoGrad guard;
  check_divisor("floor_divide", a, b);
  return raw::binary("floor_divide", fn::FloorDiv{}, a, b);
}
Tensor floor_divide(const Tensor& a, const Scalar& b) { return floor_divide(a, number_like(a, b)); }
Tensor remainder(const Tensor& a, const Tensor& b) {
  check_divisor("remainder", a, b);
  static constexpr Op op{.name = "remainder",
                         .rules = {{[](B b) { return b.grad(); }},
                                   {[](B b) { return -(b.grad() * floor_divide(b.in(0), b.in(1))); },
                                    kIn0 | kIn1 | kWide}}};
  return binary(op, fn::Remainder{}, a, b);
}
Tensor remainder(const Tensor& a, const Scalar& b) { return remainder(a, number_like(a, b)); }

// Exponent 0 has gradient 0 even at base 0.
static Tensor pow_base_rule(B b) {
  Tensor x = b.in(0), e = b.in(1);
  Tensor g = b.grad() * conj(e * pow(x, e - 1));
  return where(e == 0, zeros_like(g), g);
}
static Tensor pow_exponent_rule(B b) { return exponent_gradient(b.grad(), b.in(0), b.in(1), b.out()); }
Tensor pow(const Tensor& a, const Tensor& b) {
  static constexpr Op op{.name = "pow",
                         .rules = {{pow_base_rule, kIn0 | kIn1 | kWide},
                                   {pow_exponent_rule, kIn0 | kIn1 | kOut0 | kWide}},
                         .cast = Cast::raise};
  return binary(op, fn::Pow{}, a, b);
}
static Tensor pow_number_rule(B b) {
  const Scalar& s = scalar_of<fn::PowScalar>(b);
  if (s.is_complex())
    return b.grad() * ink::conj(pow(b.in(0), Scalar(s.to<complex<double>>() - complex<double>(1))) * s);
  double e = s.as_double();
  if (e == 0) return zeros_like(b.grad());
  return b.grad() * ink::conj(e * pow(b.in(0), e - 1));
}
Tensor pow(const Tensor& a, const Scalar& b) {
  static constexpr Op op{.name = "pow", .rules = {{pow_number_rule, kIn0 | kWide}}, .cast = Cast::raise};
  if (!b.is_complex()) {
    const Tensor x = to(a, promote(a.dtype(), b));
    if (b.as_double() == 2) return square(x);
    if (b.as_double() == 1) return clone(x);
    if (is_integral(x.dtype()) && b.as_double() < 0)
      throw ValueError("pow: an integer tensor to a negative integer power; hint: convert to f32 first");
  }
  return with_scalar<fn::PowScalar>(op, a, b);
}
static Tensor number_pow_rule(B b) {
  const Tensor y = b.out();
  return exponent_gradient(b.grad(), full({}, scalar_of<fn::RpowScalar>(b), y.options()), b.in(0), y);
}
Tensor pow(const Scalar& a, const Tensor& b) {
  static constexpr Op op{.name = "pow", .rules = {{number_pow_rule, kIn0 | kOut0 | kWide}}, .cast = Cast::raise};
  return with_scalar<fn::RpowScalar>(op, b, a);
}
Tensor atan2(const Tensor& y, const Tensor& x) {
  // g part / (y^2 + x^2), all divided by the larger of the two first; 0 at the origin (as in torch) and at infinity.
  static constexpr auto turned = [](B b, int part, double sign) {
    const Tensor y = b.in(0), x = b.in(1), size = detach(maximum(abs(y), abs(x)));
    const Tensor end = logical_or(size == 0, isinf(size)), m = where(end, ones_like(size), size),
                 none = zeros_like(size);
    const Tensor u = where(end, none, y / m), v = where(end, m, x / m);
    return b.grad() * where(end, none, sign * (part ? v : u) / (square(u) + square(v)) / m);
  };
  static constexpr Op op{.name = "atan2",
                         .rules = {{[](B b) { return turned(b, 1, 1); }, kIn0 | kIn1 | kWide},
                                   {[](B b) { return turned(b, 0, -1); }, kIn0 | kIn1 | kWide}}};
  return binary(op, fn::Atan2{}, y, x);
}

// The gradient goes to the winner; at a tie each side gets half (torch).
static Tensor share(const Tensor& g, const Tensor& mine, const Tensor& other, bool largest) {
  // neither does beside a NaN: both have the gradient then, as in torch
  Tensor loses = largest ? mine < other : mine > other;
  return where(loses, zeros_like(g), where(mine == other, g * 0.5, g));
}
Tensor maximum(const Tensor& a, const Tensor& b) {
  static constexpr Op op{.name = "maximum",
                         .rules = {{[](B b) { return share(b.grad(), b.in(0), b.in(1), true); }, kIn0 | kIn1},
                                   {[](B b) { return share(b.grad(), b.in(1), b.in(0), true); }, kIn0 | kIn1}}};
  return binary(op, fn::Maximum{}, a, b);
}
Tensor minimum(const Tensor& a, const Tensor& b) {
  static constexpr Op op{.name = "minimum",
                         .rules = {{[](B b) { return share(b.grad(), b.in(0), b.in(1), false); }, kIn0 | kIn1},
                                   {[](B b) { return share(b.grad(), b.in(1), b.in(0), false); }, kIn0 | kIn1}}};
  return binary(op, fn::Minimum{}, a, b);
}
// From the nearer end, so that a weight of 0 or 1 gives that end itself.
Tensor lerp(const Tensor& a, const Tensor& b, const Tensor& weight) {
  auto between = [](const Tensor& a, const Tensor& b, const Tensor& w) {
    Tensor d = b - a;
    return where(w < 0.5, a + w * d, b - (1 - w) * d);
  };
  return in_f32_if_half(between, a, b, weight);
}
Tensor lerp(const Tensor& a, const Tensor& b, double weight) {
  auto between = [&](const Tensor& a, const Tensor& b) {
    return weight < 0.5 ? a + weight * (b - a) : b - (1 - weight) * (b - a);
  };
  return in_f32_if_half(between, a, b);
}

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  static constexpr Op op{.name = "where",
                         .rules = {{},
                                   {[](B b) { return where(b.in(0), b.grad(), zeros_like(b.grad())); }, kIn0},
                                   {[](B b) { return where(b.in(0), zeros_like(b.grad()), b.grad()); }, kIn0}}};
  return call(op, NoContext{}, raw::where, condition, a, b);
}
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Scalar& value) {
  const bool whole = is_integral(x.dtype()) && value.kind() <= kInt;
  // the tensor keeps its dtype; full() refuses a whole number that does not fit
  if (!whole && promote(x.dtype(), value) != x.dtype())
    throw DTypeError(fmt::format(
        "masked_fill: the number is of a higher kind than the tensor; got {} for {}; hint: convert the tensor first",
        value.as_double(), name_of(x.dtype())));
  return where(mask, full({}, value, {x.dtype(), x.device()}), x);
}

}  // namespace ink
