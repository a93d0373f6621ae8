// Rows of the ops on complex numbers.
#include <cmath>

#include "tests/specs/samples.h"

namespace ink::test {

void add_complex_specs(Specs& s) {
  using T = const Tensor&;
  s.push_back({.name = "real",
               .cases = unary_cases([](T x) { return real(x); }, [](C x) { return C(x.real()); }, away, true),
               .elementwise = true,
               .dtypes = {f32}});
  s.push_back({.name = "imag",
               .cases = unary_cases([](T x) { return imag(x); }, [](C x) { return C(x.imag()); }, complex_away),
               .elementwise = true,
               .dtypes = {f32}});
  s.push_back({.name = "imag.of_real",
               .cases = unary_cases([](T x) { return imag(x); }, [](C) { return C(0); }),
               .elementwise = true,
               .gradient = false});
  s.push_back({.name = "conj",
               .cases = unary_cases([](T x) { return conj(x); }, [](C x) { return std::conj(x); }, away, true),
               .elementwise = true,
               .integers = true});
  s.push_back({.name = "angle",
               .cases = unary_cases([](T x) { return angle(x); }, [](C x) { return C(std::arg(x)); }, away, true),
               .elementwise = true});
  s.push_back(
      {.name = "complex_of",
       .cases = binary_cases([](T a, T b) { return complex_of(a, b); }, [](C a, C b) { return C(a.real(), b.real()); }),
       .elementwise = true,
       .dtypes = {f32, f16, bf16},
       .errors = {fails<DTypeError>("DTypeError", "complex: dtype not supported; got c128",
                                    [] { return complex_of(complex_away({2}), away({2})); }),
                  fails<ShapeError>("ShapeError", "complex: shapes do not broadcast",
                                    [] { return complex_of(away({2}), away({3})); })}});
  s.push_back({.name = "polar",
               .cases = binary_cases([](T a, T b) { return polar(a, b); },
                                     [](C a, C b) { return std::polar(1., b.real()) * a.real(); }),
               .elementwise = true,
               .factor = 8});
  s.push_back({.name = "view_as_real",
               .cases =
                   [] {
                     OpFn f = fn1([](T x) { return view_as_real(x); });
                     Reference reference = [](const NdList& in) {
                       Nd y(in[0].shape);
                       y.shape.push_back(2);
                       y.v.clear();
                       for (C x : in[0].v) y.v.push_back(x.real()), y.v.push_back(x.imag());
                       return NdList{y};
                     };
                     std::vector<Case> cases;
                     for (const Shape& shape : {Shape{}, {3}, {2, 2}, {0}, {2, 0}})
                       cases.push_back(make_case(shape.str(), {complex_away(shape)}, f, reference));
                     return cases;
                   },
               .elementwise = true,
               .dtypes = {f32},
               .errors = {fails<DTypeError>("DTypeError",
                                            "view_as_real: dtype not supported; got f64; expected one of c64, c128",
                                            [] { return view_as_real(away({2})); })}});
  s.push_back({.name = "view_as_complex",
               .cases =
                   [] {
                     OpFn f = fn1([](T x) { return view_as_complex(x); });
                     Reference reference = [](const NdList& in) {
                       Nd y;
                       y.shape = in[0].shape;
                       y.shape.pop_back();
                       for (size_t i = 0; i + 1 < in[0].v.size(); i += 2)
                         y.v.push_back(C(in[0].v[i].real(), in[0].v[i + 1].real()));
                       return NdList{y};
                     };
                     std::vector<Case> cases;
                     for (const Shape& shape : {Shape{2}, {3, 2}, {2, 2, 2}, {0, 2}})
                       cases.push_back(make_case(shape.str(), {away(shape)}, f, reference));
                     return cases;
                   },
               .elementwise = true,
               .dtypes = {f32},
               .errors = {fails<ShapeError>("ShapeError", "view_as_complex: takes f32 or f64 [..., 2]; got f64 [3]",
                                            [] { return view_as_complex(away({3})); }),
                          fails<ShapeError>("ShapeError", "got i64", [] { return view_as_complex(arange(2)); })}});
}

}  // namespace ink::test
