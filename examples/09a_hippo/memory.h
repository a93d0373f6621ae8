// What lesson 09a runs and measures: signals, systems stepped over samples, reconstructions and their errors.
#pragma once
#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <vector>

#include "examples/support/plot/plot.h"
#include "include/inkstone/ink.h"
#include "include/inkstone/ssm.h"

namespace ink::lesson {

using Samples = std::vector<double>;
using Curve = std::function<double(double)>;

inline double largest(const Tensor& t) { return t.numel() ? t.abs().max().item() : 0; }
inline double sine(double t) { return std::sin(7 * t); }

// Noise with frequencies up to `cycles` over a unit of time, of variance about 1. The frequencies are no whole numbers:
// a period of the signal is no period of a Fourier basis.
inline Curve noise(int64_t cycles, uint64_t seed) {
  Generator generator(seed);
  const Samples a = randn({2 * cycles}, f64, &generator).to_vector<double>();
  return [a, cycles](double t) {
    double u = 0;
    for (int64_t m = 0; m < cycles; ++m) {
      const double angle = 2 * std::numbers::pi * (double(m) + 0.83) * t;
      u += a[size_t(2 * m)] * std::cos(angle) + a[size_t(2 * m + 1)] * std::sin(angle);
    }
    return u / std::sqrt(double(cycles));
  };
}

// u in the middle of each of `count` steps from `from` to `to`.
inline Samples sampled(const Curve& u, int64_t count, double from, double to) {
  Samples s;
  for (int64_t k = 0; k < count; ++k) s.push_back(u(from + (to - from) * (double(k) + 0.5) / double(count)));
  return s;
}

// x_k = A_bar x_{k-1} + B_bar u_k, from 0: the state after every sample.
inline std::vector<Tensor> run(const DiscreteSystem& s, const Samples& u) {
  std::vector<Tensor> states;
  Tensor x = zeros_like(s.B);
  for (double sample : u) states.push_back(x = matmul(s.A, x) + s.B * sample);
  return states;
}

// The memory over all of u by dense steps; the first sample is remembered exactly: (u_0, 0, 0, ...).
inline Tensor remember(const Hippo& h, const Samples& u, OverTimeScheme scheme) {
  const int64_t n = h.B.size(0), constant = h.kind == HippoKind::fous ? n / 2 : 0;
  Tensor x = to(arange(0, n, 1, f64) == double(constant), h.B.dtype()) * u[0];
  for (size_t k = 1; k < u.size(); ++k) {
    const DiscreteSystem s = step_over_time(h.A, h.B, int64_t(k), scheme);
    x = matmul(s.A, x) + s.B * u[k];
  }
  return x;
}

// LegS from time k to k + 1 in O(n): (I - h A / 2) x_{k+1} = (I + h A / 2) x_k + h B u.
inline Tensor legs_step(const Tensor& x, const Tensor& B, double u, int64_t k) {
  const double h = 1 / (double(k) + 0.5);
  return legs_solve(x + (h / 2) * legs_multiply(x) + (h * u) * B, h / 2);  // (9.15)
}
// The memory after every sample.
inline std::vector<Tensor> run_legs(const Hippo& h, const Samples& u) {
  Tensor x = to(arange(0, h.B.size(0), 1, f64) == 0, f64) * u[0];
  std::vector<Tensor> states{x};
  for (size_t k = 1; k < u.size(); ++k) states.push_back(x = legs_step(x, h.B, u[k], int64_t(k)));
  return states;
}

// What the memory x says of the places s in [0, 1] of its stretch of time.
inline Samples seen(const Hippo& h, const Tensor& x, const Samples& s) {
  const Tensor places = from_data(std::span<const double>(s), {int64_t(s.size())}).to(x.device());
  return real(matmul(to(hippo_basis(h, places), x.dtype()), x)).to_vector<double>();
}

// Places of [0, 1], 5 % away from both ends: a Fourier series jumps there.
inline Samples inner_places(int64_t count = 181) {
  Samples s;
  for (int64_t i = 0; i < count; ++i) s.push_back(0.05 + 0.9 * double(i) / double(count - 1));
  return s;
}
// The root of the mean square of reconstruction - u over the stretch [from, to].
inline double misses(const Hippo& h, const Tensor& x, const Curve& u, double from, double to) {
  const Samples places = inner_places(), found = seen(h, x, places);
  double sum = 0;
  for (size_t i = 0; i < places.size(); ++i) sum += std::pow(found[i] - u(from + (to - from) * places[i]), 2);
  return std::sqrt(sum / double(places.size()));
}

// The coefficients themselves, by the integral over the stretch: x_n = integral of u conj(g_n).
inline Tensor coefficients(const Hippo& h, const Curve& u, double from, double to, int64_t points = 20000) {
  Samples s;
  for (int64_t i = 0; i < points; ++i) s.push_back((double(i) + 0.5) / double(points));
  const Samples values = sampled(u, points, from, to);
  const Tensor g = hippo_basis(h, from_data(std::span<const double>(s), {points})),
               v = from_data(std::span<const double>(values), {points});
  return matmul(conj(g).t(), ink::to(v, g.dtype())) / double(points);
}

// After two windows of u: what a memory over a window of 1 misses of the second.
inline double window_misses(HippoKind kind, int64_t n, const Curve& u, int64_t rate) {
  const Hippo h = hippo(kind, n);
  const DiscreteSystem s = discretise(h.A, h.B, 1 / double(rate), Discretisation::bilinear);
  Tensor x = zeros_like(h.B);
  for (double sample : sampled(u, 2 * rate, 0, 2)) x = matmul(s.A, x) + s.B * sample;
  return misses(h, x, u, 1, 2);
}

// A curve over its own stretch of the axis.
inline Series curve(std::string name, double from, double to, Samples y, Mark mark = Mark::line) {
  Series series{.name = std::move(name), .y = std::move(y), .mark = mark};
  for (size_t i = 0; i < series.y.size(); ++i)
    series.x.push_back(from + (to - from) * double(i) / double(series.y.size() - 1));
  return series;
}
// Another stretch of the same curve, after a gap.
inline void append(Series& series, const Series& more) {
  if (!series.x.empty()) series.x.push_back(series.x.back()), series.y.push_back(NAN);
  series.x.insert(series.x.end(), more.x.begin(), more.x.end());
  series.y.insert(series.y.end(), more.y.begin(), more.y.end());
}
inline Samples evenly(int64_t count) {
  Samples s;
  for (int64_t i = 0; i < count; ++i) s.push_back(double(i) / double(count - 1));
  return s;
}

// Floating point operations in f, counted.
template <class F> double flops(const F& f) {
  Profile profile;
  f();
  double sum = 0;
  for (const ProfileRow& row : profile.rows()) sum += row.flops;
  return sum;
}

}  // namespace ink::lesson
