// Mixtures and shapes in the plane.
#include "nn/diffusion/toy.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink::diffusion {
namespace {

const Options kPlane{f64, Device::cpu()};

void check_points(const char* law, int64_t n, double noise = 0) {
  if (n < 0 || !(noise >= 0 && std::isfinite(noise)))
    throw ValueError(fmt::format("{}: got {} points, noise {}; expected no negative numbers", law, n, noise));
}
Tensor with_noise(const Tensor& x, const Tensor& y, double noise, Generator* generator) {
  return stack({x, y}, 1) + randn({x.size(0), 2}, kPlane, generator) * noise;
}
// Column and row of the field that each point lies in, as numbers from 0; what is outside has others.
Tensor field_of(const Tensor& coordinate) { return floor(coordinate) + 2; }

}  // namespace

Mixture three_gaussians() {
  Mixture m = gaussian_mixture(from_data({-1.2, -0.5, 1.1, -0.7, 0.2, 1.3}, {3, 2}, kPlane),
                               from_data({0.35, 0.25, 0.4}, {3}, kPlane), from_data({0.4, 0.35, 0.25}, {3}, kPlane));
  m.labels = arange(0, 3, 1, {i64, Device::cpu()});
  return m;
}
Mixture eight_gaussians(double radius, double std) {
  const Tensor angle = arange(0, 8, 1, kPlane) * (M_PI / 4);
  Mixture m = gaussian_mixture(stack({cos(angle), sin(angle)}, 1) * radius, full({8}, std, kPlane), ones({8}, kPlane));
  m.labels = arange(0, 8, 1, {i64, Device::cpu()});
  return m;
}

Tensor moons(int64_t n, double noise, Generator* generator) {
  check_points("moons", n, noise);
  NoGrad guard;
  const Tensor angle = rand({n}, kPlane, generator) * M_PI, lower = remainder(arange(0, n, 1, kPlane), 2);
  const Tensor sign = 1 - 2 * lower;  // the lower one is turned by half a turn and moved by (1, 0.5)
  const Tensor x = cos(angle) * sign + lower, y = sin(angle) * sign + lower * 0.5;
  return with_noise(x - 0.5, y - 0.25, noise, generator);
}
Tensor swiss_roll(int64_t n, double noise, Generator* generator) {
  check_points("swiss_roll", n, noise);
  NoGrad guard;
  const Tensor angle = 1.5 * M_PI * (1 + 2 * rand({n}, kPlane, generator));
  const Tensor radius = angle * (2 / (4.5 * M_PI));
  return with_noise(radius * cos(angle), radius * sin(angle), noise, generator);
}
Tensor checkerboard(int64_t n, Generator* generator) {
  check_points("checkerboard", n);
  NoGrad guard;
  const Tensor y = rand({n}, kPlane, generator) * 4 - 2;
  const Tensor pair = randint(0, 2, {n}, {i64, Device::cpu()}, generator).to(f64) * 2;  // columns 0, 1 or 2, 3
  const Tensor x = rand({n}, kPlane, generator) - 2 + pair + remainder(field_of(y), 2);
  return stack({x, y}, 1);
}
Tensor checkerboard_density(const Tensor& points) {
  if (points.dim() != 2 || points.size(1) != 2)
    throw ShapeError(fmt::format("checkerboard_density: got {}; expected [n, 2]", points.shape().str()));
  NoGrad guard;
  const Tensor p = points.to(f64), field = field_of(p);
  const Tensor inside = ((p >= -2) & (p < 2)).all({1}), black = remainder(field.sum({1}), 2) == 0;
  return (inside & black).to(f64) / 8;
}

double energy_distance(const Tensor& a, const Tensor& b) {
  for (const Tensor* t : {&a, &b})
    if (t->dim() != 2 || t->size(0) < 2 || t->size(1) != a.size(1))
      throw ValueError(fmt::format("energy_distance: got {} and {}; expected [n, d] twice, at least two points",
                                   a.shape().str(), b.shape().str()));
  NoGrad guard;
  auto distances = [](const Tensor& x, const Tensor& y) {  // their sum, row by row
    double sum = 0;
    for (int64_t i = 0; i < x.size(0); ++i) sum += norm(y - x[i], {1}).sum().item();
    return sum;
  };
  const Tensor x = a.to(kPlane), y = b.to(kPlane);
  const double n = double(a.size(0)), m = double(b.size(0));
  return 2 * distances(x, y) / (n * m) - distances(x, x) / (n * (n - 1)) - distances(y, y) / (m * (m - 1));
}

}  // namespace ink::diffusion
