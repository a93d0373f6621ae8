// Laws in the plane to try diffusion on: mixtures, whose densities, denoisers and scores are known, and shapes.
#pragma once
#include "nn/diffusion/denoiser.h"

namespace ink::diffusion {

// Three components of weights 0.4, 0.35, 0.25 at (-1.2, -0.5), (1.1, -0.7), (0.2, 1.3) with standard deviations 0.35,
// 0.25, 0.4; labels 0, 1, 2.
Mixture three_gaussians();
// Eight components on a circle, labels 0 .. 7 from (radius, 0) on, against the clock.
Mixture eight_gaussians(double radius = 2, double std = 0.15);

// n points [n, 2] f64, on the CPU. The default generator unless given. ValueError for n < 0 or a negative noise.
//
// Two half circles that reach into each other, made of equally many points, with normal noise; about within [-1.5, 1.5]
// x
// [-1, 1]: the mean is 0.
Tensor moons(int64_t n, double noise = 0.06, Generator* generator = nullptr);
// A spiral of one and a half turns, within a radius of about 2.
Tensor swiss_roll(int64_t n, double noise = 0.06, Generator* generator = nullptr);
// Uniform on the eight black fields of a board of 4 x 4 fields on [-2, 2]^2, (-2, -2) black.
Tensor checkerboard(int64_t n, Generator* generator = nullptr);
// Its density at points [n, 2] -> [n] f64: 1 / 8 on black fields, 0 elsewhere.
Tensor checkerboard_density(const Tensor& points);

// Points of `a` and `b` [n, 2] compared by the energy distance 2 E|a - b| - E|a - a'| - E|b - b'| >= 0, 0 for equal
// laws. Pairs of a point with itself do not count, so for few points it may be slightly below 0. Szekely & Rizzo 2013.
// ValueError for less than two points.
double energy_distance(const Tensor& a, const Tensor& b);

}  // namespace ink::diffusion
