// Rows of the Fourier transforms: the sums as they are defined.
#include <cmath>

#include "tests/specs/samples.h"

namespace ink::test {
namespace {

using T = const Tensor&;
// The line cut or padded with zeros to n.
Line fitted(Line x, int64_t n) {
  x.resize(size_t(n), C(0));
  return x;
}
Line transform(const Line& x, double sign) {
  double n = double(x.size());
  Line y(x.size(), C(0));
  for (size_t k = 0; k < x.size(); ++k)
    for (size_t j = 0; j < x.size(); ++j)
      y[k] += x[j] * std::polar(1., sign * 2 * M_PI * std::fmod(double(j * k), n) / n);
  return y;
}
Line inverse_transform(const Line& x) {
  Line y = transform(x, 1);
  for (C& v : y) v /= double(x.size());
  return y;
}

struct Form {
  Shape shape;
  int64_t n;
  int dim;
};
Cases line_cases(std::function<Tensor(T, int64_t, int64_t)> f, std::function<Line(const Line&, int64_t)> g,
                 std::vector<Form> forms, bool with_real, bool with_complex) {
  return [=] {
    std::vector<Case> cases;
    int seed = 0;
    for (const Form& form : forms) {
      int64_t n = form.n;
      int dim = form.dim;
      OpFn op = fn1([=](T x) { return f(x, n, dim); });
      Reference reference = [=](const NdList& in) {
        return NdList{along(in[0], dim, [&](const Line& x) { return g(x, n == -1 ? int64_t(x.size()) : n); })};
      };
      std::string label = form.shape.str() + " to " + std::to_string(n) + " along " + std::to_string(dim);
      ++seed;
      bool small = form.shape.numel() < 10;
      if (with_real) cases.push_back(make_case(label, {away(form.shape, seed)}, op, reference, small));
      if (with_complex)
        cases.push_back(make_case("complex " + label, {complex_away(form.shape, seed)}, op, reference, small));
    }
    return cases;
  };
}
const std::vector<DType> kFloats{f32};

}  // namespace

void add_fft_specs(Specs& s) {
  std::vector<Form> forms{{{4}, -1, -1},    {{3}, -1, 0},  {{2, 3}, -1, 0}, {{2, 3}, -1, 1}, {{3}, 5, 0},
                          {{5}, 3, 0},      {{1}, -1, 0},  {{0, 4}, -1, 1}, {{2, 7}, -1, 1}, {{16}, -1, 0},
                          {{2, 30}, -1, 1}, {{17}, -1, 0}, {{5, 12}, -1, 0}};
  auto errors = [](Tensor (*f)(T, int64_t, int64_t)) {
    return std::vector<ErrorInput>{
        fails<ShapeError>("ShapeError", "the input has no dims; expected at least one",
                          [f] { return f(complex_away({}), -1, -1); }),
        fails<ValueError>("ValueError", "nothing to transform; got n = 0", [f] { return f(complex_away({3}), 0, -1); }),
        fails<IndexError>("IndexError", "dim out of range; got 1", [f] { return f(complex_away({3}), -1, 1); })};
  };
  s.push_back({.name = "fft",
               .cases = line_cases(
                   fft, [](const Line& x, int64_t n) { return transform(fitted(x, n), -1); }, forms, true, true),
               .dtypes = kFloats,
               .factor = 16,
               .errors = errors(fft)});
  s.push_back({.name = "ifft",
               .cases = line_cases(
                   ifft, [](const Line& x, int64_t n) { return inverse_transform(fitted(x, n)); }, forms, true, true),
               .dtypes = kFloats,
               .factor = 16,
               .errors = errors(ifft)});
  s.push_back({.name = "rfft",
               .cases = line_cases(
                   rfft,
                   [](const Line& x, int64_t n) {
                     Line y = transform(fitted(x, n), -1);
                     y.resize(size_t(n / 2 + 1));
                     return y;
                   },
                   forms, true, false),
               .dtypes = kFloats,
               .factor = 16,
               .errors = {fails<DTypeError>("DTypeError", "rfft: dtype not supported; got c128",
                                            [] { return rfft(complex_away({3})); }),
                          fails<ValueError>("ValueError", "rfft: nothing to transform; got n = 0",
                                            [] { return rfft(away({0})); })}});
  // The half spectrum completed by its mirror image; imaginary parts of entries that are their own partner do not
  // count.
  std::vector<Form> halves{{{3}, 4, 0}, {{3}, 5, 0}, {{2, 3}, 4, 1},  {{3, 2}, 4, 0}, {{3}, 8, 0},
                           {{4}, 3, 0}, {{1}, 1, 0}, {{2, 9}, 16, 1}, {{6}, 11, 0}};
  auto completed = [](const Line& x, int64_t n) {
    Line full(size_t(n), C(0));
    Line half = fitted(x, n / 2 + 1);
    for (int64_t k = 0; k < n; ++k) full[size_t(k)] = k <= n / 2 ? half[size_t(k)] : std::conj(half[size_t(n - k)]);
    full[0] = full[0].real();
    if (n % 2 == 0) full[size_t(n / 2)] = full[size_t(n / 2)].real();
    Line y = inverse_transform(full);
    for (C& v : y) v = v.real();
    return y;
  };
  s.push_back({.name = "irfft",
               .cases = line_cases(irfft, completed, halves, false, true),
               .dtypes = kFloats,
               .factor = 16,
               .errors = errors(irfft)});
  s.push_back({.name = "irfft.even",
               .cases = line_cases([](T x, int64_t, int64_t d) { return irfft(x, -1, d); },
                                   [=](const Line& x, int64_t) { return completed(x, 2 * (int64_t(x.size()) - 1)); },
                                   {{{3}, -1, 0}, {{2, 4}, -1, 1}}, false, true),
               .dtypes = kFloats,
               .factor = 16});
}

}  // namespace ink::test
