// Every formula of tensor/math/functors.h and its gradient at 0, -0, the largest and the smallest numbers, subnormal
// ones, the infinities and NaN, in every real dtype, against closed forms in long double. Where a formula has no value
// of its own, its limit is right; what torch decides instead is said in the row.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

using L = long double;
const L inf = INFINITY, nan = NAN, pi = 3.14159265358979323846264338327950288L;

struct Format {
  DType dtype;
  // largest, smallest normal, smallest subnormal, half a unit in the last place of 1
  double most, normal, least, epsilon;
};
const Format kFormats[] = {{f32, 0x1.fffffep127, 0x1p-126, 0x1p-149, 0x1p-24},
                           {f64, std::numeric_limits<double>::max(), 0x1p-1022, 0x0.0000000000001p-1022, 0x1p-53},
                           {f16, 65504, 0x1p-14, 0x1p-24, 0x1p-11},
                           {bf16, 0x1.fep127, 0x1p-126, 0x1p-133, 0x1p-8}};

std::vector<double> points(const Format& f) {
  return {0.,        -0., f.most, -f.most, f.normal, -f.normal, f.least, -f.least, INFINITY,
          -INFINITY, NAN, 1,      -1,      0.5,      2,         -2,      3};
}
double rounded(L x, const Format& f) {
  if (f.dtype == f64) return double(x);
  if (f.dtype == f32) return float(x);
  const double d = double(x);
  return f.dtype == f16 ? double(half(d)) : double(bfloat16(d));
}
// got is x, rounded a few times; `absolute` where a difference of numbers near 1 is part of the formula.
bool near(double got, L x, const Format& f, bool absolute = false, double roundings = 8) {
  const double wanted = rounded(x, f);
  if (std::isnan(wanted) || std::isnan(got)) return std::isnan(wanted) && std::isnan(got);
  if (std::isinf(wanted) || std::isinf(got)) return wanted == got;
  return std::abs(got - wanted) <=
         roundings * f.epsilon * (absolute ? std::fmax(1, std::abs(wanted)) : std::abs(wanted)) + 2 * f.least;
}

struct Unary {
  const char* name;
  Tensor (*f)(const Tensor&);
  L (*y)(L);
  L (*slope)(L);
  bool absolute = false;          // the slope is 1 minus what was saved
  bool any_slope_at_nan = false;  // the formula has pieces, and that of one of them is as good as another
  double roundings = 8;
};

L logistic(L x) { return 1 / (1 + expl(-x)); }
L logistic_slope(L x) { return std::isnan(x) ? x : expl(-fabsl(x)) / powl(1 + expl(-fabsl(x)), 2); }
L softplus_of(L x) { return std::isnan(x) ? x : fmaxl(x, 0) + log1pl(expl(-fabsl(x))); }
L signum(L x) { return std::isnan(x) ? x : L(x > 0) - L(x < 0); }
L digamma_of(L x) {  // recurrence and asymptotic series (Abramowitz & Stegun 6.3.5, 6.3.18)
  if (x == 0) return copysignl(inf, -x);
  if (x < 0 && x == floorl(x)) return nan;  // a pole; and of -inf there is no limit
  if (x < 0.01L) return -1 / x - 0.57721566490153286061L + pi * pi / 6 * x - 1.2020569031595942854L * x * x;
  L shift = 0;
  for (; x < 30; x += 1) shift -= 1 / x;
  const L r = 1 / x / x;
  return shift + logl(x) - 0.5L / x - r * (1.L / 12 - r * (1.L / 120 - r * (1.L / 252 - r / 240)));
}
L trigamma_of(L x) {  // A. & S. 6.4.6, 6.4.12; infinite at the poles
  if (std::isinf(x)) return x > 0 ? L(0) : nan;
  if (x <= 0 && x == floorl(x)) return inf;
  if (x < 0.01L) return 1 / x / x + pi * pi / 6 - 2 * 1.2020569031595942854L * x;
  L sum = 0;
  for (; x < 30; x += 1) sum += 1 / x / x;
  const L r = 1 / x;
  return sum + r * (1 + r * (0.5L + r * (1.L / 6 - r * r * (1.L / 30 - r * r / 42))));
}
L erfinv_of(L x) {
  if (!(fabsl(x) <= 1)) return nan;
  if (fabsl(x) == 1) return x * inf;
  return x == 0.5L ? 0.47693627620446987338L : x * sqrtl(pi) / 2 * (1 + pi / 12 * x * x);  // the other points are small
}
L erfinv_slope(L x) { return sqrtl(pi) / 2 * expl(powl(erfinv_of(x), 2)); }
L cdf(L x) { return erfcl(-x / sqrtl(2)) / 2; }
L times(L x, L zero) { return zero == 0 && !std::isnan(x) ? L(0) : x * zero; }  // 0 inf with the 0 stronger
L gelu_slope(L x) { return cdf(x) + times(x, expl(-x * x / 2) / sqrtl(2 * pi)); }
L silu_slope(L x) { return logistic(x) + times(x, logistic_slope(x)); }
L tanh_argument(L x) { return 2 * sqrtl(2 / pi) * (x + 0.044715L * x * x * x); }
L gelu_tanh_slope(L x) {
  const L u = tanh_argument(x), inner = 2 * sqrtl(2 / pi) * (1 + 3 * 0.044715L * x * x);
  return logistic(u) + times(x * inner, logistic_slope(u));
}
L zero_slope(L) { return 0; }
L one_slope(L) { return 1; }
template <int numerator, int denominator> L power(L x) { return powl(x, L(numerator) / denominator); }
template <int n, int d> L power_slope(L x) { return L(n) / d * powl(x, L(n) / d - 1); }

