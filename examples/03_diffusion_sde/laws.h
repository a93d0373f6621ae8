// The laws on the line that lesson 03 diffuses, and how far a cloud of points is from one.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "examples/support/lesson/lesson.h"
#include "include/inkstone/diffusion.h"
#include "include/inkstone/ink.h"

namespace ink::lesson {

using namespace diffusion;

inline const Options kOnCpu{f64, Device::cpu()};

// 0.35 N(-1.2, 0.25^2) + 0.65 N(0.9, 0.35^2), as data [1].
inline Mixture two_hills() {
  return gaussian_mixture(tensor({{-1.2}, {0.9}}, kOnCpu), tensor({0.25, 0.35}, kOnCpu), tensor({0.35, 0.65}, kOnCpu));
}

inline Tensor at_time(int64_t n, double t) { return full({n}, t, kOnCpu); }

// Of a mixture on the line under noise: x_t = a x_0 + b eps.
struct Marginal {
  std::vector<double> weights, means, stds;
  Marginal(const Mixture& law, double a, double b) {
    const std::vector<double> logs = law.log_weights.to_vector<double>(), m = law.means.to_vector<double>(),
                              s = law.stds.to_vector<double>();
    for (size_t k = 0; k < m.size(); ++k)
      weights.push_back(std::exp(logs[k])), means.push_back(a * m[k]), stds.push_back(std::hypot(a * s[k], b));
  }
  double cdf(double x) const {
    double sum = 0;
    for (size_t k = 0; k < means.size(); ++k)
      sum += weights[k] * std::erfc((means[k] - x) / (stds[k] * std::sqrt(2.0))) / 2;
    return sum;
  }
  double quantile(double p) const {
    double low = -1e3, high = 1e3;
    for (int i = 0; i < 60; ++i) (cdf((low + high) / 2) < p ? low : high) = (low + high) / 2;
    return low;
  }
  double mean() const {
    double sum = 0;
    for (size_t k = 0; k < means.size(); ++k) sum += weights[k] * means[k];
    return sum;
  }
  double variance() const {
    double sum = -mean() * mean();
    for (size_t k = 0; k < means.size(); ++k) sum += weights[k] * (means[k] * means[k] + stds[k] * stds[k]);
    return sum;
  }
};

// n points of equal weight that stand for the law.
inline std::vector<double> quantiles(const Marginal& law, int64_t n) {
  std::vector<double> at;
  for (int64_t i = 0; i < n; ++i) at.push_back(law.quantile((double(i) + 0.5) / double(n)));
  return at;
}
// The mean distance that points [n, 1] have to move to become n quantiles of a law (Wasserstein 1).
inline double transport(const Tensor& points, const std::vector<double>& quantiles) {
  std::vector<double> x = points.to_vector<double>();
  std::sort(x.begin(), x.end());
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += std::abs(x[i] - quantiles[i]);
  return sum / double(x.size());
}

// A few rows of [time, walkers] as curves over times.
inline std::vector<Series> paths(const std::vector<double>& times, const std::vector<Tensor>& states, int64_t walkers,
                                 const std::string& name) {
  std::vector<Series> all;
  for (int64_t w = 0; w < walkers; ++w) {
    Series s{.name = w == 0 ? name : "", .x = times};
    for (const Tensor& x : states) s.y.push_back(x[w][0].item());
    all.push_back(s);
  }
  return all;
}

// How many of [n, 1] points fall into each of 32 cells of [-reach, reach].
inline std::vector<double> bins(const Tensor& points, double reach) {
  std::vector<double> cells(32, 0);
  for (double x : points.to_vector<double>()) {
    const auto cell = int64_t(std::floor((x + reach) / (2 * reach) * 32));
    if (cell >= 0 && cell < 32) cells[size_t(cell)] += 1;
  }
  return cells;
}

}  // namespace ink::lesson
