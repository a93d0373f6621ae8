// Rows of the Fourier transforms: the sums as they are defined.
#include <algorithm>
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

// y_t = sum over j <= t of kernel_j u_{t-j}, dims in front broadcast.
NdList convolved(const NdList& in) {
  const Nd &u = in[0], &kernel = in[1];
  const int64_t n = u.shape[u.shape.size() - 1], taps = kernel.shape[kernel.shape.size() - 1];
  const auto front = [](const Shape& s) {
    Shape f = s;
    f[f.size() - 1] = 1;
    return f;
  };
  Shape shape = broadcast_shapes("reference", front(u.shape), front(kernel.shape));
  shape[shape.size() - 1] = n;
  // the element of x on the line of index i, at place t
  const auto element = [](const Nd& x, const Shape& i, int64_t t) {
    Shape at = x.shape;
    for (int d = 0; d < at.size(); ++d) at[d] = at[d] == 1 ? 0 : i[i.size() - at.size() + d];
    at[at.size() - 1] = t;
    return x(at);
  };
  Nd y(shape);
  each_index(shape, [&](const Shape& i) {
    const int64_t t = i[i.size() - 1];
    for (int64_t j = 0; j <= t && j < taps; ++j) y(i) += element(kernel, i, j) * element(u, i, t - j);
  });
  return {y};
}
// Real and complex operands; with every dim of the kernel in u, some or none.
std::vector<Case> convolution_cases() {
  struct Operands {
    Shape u, kernel;
  };
  std::vector<Case> cases;
  for (const Operands& o : std::vector<Operands>{{{4}, {4}},
                                                 {{2, 3, 5}, {3, 2}},
                                                 {{3}, {7}},
                                                 {{1}, {1}},
                                                 {{2, 2, 3}, {3}},
                                                 {{2, 1, 3}, {3, 2}},
                                                 {{4}, {2, 3}},
                                                 {{3, 2, 3}, {3, 1, 2}},
                                                 {{0, 3}, {2}},
                                                 {{2, 0}, {2}},
                                                 {{17, 2, 40}, {2, 30}},
                                                 {{2, 300}, {2, 300}}}) {
    const std::string label = o.u.str() + " by " + o.kernel.str();
    const bool small = o.u.numel() < 40;
    const auto add = [&](const char* kind, const Tensor& u, const Tensor& kernel) {
      cases.push_back(make_case(kind + label, {u, kernel}, fn2(causal_convolution), convolved, small,
                                double(std::max(o.u[o.u.size() - 1], o.kernel[o.kernel.size() - 1]))));
    };
    add("", away(o.u, 1), away(o.kernel, 2));
    if (o.u.numel() > 40) continue;
    add("complex ", complex_away(o.u, 1), complex_away(o.kernel, 2));
    add("complex kernel ", away(o.u, 1), complex_away(o.kernel, 2));
    add("complex u ", complex_away(o.u, 1), away(o.kernel, 2));
  }
  return cases;
}

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
  s.push_back({.name = "causal_convolution",
               .cases = convolution_cases,
               .dtypes = {f32, f16, bf16},
               .factor = 16,
               .errors = {fails<ShapeError>("ShapeError", "causal_convolution: got u [3], kernel [0]",
                                            [] { return causal_convolution(away({3}), away({0})); }),
                          fails<ShapeError>("ShapeError", "causal_convolution",
                                            [] {
                                              return causal_convolution(away({2, 3}), away({3, 3}));
                                            }),
                          fails<DTypeError>("DTypeError", "causal_convolution: got i64",
                                            [] { return causal_convolution(arange(3), arange(3)); })}});
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
