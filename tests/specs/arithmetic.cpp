// Rows of the elementwise ops of two and three operands, and of comparisons.
#include <cmath>

#include "tests/specs/samples.h"

namespace ink::test {
namespace {

using T = const Tensor&;
C add_c(C a, C b) { return a + b; }
C sub_c(C a, C b) { return a - b; }
C mul_c(C a, C b) { return a * b; }
// Of real numbers the real quotient: what a complex division makes of n / 0 differs from compiler to compiler.
C div_c(C a, C b) { return a.imag() == 0 && b.imag() == 0 ? C(a.real() / b.real()) : a / b; }
C pow_c(C a, C b) { return a.imag() == 0 && b.imag() == 0 ? C(std::pow(a.real(), b.real())) : std::pow(a, b); }
double python_remainder(double a, double b) {
  double r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
double floor_quotient(double a, double b) { return std::floor(a / b); }

template <class F> ErrorInput no_broadcast(const char* message, F f) {
  return fails<ShapeError>("ShapeError", message, [f] { return f(away({2, 3}), away({2})); });
}

// Numbers that are whole multiples of 1/4 after rounding to any format: quotients have no accidental step.
Tensor quarters(const Shape& s, int seed) { return (floor(positive(s, seed) * 4) + 0.5) * 0.25; }
Tensor whole(const Shape& s, int seed) { return floor(away(s, seed) * 2 + 0.5) + to(mask(s, seed + 1), f64) * 3; }

}  // namespace

void add_arithmetic_specs(Specs& s) {
  s.push_back(
      {.name = "add",
       .cases = binary_cases([](T a, T b) { return add(a, b); }, add_c, away, away, true),
       .elementwise = true,
       .integers = true,
       .errors = {no_broadcast("add: shapes do not broadcast; got [2, 3] and [2]; expected equal sizes or 1 in dim 1",
                               [](T a, T b) { return add(a, b); })}});
  s.push_back({.name = "add.alpha",
               .cases = binary_cases([](T a, T b) { return add(a, b, 3); }, [](C a, C b) { return a + 3. * b; }, away,
                                     away, true),
               .elementwise = true,
               .integers = true,
               .factor = 8});
  s.push_back({.name = "add.number",
               .cases = unary_cases([](T a) { return add(a, 3); }, [](C a) { return a + 3.; }, away, true),
               .elementwise = true,
               .integers = true});
  s.push_back({.name = "add.complex_number",
               .cases = unary_cases([](T a) { return add(a, complex<double>(1, 2)); }, [](C a) { return a + C(1, 2); },
                                    away, true),
               .elementwise = true,
               .dtypes = {f32}});
  s.push_back({.name = "sub",
               .cases = binary_cases([](T a, T b) { return sub(a, b); }, sub_c, away, away, true),
               .elementwise = true,
               .integers = true,
               .errors = {no_broadcast("sub: shapes do not broadcast", [](T a, T b) { return sub(a, b); })}});
  s.push_back({.name = "sub.number",
               .cases = unary_cases([](T a) { return sub(a, 0.75); }, [](C a) { return a - 0.75; }, away, true),
               .elementwise = true});
  s.push_back({.name = "sub.from_number",
               .cases = unary_cases([](T a) { return sub(2, a); }, [](C a) { return 2. - a; }, away, true),
               .elementwise = true,
               .integers = true});
  s.push_back({.name = "mul",
               .cases = binary_cases([](T a, T b) { return mul(a, b); }, mul_c, away, away, true),
               .elementwise = true,
               .integers = true,
               .errors = {no_broadcast("mul: shapes do not broadcast", [](T a, T b) { return mul(a, b); })}});
  s.push_back({.name = "mul.number",
               .cases = unary_cases([](T a) { return mul(a, -3); }, [](C a) { return a * -3.; }, away, true),
               .elementwise = true,
               .integers = true});
  s.push_back({.name = "mul.complex_number",
               .cases = unary_cases([](T a) { return mul(a, complex<double>(1, 2)); }, [](C a) { return a * C(1, 2); },
                                    away, true),
               .elementwise = true,
               .dtypes = {f32}});
  s.push_back({.name = "div",
               .cases = binary_cases([](T a, T b) { return div(a, b); }, div_c, away, away, true),
               .elementwise = true,
               .integers = true,
               .factor = 8,
               .errors = {no_broadcast("div: shapes do not broadcast", [](T a, T b) { return div(a, b); })}});
  s.push_back({.name = "div.number",
               .cases = unary_cases([](T a) { return div(a, 4); }, [](C a) { return a / 4.; }, away, true),
               .elementwise = true,
               .integers = true});
  s.push_back({.name = "div.of_number",
               .cases = unary_cases([](T a) { return div(3, a); }, [](C a) { return 3. / a; }, away, true),
               .elementwise = true,
               .integers = true,
               .factor = 8});
  s.push_back(
      {.name = "floor_divide",
       .cases = binary_cases([](T a, T b) { return floor_divide(a, b); }, on_reals(floor_quotient), whole, positive),
       .elementwise = true,
       .gradient = false,
       .dtypes = {f32},
       .errors = {fails<ValueError>("ValueError", "floor_divide: division of integers by zero",
                                    [] { return floor_divide(arange(3), zeros({3}, i64)); }),
                  fails<DTypeError>("DTypeError", "floor_divide: dtype not supported; got c128",
                                    [] { return floor_divide(complex_away({2}), away({2})); })}});
  s.push_back({.name = "floor_divide.integers",
               .cases =
                   [] {
                     return std::vector{
                         make_case("signs", {indices({7, -7, 7, -7, 6, -6}, {6}), indices({2, 2, -2, -2, 3, -3}, {6})},
                                   fn2([](T a, T b) { return floor_divide(a, b); }), [](const NdList& in) {
                                     return NdList{zip(in[0], in[1], on_reals(floor_quotient))};
                                   })};
                   },
               .elementwise = true,
               .gradient = false,
               .expandable = true,
               .dtypes = {}});
  s.push_back({.name = "floor_divide.number",
               .cases = unary_cases([](T a) { return floor_divide(a, 2); },
                                    on_real([](double x) { return std::floor(x / 2); }), whole),
               .elementwise = true,
               .gradient = false,
               .integers = true,
               .errors = {fails<ValueError>("ValueError", "floor_divide: division of integers by zero",
                                            [] { return floor_divide(arange(3), 0); })}});
  s.push_back({.name = "remainder",
               .cases = binary_cases([](T a, T b) { return remainder(a, b); }, on_reals(python_remainder), quarters,
                                     [](const Shape& sh, int seed) {
                                       return floor(positive(sh, seed) * 2 + 1) * (2 * floor(away(sh, seed) * 0.5) + 1);
                                     }),
               .elementwise = true,
               .factor = 8,
               .errors = {fails<ValueError>("ValueError", "remainder: division of integers by zero",
                                            [] { return remainder(arange(3), zeros({3}, i64)); })}});
  s.push_back({.name = "remainder.integers",
               .cases =
                   [] {
                     return std::vector{
                         make_case("signs", {indices({7, -7, 7, -7, 6, -6}, {6}), indices({2, 2, -2, -2, 3, -3}, {6})},
                                   fn2([](T a, T b) { return remainder(a, b); }), [](const NdList& in) {
                                     return NdList{zip(in[0], in[1], on_reals(python_remainder))};
                                   })};
                   },
               .elementwise = true,
               .gradient = false,
               .dtypes = {}});
  s.push_back({.name = "remainder.number",
               .cases = unary_cases([](T a) { return remainder(a, 2); },
                                    on_real([](double x) { return python_remainder(x, 2); }), whole),
               .elementwise = true,
               .gradient = false,
               .integers = true});
  s.back().cases = [make = s.back().cases] {  // whole numbers lie on the steps: no differences there
    auto cases = make();
    for (Case& c : cases) c.op = [](const TensorList& in) { return TensorList{detach(remainder(in[0], 2))}; };
    return cases;
  };
  s.push_back({.name = "pow",
               .cases = binary_cases([](T a, T b) { return pow(a, b); }, pow_c, positive, away, true),
               .elementwise = true,
               .factor = 16});
  s.push_back({.name = "pow.whole",
               .cases = unary_cases([](T a) { return pow(a, 3); }, [](C a) { return a * a * a; }, away, true),
               .elementwise = true,
               .integers = true,
               .factor = 16,
               .errors = {fails<ValueError>("ValueError", "pow: an integer tensor to a negative integer power",
                                            [] { return pow(arange(1, 3), -1); })}});
  s.push_back(
      {.name = "pow.number",
       .cases = unary_cases([](T a) { return pow(a, -1.5); }, [](C a) { return pow_c(a, -1.5); }, positive, true),
       .elementwise = true,
       .factor = 16});
  s.push_back({.name = "pow.zero",
               .cases = unary_cases([](T a) { return pow(a, 0); }, [](C) { return C(1); }, away, true),
               .elementwise = true,
               .second = false,
               .integers = true});
  s.push_back({.name = "pow.one",
               .cases = unary_cases([](T a) { return pow(a, 1); }, [](C a) { return a; }, away, true),
               .elementwise = true,
               .integers = true});
  s.push_back({.name = "pow.two",
               .cases = unary_cases([](T a) { return pow(a, 2); }, [](C a) { return a * a; }, away, true),
               .elementwise = true,
               .integers = true});
  s.push_back({.name = "pow.of_number",
               .cases = unary_cases([](T a) { return pow(2, a); }, [](C a) { return std::pow(C(2), a); }, away, true),
               .elementwise = true,
               .factor = 16});
  s.push_back({.name = "atan2",
               .cases = binary_cases(atan2, on_reals([](double y, double x) { return std::atan2(y, x); })),
               .elementwise = true,
               .errors = {fails<DTypeError>("DTypeError", "atan2: dtype not supported; got c128",
                                            [] { return atan2(complex_away({2}), away({2})); })}});
  s.push_back({.name = "maximum",
               .cases = binary_cases(maximum, on_reals([](double a, double b) { return std::max(a, b); })),
               .elementwise = true,
               .integers = true,
               .errors = {fails<DTypeError>("DTypeError", "maximum: dtype not supported; got c128",
                                            [] { return maximum(complex_away({2}), away({2})); })}});
  s.push_back({.name = "minimum",
               .cases = binary_cases(minimum, on_reals([](double a, double b) { return std::min(a, b); })),
               .elementwise = true,
               .integers = true});
  s.push_back(
      {.name = "lerp",
       .cases =
           [] {
             auto f = [](const TensorList& in) { return TensorList{lerp(in[0], in[1], in[2])}; };
             auto reference = [](const NdList& in) {
               return NdList{zip(in[0], zip(zip(in[1], in[0], sub_c), in[2], mul_c), add_c)};
             };
             return std::vector{
                 make_case("equal", {away({2, 3}), away({2, 3}, 4), unit({2, 3})}, f, reference, true, 1),
                 make_case("broadcast", {away({2, 1}), away({3}, 4), unit({})}, f, reference, true, 1),
                 make_case("empty", {away({0}), away({1}, 4), unit({1})}, f, reference, true, 1),
                 make_case("complex", {complex_away({3}), complex_away({3}, 4), unit({3})}, f, reference, true, 1)};
           },
       .elementwise = true,
       .factor = 16});
  s.push_back({.name = "lerp.number",
               .cases = binary_cases([](T a, T b) { return lerp(a, b, 0.25); },
                                     [](C a, C b) { return a + 0.25 * (b - a); }, away, away, true),
               .elementwise = true,
               .factor = 16});
  s.push_back({.name = "where",
               .cases =
                   [] {
                     auto f = [](const TensorList& in) { return TensorList{where(in[0], in[1], in[2])}; };
                     auto reference = [](const NdList& in) {
                       Nd chosen = zip(in[0], in[1], mul_c),
                          other = zip(map(in[0], [](C x) { return 1. - x; }), in[2], mul_c);
                       return NdList{zip(chosen, other, add_c)};
                     };
                     return std::vector{
                         make_case("equal", {mask({2, 3}), away({2, 3}), away({2, 3}, 4)}, f, reference, true, 1),
                         make_case("broadcast", {mask({2, 1}), away({3}), away({}, 4)}, f, reference, true, 1),
                         make_case("numbers", {mask({}), away({}), away({}, 4)}, f, reference, true, 1),
                         make_case("empty", {mask({0}), away({1}), away({1}, 4)}, f, reference, true, 1),
                         make_case("large", {mask({3, 37}), away({3, 37}), away({37}, 4)}, f, reference, false, 1),
                         make_case("complex", {mask({3}), complex_away({3}), away({3}, 4)}, f, reference, true, 1)};
                   },
               .elementwise = true,
               .integers = true,
               .errors = {fails<DTypeError>("DTypeError", "where: dtype not supported; got f64; expected one of bool",
                                            [] { return where(away({2}), away({2}), away({2})); }),
                          fails<ShapeError>("ShapeError", "where: shapes do not broadcast",
                                            [] { return where(mask({2}), away({3}), away({3})); })}});
  s.push_back({.name = "masked_fill",
               .cases =
                   [] {
                     auto f = [](const TensorList& in) { return TensorList{masked_fill(in[0], in[1], 3)}; };
                     auto reference = [](const NdList& in) {
                       return NdList{zip(in[0], in[1], [](C x, C m) { return m == 1. ? C(3) : x; })};
                     };
                     return std::vector{make_case("equal", {away({2, 3}), mask({2, 3})}, f, reference, true, 1),
                                        make_case("broadcast", {away({2, 3}), mask({3})}, f, reference, true, 1),
                                        make_case("empty", {away({0, 2}), mask({2})}, f, reference, true, 1),
                                        make_case("complex", {complex_away({3}), mask({3})}, f, reference, true, 1)};
                   },
               .elementwise = true,
               .integers = true});
}

void add_compare_specs(Specs& s) {
  // Values on a grid of three, so that equal pairs occur.
  Make coarse = [](const Shape& shape, int seed) { return floor(away(shape, seed) * 0.9); };
  auto add_pair = [&](const char* name, Tensor (*f)(T, T), bool (*g)(double, double), bool with_complex = false) {
    s.push_back({.name = name,
                 .cases = binary_cases(
                     f, [g](C a, C b) { return C(g(a.real(), b.real())); }, coarse, coarse),
                 .elementwise = true,
                 .gradient = false,
                 .integers = true});
    if (!with_complex)
      s.back().errors = {fails<DTypeError>("DTypeError", "dtype not supported; got c128",
                                           [f] { return f(complex_away({2}), away({2})); })};
  };
  auto add_number = [&](std::string name, Tensor (*f)(T, const Scalar&), bool (*g)(double, double)) {
    s.push_back({.name = name + ".number",
                 .cases = unary_cases([f](T a) { return f(a, 1); }, [g](C a) { return C(g(a.real(), 1)); }, coarse),
                 .elementwise = true,
                 .gradient = false,
                 .integers = true});
    s.push_back({.name = name + ".fraction",
                 .cases = unary_cases([f](T a) { return f(a, 0.5); }, [g](C a) { return C(g(a.real(), 0.5)); }, coarse),
                 .elementwise = true,
                 .gradient = false,
                 .integers = true});
  };
  using Pair = Tensor (*)(T, T);
  using Number = Tensor (*)(T, const Scalar&);
  struct Row {
    const char* name;
    Pair pair;
    Number number;
    bool (*g)(double, double);
  };
  for (const Row& r : {Row{"eq", eq, eq, [](double a, double b) { return a == b; }},
                       {"ne", ne, ne, [](double a, double b) { return a != b; }},
                       {"lt", lt, lt, [](double a, double b) { return a < b; }},
                       {"le", le, le, [](double a, double b) { return a <= b; }},
                       {"gt", gt, gt, [](double a, double b) { return a > b; }},
                       {"ge", ge, ge, [](double a, double b) { return a >= b; }}}) {
    add_pair(r.name, r.pair, r.g, r.name[1] == 'q' || r.name[0] == 'n');
    add_number(r.name, r.number, r.g);
  }
  add_pair(
      "logical_and", logical_and, [](double a, double b) { return a != 0 && b != 0; }, true);
  add_pair(
      "logical_or", logical_or, [](double a, double b) { return a != 0 || b != 0; }, true);
  add_pair(
      "logical_xor", logical_xor, [](double a, double b) { return (a != 0) != (b != 0); }, true);

  auto verdict = [](bool (*f)(T, T)) {
    return [f](const TensorList& in) { return TensorList{Tensor(Scalar(f(in[0], in[1])))}; };
  };
  s.push_back({.name = "equal",
               .cases =
                   [verdict] {
                     auto f = verdict([](T a, T b) { return equal(a, b); });
                     auto gives = [](bool y) { return [y](const NdList&) { return NdList{Nd(Shape{}, C(y))}; }; };
                     return std::vector{make_case("equal", {away({2, 3}), away({2, 3})}, f, gives(true)),
                                        make_case("one differs",
                                                  {away({2, 3}), away({2, 3}) + eye(3, f64).slice(0, 0, 2)}, f,
                                                  gives(false)),
                                        make_case("shapes differ", {away({1, 3}), away({3})}, f, gives(false)),
                                        make_case("empty", {away({0}), away({0})}, f, gives(true))};
                   },
               .gradient = false,
               .expandable = false});
  s.push_back(
      {.name = "allclose",
       .cases =
           [verdict] {
             auto f = verdict([](T a, T b) { return allclose(a, b, 0.1, 0.01); });
             auto reference = [](const NdList& in) {
               bool all = true;
               Nd near = zip(in[0], in[1], [](C a, C b) { return C(std::abs(a - b) <= 0.01 + 0.1 * std::abs(b)); });
               for (C v : near.v) all &= v == 1.;
               return NdList{Nd(Shape{}, C(all))};
             };
             return std::vector{make_case("near", {away({2, 3}), away({2, 3}) * 1.05}, f, reference),
                                make_case("far", {away({2, 3}), away({2, 3}) * 1.2}, f, reference),
                                make_case("broadcast", {ones({2, 3}, f64), ones({3}, f64)}, f, reference),
                                make_case("complex", {complex_away({3}), complex_away({3}) * 1.01}, f, reference)};
           },
       .gradient = false,
       .expandable = false});
}

}  // namespace ink::test