const Unary kUnary[] = {
    {"neg", neg, [](L x) { return -x; }, [](L) { return L(-1); }},
    {"abs", abs, [](L x) { return fabsl(x); }, signum},
    {"sign", sign, signum, zero_slope},
    {"exp", exp, expl, expl},
    {"expm1", expm1, expm1l, expl, true},
    {"log", log, logl, [](L x) { return 1 / x; }},  // left of 0 too, where log is NaN: as in torch
    {"log1p", log1p, log1pl, [](L x) { return 1 / (1 + x); }},
    {"log2", log2, log2l, [](L x) { return 1 / x / logl(2); }},
    {"log10", log10, log10l, [](L x) { return 1 / x / logl(10); }},
    {"sqrt", sqrt, sqrtl, [](L x) { return 0.5L / sqrtl(x); }},
    {"rsqrt", rsqrt, [](L x) { return 1 / sqrtl(x); }, [](L x) { return -0.5L * powl(1 / sqrtl(x), 3); }},
    {"reciprocal", reciprocal, [](L x) { return 1 / x; }, [](L x) { return -1 / x / x; }},
    {"square", square, [](L x) { return x * x; }, [](L x) { return 2 * x; }},
    {"sin", sin, sinl, cosl},
    {"cos", cos, cosl, [](L x) { return -sinl(x); }},
    {"tan", tan, tanl, [](L x) { return 1 + powl(tanl(x), 2); }},
    {"asin", asin, asinl, [](L x) { return 1 / sqrtl(1 - x * x); }},
    {"acos", acos, acosl, [](L x) { return -1 / sqrtl(1 - x * x); }},
    {"atan", atan, atanl, [](L x) { return 1 / (1 + x * x); }},
    {"sinh", sinh, sinhl, coshl},
    {"cosh", cosh, coshl, sinhl},
    {"tanh", tanh, tanhl, [](L x) { return 1 - powl(tanhl(x), 2); }, true},
    {"erf", erf, erfl, [](L x) { return 2 / sqrtl(pi) * expl(-x * x); }},
    {"erfc", erfc, erfcl, [](L x) { return -2 / sqrtl(pi) * expl(-x * x); }},
    {"erfinv", erfinv, erfinv_of, erfinv_slope},
    {"lgamma", lgamma, [](L x) { return lgammal(x); }, digamma_of, false, false, 64},
    {"digamma", digamma, digamma_of, trigamma_of, false, false, 64},
    {"round", round, rintl, zero_slope},
    {"floor", floor, floorl, zero_slope},
    {"ceil", ceil, ceill, zero_slope},
    {"trunc", trunc, truncl, zero_slope},
    {"sigmoid", sigmoid, logistic, logistic_slope, true},
    {"log_sigmoid", log_sigmoid, [](L x) { return -softplus_of(-x); }, [](L x) { return logistic(-x); }},
    {"relu", relu, [](L x) { return x < 0 ? L(0) : x; }, [](L x) { return L(x > 0); }, false, true},
    {"leaky_relu", [](const Tensor& x) { return leaky_relu(x, 0.25); }, [](L x) { return x < 0 ? x / 4 : x; },
     [](L x) { return x > 0 ? 1 : 0.25L; }, false, true},
    {"elu", [](const Tensor& x) { return elu(x); }, [](L x) { return x > 0 ? x : expm1l(x); },
     [](L x) { return x > 0 ? L(1) : expl(x); }},
    {"gelu", [](const Tensor& x) { return gelu(x); }, [](L x) { return times(x, cdf(x)); }, gelu_slope, true},
    {"gelu tanh", [](const Tensor& x) { return gelu(x, GeluForm::tanh); },
     [](L x) { return times(x, logistic(tanh_argument(x))); }, gelu_tanh_slope, true},
    {"silu", silu, [](L x) { return times(x, logistic(x)); }, silu_slope, true},
    {"softplus", softplus, softplus_of, logistic},
    {"clamp", [](const Tensor& x) { return clamp(x, -1, 1); }, [](L x) { return x < -1  ? L(-1)
                                                                                : x > 1 ? L(1)
                                                                                        : x; },
     [](L x) { return L(fabsl(x) <= 1); }},
    {"add a number", [](const Tensor& x) { return x + 1; }, [](L x) { return x + 1; }, one_slope},
    {"number minus", [](const Tensor& x) { return 1 - x; }, [](L x) { return 1 - x; }, [](L) { return L(-1); }},
    {"times a number", [](const Tensor& x) { return x * 3; }, [](L x) { return x * 3; }, [](L) { return L(3); }},
    {"by a number", [](const Tensor& x) { return x / 4; }, [](L x) { return x / 4; }, [](L) { return L(0.25); }},
    {"number by", [](const Tensor& x) { return 3 / x; }, [](L x) { return 3 / x; }, [](L x) { return -3 / x / x; }},
    {"to the power 0", [](const Tensor& x) { return pow(x, 0); }, power<0, 1>, zero_slope},
    {"to the power 1", [](const Tensor& x) { return pow(x, 1); }, power<1, 1>, one_slope},
    {"to the power 2", [](const Tensor& x) { return pow(x, 2); }, power<2, 1>, power_slope<2, 1>},
    {"to the power 3", [](const Tensor& x) { return pow(x, 3); }, power<3, 1>, power_slope<3, 1>},
    {"to the power 1/2", [](const Tensor& x) { return pow(x, 0.5); }, power<1, 2>, power_slope<1, 2>},
    {"to the power -1", [](const Tensor& x) { return pow(x, -1); }, power<-1, 1>, power_slope<-1, 1>},
    {"to the power -1/2", [](const Tensor& x) { return pow(x, -0.5); }, power<-1, 2>, power_slope<-1, 2>},
    {"power of 2", [](const Tensor& x) { return pow(2, x); }, [](L x) { return powl(2, x); },
     [](L x) { return powl(2, x) * logl(2); }},
    {"power of 1/2", [](const Tensor& x) { return pow(0.5, x); }, [](L x) { return powl(0.5, x); },
     [](L x) { return -powl(0.5, x) * logl(2); }},
    {"power of 1", [](const Tensor& x) { return pow(1, x); }, [](L x) { return powl(1, x); }, zero_slope},
    // 0^x falls from 1 to 0 at 0; torch gives 0 there
    {"power of 0", [](const Tensor& x) { return pow(0., x); }, [](L x) { return powl(0, x); },
     [](L x) { return std::isnan(x) ? x
                      : x >= 0      ? L(0)
                                    : -inf; }},
};

