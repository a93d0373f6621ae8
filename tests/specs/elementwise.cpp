// Rows of the elementwise ops of one operand. References: the C++ library, complex forms included.
#include <cmath>
#include <limits>

#include "tests/specs/samples.h"

namespace ink::test {
namespace {

// Between whole numbers and halves, so that rounding has no step nearby.
Tensor between_steps(const Shape& s, int seed) { return round(away(s, seed) * 3) + 0.2; }
Tensor with_specials(const Shape& s, int seed) {
  std::vector<double> x = away(s, seed).to_vector<double>();
  const double inf = std::numeric_limits<double>::infinity();
  double specials[] = {inf, -inf, std::nan("")};
  for (size_t i = 0; i < x.size(); i += 2) x[i] = specials[i / 2 % 3];
  return from_data(std::span<const double>(x), s);
}

// psi by its recurrence and asymptotic series (Abramowitz & Stegun 6.3.5, 6.3.18)
double digamma_reference(double x) {
  double shift = 0;
  for (; x < 20; x += 1) shift -= 1 / x;
  double r = 1 / (x * x);
  return shift + std::log(x) - 0.5 / x - r * (1. / 12 - r * (1. / 120 - r * (1. / 252 - r / 240)));
}
// The root of erf(y) = x by bisection.
double erfinv_reference(double x) {
  double low = -4, high = 4;
  for (int i = 0; i < 200; ++i) (std::erf((low + high) / 2) < x ? low : high) = (low + high) / 2;
  return (low + high) / 2;
}
double sign_reference(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }

struct Complex {  // the std::complex overloads, as functions of one type
  static C exp(C x) { return std::exp(x); }
  static C log(C x) { return std::log(x); }
  static C sqrt(C x) { return std::sqrt(x); }
  static C sin(C x) { return std::sin(x); }
  static C cos(C x) { return std::cos(x); }
  static C sinh(C x) { return std::sinh(x); }
  static C cosh(C x) { return std::cosh(x); }
  static C tanh(C x) { return std::tanh(x); }
};

OpSpec list_op(const char* name, Tensor (*f)(const Tensor&), F1 reference, Make make = away,
               bool with_complex = false) {
  return {.name = name, .cases = unary_cases(f, std::move(reference), make, with_complex), .elementwise = true};
}

}  // namespace

void add_elementwise_specs(Specs& s) {
  OpSpec row = list_op(
      "neg", neg, [](C x) { return -x; }, away, true);
  row.integers = true;
  s.push_back(row);
  row = list_op(
      "abs", abs, [](C x) { return C(std::abs(x)); }, away, true);
  row.integers = true;
  s.push_back(row);
  row = list_op("sign", sign, on_real(sign_reference));
  row.second = false;  // the gradient is 0
  row.integers = true;
  row.errors = {
      fails<DTypeError>("DTypeError", "sign: dtype not supported; got c128", [] { return sign(complex_away({2})); })};
  s.push_back(row);
  row = list_op("exp", exp, Complex::exp, away, true);
  row.integers = true;
  row.factor = 8;
  s.push_back(row);
  row = list_op("expm1", expm1, on_real(std::expm1));
  row.errors = {
      fails<DTypeError>("DTypeError", "expm1: dtype not supported; got c128", [] { return expm1(complex_away({2})); })};
  s.push_back(row);
  s.push_back(list_op("log", log, Complex::log, positive, true));
  s.push_back(list_op("log1p", log1p, on_real(std::log1p), unit));
  s.push_back(list_op("log2", log2, on_real(std::log2), positive));
  s.push_back(list_op("log10", log10, on_real(std::log10), positive));
  s.push_back(list_op("sqrt", sqrt, Complex::sqrt, positive, true));
  s.push_back(list_op("rsqrt", rsqrt, on_real([](double x) { return 1 / std::sqrt(x); }), positive));
  row = list_op(
      "reciprocal", reciprocal, [](C x) { return x.imag() == 0 ? C(1 / x.real()) : 1. / x; }, away, true);
  row.integers = true;
  s.push_back(row);
  row = list_op(
      "square", square, [](C x) { return x * x; }, away, true);
  row.integers = true;
  s.push_back(row);
  s.push_back(list_op("sin", sin, Complex::sin, away, true));
  s.push_back(list_op("cos", cos, Complex::cos, away, true));
  row = list_op("tan", tan, on_real(std::tan), unit);
  row.factor = 8;
  s.push_back(row);
  s.push_back(list_op("asin", asin, on_real(std::asin), unit));
  s.push_back(list_op("acos", acos, on_real(std::acos), unit));
  s.push_back(list_op("atan", atan, on_real(std::atan)));
  s.push_back(list_op("sinh", sinh, Complex::sinh, away, true));
  s.push_back(list_op("cosh", cosh, Complex::cosh, away, true));
  row = list_op("tanh", tanh, Complex::tanh, away, true);
  row.integers = true;
  row.factor = 16;  // complex: a quotient of two sums
  s.push_back(row);
  s.push_back(list_op("erf", erf, on_real(std::erf)));
  s.push_back(list_op("erfc", erfc, on_real(std::erfc)));
  row = list_op("erfinv", erfinv, on_real(erfinv_reference), unit);
  row.factor = 16;  // the slope of erfinv at 0.9 is 3.4
  s.push_back(row);
  row = list_op("lgamma", lgamma, on_real([](double x) { return std::lgamma(x); }), positive);
  row.factor = 16;
  s.push_back(row);
  row = list_op("digamma", digamma, on_real(digamma_reference), positive);
  row.factor = 64;  // f64: an asymptotic series after a recurrence
  s.push_back(row);
  // Left of 0, by the reflection formula psi(x) = psi(1 - x) - pi / tan(pi x)
  row = list_op("digamma.negative", digamma,
                on_real([](double x) { return digamma_reference(1 - x) - M_PI / std::tan(M_PI * x); }),
                [](const Shape& shape, int seed) { return unit(shape, seed) * 0.35 - 1.5; });
  row.factor = 64;
  s.push_back(row);
  for (auto [name, f, g] : {std::tuple{"round", &round, +[](double x) { return std::nearbyint(x); }},
                            {"floor", &floor, +[](double x) { return std::floor(x); }},
                            {"ceil", &ceil, +[](double x) { return std::ceil(x); }},
                            {"trunc", &trunc, +[](double x) { return std::trunc(x); }}}) {
    row = list_op(name, f, on_real(g), between_steps);
    row.second = false;
    row.integers = true;
    s.push_back(row);
  }
  row = list_op("round.half", round, on_real([](double x) { return std::nearbyint(x); }),
                [](const Shape& shape, int seed) { return round(away(shape, seed) * 3) + 0.5; });
  row.gradient = false;  // (its gradient is 0, but differences across a step are not)
  row.cases = [make = row.cases] {
    auto cases = make();
    for (Case& c : cases) c.op = [](const TensorList& in) { return TensorList{detach(round(in[0]))}; };
    return cases;
  };
  s.push_back(row);

  const double inf = std::numeric_limits<double>::infinity();
  for (auto [name, f, g] :
       {std::tuple{"isnan", &isnan, +[](C x) { return C(std::isnan(x.real()) || std::isnan(x.imag())); }},
        {"isinf", &isinf, +[](C x) { return C(std::isinf(x.real()) || std::isinf(x.imag())); }},
        {"isfinite", &isfinite, +[](C x) { return C(std::isfinite(x.real()) && std::isfinite(x.imag())); }}}) {
    row = list_op(name, f, g, with_specials, true);
    row.gradient = false;
    s.push_back(row);
  }
  row = list_op(
      "logical_not", logical_not, [](C x) { return C(x == 0.); },
      [](const Shape& shape, int seed) { return to(mask(shape, seed), f64) * away(shape, seed); });
  row.gradient = false;
  row.integers = true;
  s.push_back(row);

  s.push_back(
      {.name = "nan_to_num",
       .cases = unary_cases([](const Tensor& x) { return nan_to_num(x, 0.5, 2, -2); },
                            [inf](C x) {
                              double r = x.real();
                              return C(std::isnan(r) ? 0.5 : r == inf ? 2 : r == -inf ? -2 : r);
                            },
                            with_specials),
       .elementwise = true,
       .gradient = false});  // finite values are checked in nan_to_num.finite: no difference crosses an infinity
  s.back().cases = [make = s.back().cases] {
    auto cases = make();
    for (Case& c : cases) c.op = [](const TensorList& in) { return TensorList{detach(nan_to_num(in[0], 0.5, 2, -2))}; };
    return cases;
  };
  s.push_back({.name = "nan_to_num.finite",
               .cases = unary_cases([](const Tensor& x) { return nan_to_num(x); }, [](C x) { return x; }),
               .elementwise = true,
               .integers = true});

  // Bounds between the samples.
  auto clamped = [](double low, double high) {
    return [=](C x) { return C(std::min(std::max(x.real(), low), high)); };
  };
  row = {.name = "clamp",
         .cases = unary_cases([](const Tensor& x) { return clamp(x, -0.9, 1.1); }, clamped(-0.9, 1.1)),
         .elementwise = true,
         .errors = {fails<ValueError>("ValueError", "clamp: neither bound", [] { return clamp(away({2}), {}, {}); }),
                    fails<DTypeError>("DTypeError", "clamp: dtype not supported; got c128",
                                      [] { return clamp(complex_away({2}), 0); })}};
  s.push_back(row);
  s.push_back({.name = "clamp.low",
               .cases = unary_cases([](const Tensor& x) { return clamp(x, 0); }, clamped(0, inf)),
               .elementwise = true,
               .integers = true});
  s.push_back({.name = "clamp.high",
               .cases = unary_cases([](const Tensor& x) { return clamp(x, {}, 1); }, clamped(-inf, 1)),
               .elementwise = true,
               .integers = true});

  auto same = [](C x) { return x; };
  s.push_back({.name = "to.f64",
               .cases = unary_cases([](const Tensor& x) { return to(x, f64); }, same),
               .elementwise = true,
               .dtypes = {}});
  s.push_back({.name = "to.c128",
               .cases = unary_cases([](const Tensor& x) { return to(x, c128); }, same, away, true),
               .elementwise = true,
               .dtypes = {}});
  s.push_back({.name = "to.device",
               .cases = unary_cases([](const Tensor& x) { return to(x, Device::cpu()); }, same, away, true),
               .elementwise = true,
               .integers = true});
  s.push_back({.name = "to.options",
               .cases = unary_cases([](const Tensor& x) { return to(x, Options(c128)); }, same, away, true),
               .elementwise = true,
               .dtypes = {}});
  // A real result of a complex tensor drops the imaginary part; so does the gradient.
  s.push_back({.name = "to.real",
               .cases =
                   [] {
                     return std::vector{make_case(
                         "[2, 2]", {complex_away({2, 2})}, fn1([](const Tensor& x) { return to(x, f64); }),
                         [](const NdList& in) { return NdList{map(in[0], [](C x) { return C(x.real()); })}; })};
                   },
               .elementwise = true,
               .dtypes = {}});
  s.push_back({.name = "clone",
               .cases = unary_cases([](const Tensor& x) { return clone(x); }, same, away, true),
               .elementwise = true,
               .integers = true});
  s.push_back({.name = "contiguous",
               .cases = unary_cases([](const Tensor& x) { return contiguous(x); }, same, away, true),
               .elementwise = true,
               .integers = true});
  s.push_back({.name = "detach",
               .cases = unary_cases([](const Tensor& x) { return detach(x); }, same, away, true),
               .elementwise = true,
               .gradient = false,
               .integers = true});
}

void add_activation_specs(Specs& s) {
  auto add = [&](const char* name, std::function<Tensor(const Tensor&)> f, double (*reference)(double),
                 double factor = 8) {
    s.push_back({.name = name, .cases = unary_cases(f, on_real(reference)), .elementwise = true, .factor = factor});
  };
  add("sigmoid", sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); });
  add("log_sigmoid", log_sigmoid, [](double x) { return -std::log1p(std::exp(-x)); });
  add("relu", relu, [](double x) { return x > 0 ? x : 0; });
  s.back().integers = true;
  add(
      "leaky_relu", [](const Tensor& x) { return leaky_relu(x, 0.125); },
      [](double x) { return x > 0 ? x : 0.125 * x; });
  add(
      "elu", [](const Tensor& x) { return elu(x, 1.5); }, [](double x) { return x > 0 ? x : 1.5 * std::expm1(x); });
  add(
      "gelu", [](const Tensor& x) { return gelu(x); },
      [](double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.)); });
  add(
      "gelu.tanh", [](const Tensor& x) { return gelu(x, GeluForm::tanh); },
      [](double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); });
  add("silu", silu, [](double x) { return x / (1 + std::exp(-x)); });
  add("softplus", softplus, [](double x) { return std::log1p(std::exp(x)); });
  s.back().errors = {fails<DTypeError>("DTypeError", "softplus: dtype not supported; got c128",
                                       [] { return softplus(complex_away({2})); })};
  // Far out the formulas must neither overflow nor lose the answer.
  auto far = [](const Shape& shape, int seed) { return away(shape, seed) * 400; };
  auto add_far = [&](const char* name, std::function<Tensor(const Tensor&)> f, double (*reference)(double)) {
    s.push_back({.name = name,
                 .cases = unary_cases([f](const Tensor& x) { return detach(f(x)); }, on_real(reference), far),
                 .elementwise = true,
                 .gradient = false,
                 .dtypes = {f32, bf16},
                 .factor = 8});
  };
  add_far("sigmoid.far", sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); });
  add_far("log_sigmoid.far", log_sigmoid,
          [](double x) { return x > 0 ? -std::log1p(std::exp(-x)) : x - std::log1p(std::exp(x)); });
  add_far("softplus.far", softplus,
          [](double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); });
  add_far("silu.far", silu, [](double x) { return x / (1 + std::exp(-x)); });
  add_far(
      "gelu.far", [](const Tensor& x) { return gelu(x); }, [](double x) { return x > 0 ? x : 0; });
  add_far(
      "gelu.tanh_far", [](const Tensor& x) { return gelu(x, GeluForm::tanh); }, [](double x) { return x > 0 ? x : 0; });
  add_far(
      "elu.far", [](const Tensor& x) { return elu(x); }, [](double x) { return x > 0 ? x : std::expm1(x); });
  add_far("tanh.far", tanh, [](double x) { return std::tanh(x); });
}

}  // namespace ink::test
