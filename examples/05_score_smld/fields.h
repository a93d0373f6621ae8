// Vector fields in the plane, and what lesson 05 measures of scores and of clouds of points.
#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "examples/support/plot/plot.h"
#include "include/inkstone/diffusion.h"
#include "include/inkstone/ink.h"

namespace ink::lesson {

using diffusion::Mixture;

inline const Options kExact{f64, Device::cpu()};  // what is computed in closed form

inline Tensor levels(const Tensor& x, double sigma) { return full({x.size(0)}, sigma, {x.dtype(), x.device()}); }

// The points of a grid over [-reach, reach]^2, [side^2, 2], from below to above and from left to right.
inline Tensor grid(double reach, int64_t side) {
  const Tensor at = linspace(-reach, reach, side, kExact);
  const Tensor x = expand(unsqueeze(at, 0), {side, side}), y = expand(unsqueeze(at, 1), {side, side});
  return reshape(stack({x, y}, -1), {side * side, 2});
}

// A field at points [n, 2] as arrows, `scale` times as long.
inline Series arrows(const std::string& name, const Tensor& points, const Tensor& field, double scale) {
  auto column = [](const Tensor& t, int64_t i) { return t.select(1, i).to(f64).to_vector<double>(); };
  return {.name = name,
          .x = column(points, 0),
          .y = column(points, 1),
          .mark = Mark::arrows,
          .u = column(field * scale, 0),
          .v = column(field * scale, 1)};
}

// Points [n, 2] of which at most `most` are drawn.
inline Series dots(const std::string& name, const Tensor& points, int64_t most = 400) {
  const Tensor some = points.narrow(0, 0, std::min(most, points.size(0))).to(f64).to(Device::cpu());
  return {.name = name,
          .x = some.select(1, 0).to_vector<double>(),
          .y = some.select(1, 1).to_vector<double>(),
          .mark = Mark::points};
}

// How many points fall into each of side x side cells of [-reach, reach]^2, the topmost row first: a picture of a
// cloud.
inline Tensor counts(const Tensor& points, double reach, int64_t side) {
  Tensor picture = zeros({side, side}, kExact);
  double* cells = picture.data<double>();
  const std::vector<double> xs = points.select(1, 0).to_vector<double>(), ys = points.select(1, 1).to_vector<double>();
  auto cell = [&](double v) { return int64_t(std::floor((v + reach) / (2 * reach) * double(side))); };
  for (size_t i = 0; i < xs.size(); ++i) {
    const int64_t column = cell(xs[i]), row = side - 1 - cell(ys[i]);
    if (row >= 0 && row < side && column >= 0 && column < side) cells[row * side + column] += 1;
  }
  return picture;
}

// E |s - S|^2 / E |S|^2 over points: 0 for the true score, 1 for a field that is 0.
inline double relative_error(const Tensor& s, const Tensor& truth) {
  return (square(s.to(f64) - truth).sum() / square(truth).sum()).item();
}

// A mean, and its standard error: the means of independent numbers lie within a few of them of what they estimate.
struct Estimate {
  double mean, error;
  double off(double truth) const { return std::abs(mean - truth) / error; }
};
inline Estimate estimate(const Tensor& numbers) {
  const Tensor x = numbers.detach().to(f64);
  return {x.mean().item(), std::sqrt(x.var().item() / double(x.numel()))};
}

// Two Gaussians of standard deviation 1 at (5, 5) and (-5, -5), the first with 0.8 of the mass: the toy law of Song and
// Ermon 2019, section 3.2.
inline Mixture two_modes() {
  return diffusion::gaussian_mixture(tensor({{5.0, 5.0}, {-5.0, -5.0}}, kExact), tensor({1.0, 1.0}, kExact),
                                     tensor({0.8, 0.2}, kExact));
}
// The share of points that are nearer to (5, 5).
inline double share_of_first(const Tensor& points) { return (points.to(f64).sum({1}) > 0).to(f64).mean().item(); }

}  // namespace ink::lesson
