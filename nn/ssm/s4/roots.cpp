// Roots by Aberth's iteration.
#include "nn/ssm/s4/roots.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <vector>

#include "autograd/ops.h"

namespace ink {
namespace {

using Complex = std::complex<double>;

std::vector<Complex> complex_values(const Tensor& x) {
  const std::vector<double> parts =
      view_as_real(to(detach(x).to(Device::cpu()), c128).contiguous()).to_vector<double>();
  std::vector<Complex> v;
  for (size_t i = 0; i < parts.size(); i += 2) v.emplace_back(parts[i], parts[i + 1]);
  return v;
}
Tensor complex_tensor(const std::vector<Complex>& v, const Shape& shape) {
  std::vector<double> parts;
  for (Complex z : v) parts.insert(parts.end(), {z.real(), z.imag()});
  Shape pairs = shape;
  pairs.push_back(2);
  return view_as_complex(from_data(std::span<const double>(parts), pairs));
}

// Moves all z at once: each by Newton's step for p / product over the others of (z - z_j), until none moves.
// `log_slope(z)` is p'(z) / p(z).
template <class F> void aberth(std::vector<Complex>& z, F log_slope) {
  for (int round = 0; round < 500; ++round) {
    double moved = 0;
    for (size_t i = 0; i < z.size(); ++i) {
      Complex slope = log_slope(z[i]);
      for (size_t j = 0; j < z.size(); ++j)
        if (j != i) slope -= 1. / (z[i] - z[j]);
      const Complex step = 1. / slope;
      if (!std::isfinite(std::abs(step))) continue;  // on a root already
      z[i] -= step;
      moved = std::max(moved, std::abs(step) / std::max(1e-30, std::abs(z[i])));
    }
    if (moved < 1e-15) return;
  }
}

// Starts that lie on no symmetry of the roots.
std::vector<Complex> on_circle(size_t n, double radius) {
  std::vector<Complex> z;
  for (size_t i = 0; i < n; ++i)
    z.push_back(std::polar(radius, 2 * std::numbers::pi * (double(i) + 0.3) / double(n) + 0.1));
  return z;
}

std::vector<Complex> roots_of(std::vector<double> a) {
  size_t zeros = 0;
  while (!a.empty() && a.back() == 0) a.pop_back(), ++zeros;
  double radius = 0;  // the mean of the roots' sizes, by their product
  if (!a.empty()) radius = std::pow(std::abs(a.back()), 1 / double(a.size()));
  std::vector<Complex> z = on_circle(a.size(), radius);
  aberth(z, [&](Complex x) {
    Complex p = 1, slope = 0;
    if (std::abs(x) <= 1) {
      for (double c : a) slope = slope * x + p, p = p * x + c;
      return slope / p;
    }
    // far out powers overflow: the same for x^d p(1/x) with the coefficients reversed
    const Complex y = 1. / x;
    Complex q = 0, q_slope = 0;
    for (size_t i = a.size(); i-- > 0;) q_slope = q_slope * y + q, q = q * y + a[i];
    q_slope = q_slope * y + q, q = q * y + 1.;
    return y * (double(a.size()) - y * q_slope / q);
  });
  z.resize(z.size() + zeros, Complex(0));
  return z;
}

// The logarithmic derivative of det(1 + P^* (z - lambda)^{-1} P) times the product of z - lambda.
Complex low_rank_slope(Complex z, const std::vector<Complex>& lambda, const std::vector<Complex>& P, size_t rank) {
  Complex slope = 0, w[2][2] = {{1, 0}, {0, 1}}, dw[2][2] = {};
  for (size_t n = 0; n < lambda.size(); ++n) {
    const Complex inverse = 1. / (z - lambda[n]);
    slope += inverse;
    for (size_t i = 0; i < rank; ++i)
      for (size_t j = 0; j < rank; ++j) {
        const Complex part = std::conj(P[i * lambda.size() + n]) * P[j * lambda.size() + n] * inverse;
        w[i][j] += part, dw[i][j] -= part * inverse;
      }
  }
  const Complex det = w[0][0] * w[1][1] - w[0][1] * w[1][0];
  return slope + (w[1][1] * dw[0][0] - w[0][1] * dw[1][0] + w[0][0] * dw[1][1] - w[1][0] * dw[0][1]) / det;
}

}  // namespace

Tensor polynomial_roots(const Tensor& a) {
  if (a.dim() != 2) throw ShapeError(fmt::format("polynomial_roots: got {}; expected [rows, degree]", a.shape().str()));
  const std::vector<double> values = detach(a).to(f64).to_vector<double>();
  const auto degree = size_t(a.size(1));
  std::vector<Complex> all;
  for (int64_t row = 0; row < a.size(0); ++row) {
    const auto from = values.begin() + row * a.size(1);
    const std::vector<Complex> z = roots_of({from, from + int64_t(degree)});
    all.insert(all.end(), z.begin(), z.end());
  }
  return complex_tensor(all, a.shape());
}

Tensor low_rank_eigenvalues(const Tensor& lambda, const Tensor& P) {
  if (P.dim() != 2 || P.size(0) < 1 || P.size(0) > 2 || lambda.shape() != Shape{P.size(1)})
    throw ValueError(fmt::format("low_rank_eigenvalues: got lambda {}, P {}; expected [n] and [1 or 2, n]",
                                 lambda.shape().str(), P.shape().str()));
  const std::vector<Complex> diagonal = complex_values(lambda), low_rank = complex_values(P);
  double size = 0;
  for (Complex x : diagonal) size = std::max(size, std::abs(x));
  std::vector<Complex> z = on_circle(diagonal.size(), 0.5 * size + 1);
  aberth(z, [&](Complex x) { return low_rank_slope(x, diagonal, low_rank, size_t(P.size(0))); });
  return complex_tensor(z, lambda.shape());
}

}  // namespace ink
