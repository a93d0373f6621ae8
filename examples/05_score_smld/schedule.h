// How many noise levels, how far apart, and which step: the rules of Song and Ermon 2020 ("Improved techniques for
// training score-based generative models"), as functions of the dimension.
#pragma once
#include <cmath>

#include "include/inkstone/ink.h"

namespace ink::lesson {

inline double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

// In d dimensions the noise of level sigma lies on a shell of radius sigma sqrt(d) and of thickness sigma / sqrt(2):
// how much of the shell of one level lies within three thicknesses of the shell of the next larger one, for two levels
// of that ratio. Proposition 2; technique 2 asks for about 0.5.
inline double overlap(double d, double ratio) {
  const double gap = std::sqrt(2 * d) * (ratio - 1);
  return normal_cdf(gap + 3 * ratio) - normal_cdf(gap - 3 * ratio);  // (5.12)
}
// The ratio of neighbouring levels at which the overlap is `wanted`.
inline double level_ratio(double d, double wanted = 0.5) {
  double low = 1, high = 100;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (overlap(d, middle) > wanted ? low : high) = middle;
  }
  return low;
}

// Where the data are one point, a level begins with the spread of the level before, ratio times its own. After
// `updates` Langevin steps of r = e / sigma^2 the variance is that many times sigma^2: each step multiplies x by 1 - r
// and adds 2 r sigma^2. Proposition 4, with the library's e (the paper's is the same); technique 4 asks for about 1.
inline double variance_after(double r, int64_t updates, double ratio) {
  const double keep = (1 - r) * (1 - r), rest = 2 * r / (1 - keep);
  return std::pow(keep, double(updates)) * (ratio * ratio - rest) + rest;  // (5.13)
}
// The r at which that is nearest to 1, by trying.
inline double step_share(int64_t updates, double ratio) {
  double best = 0.5, least = INFINITY;
  for (double r = 1e-4; r < 1; r *= 1.002)
    if (const double off = std::abs(variance_after(r, updates, ratio) - 1); off < least) least = off, best = r;
  return best;
}

// The largest distance between two points of [n, d].
inline double diameter(const Tensor& x) {
  const Tensor squares = square(x).sum({1}, true);
  return std::sqrt(std::max(0.0, (squares + squares.t() - 2 * matmul(x, x.t())).max().item()));
}

}  // namespace ink::lesson
