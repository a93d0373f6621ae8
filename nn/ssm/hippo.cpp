// The matrices of HiPPO and their bases.
#include "nn/ssm/hippo.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "autograd/recurrence.h"

namespace ink {
namespace {

using Matrix = std::vector<double>;

Tensor f64_matrix(const Matrix& values, int64_t n) { return from_data(std::span<const double>(values), {n, n}); }
// the norm of the n-th Legendre polynomial on [0, 1], inverted
double root(int64_t n) { return std::sqrt(2. * double(n) + 1); }

// [n]: sqrt(2k + 1).
Tensor legendre_norms(int64_t n) {
  Matrix v;
  for (int64_t k = 0; k < n; ++k) v.push_back(root(k));
  return from_data(std::span<const double>(v), {n});
}

// A_jk for each pair, row by row.
template <class F> Tensor by_pairs(int64_t n, F f) {
  Matrix a;
  for (int64_t j = 0; j < n; ++j)
    for (int64_t k = 0; k < n; ++k) a.push_back(f(j, k));
  return f64_matrix(a, n);
}

// P_0 .. P_{n-1} at z in [-1, 1], by Bonnet's recurrence: (k + 1) P_{k+1} = (2k + 1) z P_k - k P_{k-1}. [points, n]
Tensor legendre(const Tensor& z, int64_t n) {
  std::vector<Tensor> p{ones_like(z), z};
  for (int64_t k = 1; k + 1 < n; ++k)
    p.push_back((double(2 * k + 1) * z * p[size_t(k)] - double(k) * p[size_t(k - 1)]) / double(k + 1));
  p.resize(size_t(n));
  return stack(p, -1);
}
// Laguerre functions e^{-z/2} L_k(z): (k + 1) L_{k+1} = (2k + 1 - z) L_k - k L_{k-1}.
Tensor laguerre(const Tensor& z, int64_t n) {
  std::vector<Tensor> p{exp(z * -0.5), exp(z * -0.5) * (1 - z)};
  for (int64_t k = 1; k + 1 < n; ++k)
    p.push_back(((double(2 * k + 1) - z) * p[size_t(k)] - double(k) * p[size_t(k - 1)]) / double(k + 1));
  p.resize(size_t(n));
  return stack(p, -1);
}

Tensor frequencies(int64_t n) { return arange(-(n / 2), n / 2 + 1, 1, f64); }
Tensor imaginary(const Tensor& x) { return complex_of(zeros_like(x), x); }

// u at the end that leaves the window is not known; the series gives the mean of both ends there, (u(T) + u(T - w))
// / 2. Solved for the leaving end, the closing term and B are twice those of taking the series' value itself.
Hippo fourier_window(HippoKind kind, int64_t n, double window) {
  const double twice = kind == HippoKind::fout ? 2 : 1;  // (9.5)
  const Tensor close = to(full({n, n}, twice, f64), c128);
  const Tensor turn = diag(imaginary(frequencies(n) * (2 * std::numbers::pi)));
  return {kind, (turn - close) / window, to(full({n}, twice / window, f64), c128), window, false};
}

// s e^{2 pi i k s} as a Fourier series: every frequency is mixed with every other.
Hippo fourier_all(int64_t n) {
  Matrix mix;
  const int64_t half = n / 2;
  for (int64_t j = -half; j <= half; ++j)
    for (int64_t k = -half; k <= half; ++k) mix.push_back(j == k ? -1 : -double(j) / double(j - k));  // (9.10)
  const Tensor turn = diag(imaginary(frequencies(n) * std::numbers::pi));
  return {HippoKind::fous, to(f64_matrix(mix, n), c128) + turn, to(ones({n}, f64), c128), 1, true};
}

Hippo legendre_window(int64_t n, double window) {
  const Tensor A = by_pairs(n, [&](int64_t j, int64_t k) {
    const double sign = k > j && (k - j) % 2 ? -1 : 1;
    return -root(j) * root(k) * sign / window;  // (9.7)
  });
  return {HippoKind::legt, A, legendre_norms(n) / window, window, false};
}
Hippo legendre_all(int64_t n) {
  const Tensor A = by_pairs(n, [](int64_t j, int64_t k) {
    if (k > j) return 0.;
    return k < j ? -root(j) * root(k) : -double(j + 1);  // (9.9)
  });
  return {HippoKind::legs, A, legendre_norms(n), 1, true};
}
Hippo laguerre_all(int64_t n) {
  const Tensor A = by_pairs(n, [](int64_t j, int64_t k) {
    if (k > j) return 0.;
    return k < j ? -1. : -0.5;
  });
  return {HippoKind::lagt, A, ones({n}, f64), 1, false};
}

}  // namespace

Hippo hippo(HippoKind kind, int64_t n, double window) {
  const bool fourier = kind == HippoKind::fout || kind == HippoKind::fout_plain || kind == HippoKind::fous;
  if (n < 1 || (fourier && n % 2 == 0))
    throw ValueError(fmt::format("hippo: got {} coefficients; expected at least 1{}", n,
                                 fourier ? ", an odd number of frequencies" : ""));
  if (!(window > 0) || !std::isfinite(window))
    throw ValueError(fmt::format("hippo: got a window of {}; expected a positive one", window));
  switch (kind) {
    case HippoKind::legt:
      return legendre_window(n, window);
    case HippoKind::legs:
      return legendre_all(n);
    case HippoKind::lagt:
      return laguerre_all(n);
    case HippoKind::fout:
    case HippoKind::fout_plain:
      return fourier_window(kind, n, window);
    case HippoKind::fous:
      return fourier_all(n);
  }
  throw ValueError(fmt::format("hippo: no such kind; got {}", int(kind)));
}

Tensor hippo_basis(const Hippo& h, const Tensor& s) {
  const int64_t n = h.B.size(0);
  switch (h.kind) {
    case HippoKind::legt:
    case HippoKind::legs:
      return legendre(2 * to(s, f64) - 1, n) * legendre_norms(n);
    case HippoKind::lagt:
      return laguerre(to(s, f64), n);
    default:
      return exp(imaginary(unsqueeze(to(s, f64), -1) * frequencies(n) * (2 * std::numbers::pi)));
  }
}

namespace {

// Checks x [..., n] and hands f what the formulas need in x's own dtype: sqrt(2k + 1) and k, [n] each.
template <class F> Tensor along_degrees(const char* op, const Tensor& x, F f) {
  if (!is_floating(x.dtype()) && !is_complex(x.dtype()))
    throw DTypeError(fmt::format("{}: got x in {}; expected real or complex numbers", op, name_of(x.dtype())));
  if (x.dim() < 1) throw ShapeError(fmt::format("{}: got a number; expected [..., n]", op));
  return in_f32_if_half(
      [&](const Tensor& x) {
        const int64_t n = x.size(-1);
        return n ? f(x, legendre_norms(n).to(x.options()), arange(0, n, 1, x.options())) : x;
      },
      x);
}

}  // namespace

Tensor legs_multiply(const Tensor& x) {
  return along_degrees("legs_multiply", x, [](const Tensor& x, const Tensor& v, const Tensor& k) {
    return k * x - v * cumsum(v * x, -1);  // (9.19)
  });
}

// (I - h A) z = x. With S_k the sum of v_j z_j up to k: (1 - h k) z_k + h v_k S_k = x_k, and z_k = (S_k - S_{k-1}) /
// v_k, so
//   S_k = [(1 - h k) S_{k-1} + v_k x_k] / (1 + h (k + 1)).
Tensor legs_solve(const Tensor& x, double step) {
  if (!(step > 0) || !std::isfinite(step))
    throw ValueError(fmt::format("legs_solve: got a step of {}; expected a positive, finite one", step));
  return along_degrees("legs_solve", x, [&](const Tensor& x, const Tensor& v, const Tensor& k) {
    const Tensor below = 1 + step * (k + 1);
    const Tensor sums = linear_recurrence((1 - step * k) / below, v * x / below, -1);  // (9.20)
    const Tensor before = cat({zeros_like(slice(sums, -1, 0, 1)), slice(sums, -1, 0, x.size(-1) - 1)}, -1);
    return (sums - before) / v;
  });
}

}  // namespace ink