struct Binary {
  const char* name;
  Tensor (*f)(const Tensor&, const Tensor&);
  L (*y)(L, L);
  L (*slope_a)(L, L);
  L (*slope_b)(L, L);
};

// Towards -inf from the exact remainder; of an infinite a NaN, as in torch and Python.
L floor_quotient(L a, L b) {
  if (b == 0) return a / b;
  const L r = fmodl(a, b), q = (a - r) / b;
  return r != 0 && (r < 0) != (b < 0) ? q - 1 : q;
}
L modulo(L a, L b) {
  const L r = fmodl(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
// b / (a^2 + b^2), 0 at infinity and (torch) at the origin.
L over_square(L b, L a, L c) {
  if (std::isnan(a) || std::isnan(c)) return nan;
  return std::isinf(a) || std::isinf(c) || (a == 0 && c == 0) ? L(0) : b / (a * a + c * c);
}
L bigger(L a, L b) { return std::isnan(a) || std::isnan(b) ? nan : a > b ? a : b; }
// The winner's, half to each at a tie; with a NaN torch gives it to both.
L share_of(L mine, L other) { return mine < other ? L(0) : mine == other ? L(0.5) : L(1); }
L exponent_slope(L x, L e) {
  if ((x == 0 && e >= 0) || (x == inf && e < 0)) return 0;  // at 0^0 torch's choice
  return powl(x, e) * logl(x);
}

const Binary kBinary[] = {
    {"add", [](const Tensor& a, const Tensor& b) { return a + b; }, [](L a, L b) { return a + b; },
     [](L, L) { return L(1); }, [](L, L) { return L(1); }},
    {"sub", [](const Tensor& a, const Tensor& b) { return a - b; }, [](L a, L b) { return a - b; },
     [](L, L) { return L(1); }, [](L, L) { return L(-1); }},
    {"mul", [](const Tensor& a, const Tensor& b) { return a * b; }, [](L a, L b) { return a * b; },
     [](L, L b) { return b; }, [](L a, L) { return a; }},
    {"div", [](const Tensor& a, const Tensor& b) { return a / b; }, [](L a, L b) { return a / b; },
     [](L, L b) { return 1 / b; }, [](L a, L b) { return -a / b / b; }},
    {"remainder", [](const Tensor& a, const Tensor& b) { return remainder(a, b); }, modulo, [](L, L) { return L(1); },
     [](L a, L b) { return -floor_quotient(a, b); }},
    {"pow", [](const Tensor& a, const Tensor& b) { return pow(a, b); }, [](L a, L b) { return powl(a, b); },
     [](L a, L b) { return b == 0 ? L(0) : b * powl(a, b - 1); }, exponent_slope},
    {"atan2", [](const Tensor& a, const Tensor& b) { return atan2(a, b); }, [](L a, L b) { return atan2l(a, b); },
     [](L a, L b) { return over_square(b, a, b); }, [](L a, L b) { return over_square(-a, a, b); }},
    {"maximum", [](const Tensor& a, const Tensor& b) { return maximum(a, b); }, bigger, share_of,
     [](L a, L b) { return share_of(b, a); }},
    {"minimum", [](const Tensor& a, const Tensor& b) { return minimum(a, b); },
     [](L a, L b) { return -bigger(-a, -b); }, [](L a, L b) { return share_of(-a, -b); },
     [](L a, L b) { return share_of(-b, -a); }},
};

std::string wrong(const char* what, const char* name, const Format& f, std::initializer_list<double> at, double got,
                  L wanted) {
  std::string where;
  for (double x : at) where += fmt::format(" {:g}", x);
  return fmt::format("{} of {} in {} at{}: got {:.9g}; expected {:.9g}\n", what, name, name_of(f.dtype), where, got,
                     rounded(wanted, f));
}

}  // namespace

TEST_CASE("formulas of one operand, and their slopes, at the ends of the number line", "[formulas]") {
  std::string all_wrong;
  for (const Format& format : kFormats) {
    std::vector<double> at = points(format);
    for (const Unary& u : kUnary) {
      Tensor x = to(from_data(std::span<const double>(at), {int64_t(at.size())}), format.dtype).requires_grad_();
      Tensor y = u.f(x);
      const auto values = y.to_vector<double>();
      for (bool again : {false, true}) {
        const auto slopes = grad(y, x, ones_like(y), {.create_graph = again, .retain_graph = true}).to_vector<double>();
        for (size_t i = 0; i < at.size(); ++i) {
          const L p = at[i];
          if (!again && !near(values[i], u.y(p), format, false, u.roundings))
            all_wrong += wrong("value", u.name, format, {at[i]}, values[i], u.y(p));
          if (u.any_slope_at_nan && std::isnan(at[i])) continue;
          if (!near(slopes[i], u.slope(p), format, u.absolute, u.roundings))
            all_wrong += wrong(again ? "slope (recorded)" : "slope", u.name, format, {at[i]}, slopes[i], u.slope(p));
        }
      }
    }
  }
  CHECK(all_wrong == "");
}

TEST_CASE("formulas of two operands, and their slopes, at the ends of the number line", "[formulas]") {
  std::string all_wrong;
  for (const Format& format : kFormats) {
    std::vector<double> as, bs;
    for (double a : points(format))
      for (double b : points(format)) as.push_back(a), bs.push_back(b);
    auto tensor_of = [&](const std::vector<double>& v) {
      return to(from_data(std::span<const double>(v), {int64_t(v.size())}), format.dtype);
    };
    for (const Binary& r : kBinary) {
      Tensor a = tensor_of(as).requires_grad_(), b = tensor_of(bs).requires_grad_(), y = r.f(a, b);
      Tensor outputs[] = {y}, inputs[] = {a, b}, ones[] = {ones_like(y)};
      const auto g = grad(outputs, inputs, ones);
      const auto values = y.to_vector<double>(), of_a = g[0].to_vector<double>(), of_b = g[1].to_vector<double>();
      for (size_t i = 0; i < as.size(); ++i) {
        const L p = as[i], q = bs[i];
        // x^e with e so small that x^(e-1) overflows beside it is left out
        if (std::string_view(r.name) == "pow" && std::abs(bs[i]) > 0 && std::abs(bs[i]) < 0.1) continue;
        if (!near(values[i], r.y(p, q), format))
          all_wrong += wrong("value", r.name, format, {as[i], bs[i]}, values[i], r.y(p, q));
        if (!near(of_a[i], r.slope_a(p, q), format))
          all_wrong += wrong("slope in a", r.name, format, {as[i], bs[i]}, of_a[i], r.slope_a(p, q));
        if (!near(of_b[i], r.slope_b(p, q), format))
          all_wrong += wrong("slope in b", r.name, format, {as[i], bs[i]}, of_b[i], r.slope_b(p, q));
      }
    }
    const auto quotients = floor_divide(tensor_of(as), tensor_of(bs)).to_vector<double>();
    for (size_t i = 0; i < as.size(); ++i)
      if (!near(quotients[i], floor_quotient(as[i], bs[i]), format))
        all_wrong += wrong("value", "floor_divide", format, {as[i], bs[i]}, quotients[i], floor_quotient(as[i], bs[i]));
  }
  CHECK(all_wrong == "");
}

TEST_CASE("the divisor's gradient belongs to the quotient of the remainder", "[formulas]") {
  for (DType t : {f32, f64}) {
    Tensor a = full({}, 1, t), b = full({}, 0.1, t).requires_grad_();
    remainder(a, b).backward();
    CHECK(b.grad().item() == -9);  // 0.1 is a little above 1/10 in both formats, and 1 / 0.1 is rounded to 10
  }
  CHECK(floor_divide(tensor({-1}), tensor({INFINITY})).item() == -1);
}

TEST_CASE("angles of large and small complex numbers have gradients", "[formulas]") {
  for (double size : {1e-30, 1., 1e30}) {
    Tensor z = complex_of(full({}, 3 * size), full({}, 4 * size)).requires_grad_();
    angle(z).backward();
    Tensor g = view_as_real(z.grad());
    CHECK(g[0].item() == Approx(-4 / (25 * size)));
    CHECK(g[1].item() == Approx(3 / (25 * size)));
  }
}
