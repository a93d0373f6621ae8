// Tables of betas, and the process through their points.
#include "nn/diffusion/ddpm.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

namespace ink::diffusion {
namespace {

// beta_n = 1 - A(n / T) / A((n - 1) / T), at most 0.999.
template <class A> std::vector<double> betas_of_curve(int64_t steps, A alpha_bar) {
  std::vector<double> betas;
  for (int64_t n = 1; n <= steps; ++n)
    betas.push_back(
        std::min(0.999, 1 - alpha_bar(double(n) / double(steps)) / alpha_bar(double(n - 1) / double(steps))));
  return betas;
}

std::vector<double> evenly(double first, double last, int64_t steps) {
  std::vector<double> values;
  for (int64_t n = 0; n < steps; ++n)
    values.push_back(steps == 1 ? last : first + (last - first) * double(n) / double(steps - 1));
  return values;
}

double logistic(double x) { return 1 / (1 + std::exp(-x)); }

void check_betas(const std::vector<double>& betas) {
  if (betas.empty()) throw ValueError("Ddpm: no betas; expected one for each step");
  for (size_t i = 0; i < betas.size(); ++i) {
    const bool last = i + 1 == betas.size();
    if (!(betas[i] > 0 && (betas[i] < 1 || (last && betas[i] == 1))))
      throw ValueError(
          fmt::format("Ddpm: beta {} must lie in (0, 1){}; got {}", i + 1, last ? ", or be 1" : "", betas[i]));
  }
}

}  // namespace

std::vector<double> betas(BetaSchedule schedule, int64_t steps) {
  if (steps < 1) throw ValueError(fmt::format("betas: expected at least 1 step; got {}", steps));
  std::vector<double> table;
  switch (schedule) {
    case BetaSchedule::linear: {
      const double scale = 1000 / double(steps);
      table = evenly(scale * 1e-4, scale * 0.02, steps);
      break;
    }
    case BetaSchedule::scaled_linear:
      table = evenly(std::sqrt(0.00085), std::sqrt(0.012), steps);
      for (double& v : table) v *= v;
      break;
    case BetaSchedule::cosine:
      table = betas_of_curve(steps, [](double t) {
        const double c = std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2);
        return c * c;
      });
      break;
    case BetaSchedule::sigmoid:
      table = betas_of_curve(steps, [](double t) {
        return (logistic(3) - logistic(6 * t - 3)) / (logistic(3) - logistic(-3));
      });
      break;
  }
  for (double v : table)
    if (!(v > 0 && v < 1))
      throw ValueError(fmt::format("betas: {} steps are too few for this schedule; got a beta of {}", steps, v));
  return table;
}

std::vector<double> zero_terminal_snr(const std::vector<double>& betas) {
  check_betas(betas);
  std::vector<double> root{1};
  for (double beta : betas) root.push_back(root.back() * std::sqrt(1 - beta));
  const double first = root[1], last = root.back();
  if (betas.size() == 1) return {1};
  // sqrt(A_1) stays, sqrt(A_T) becomes 0
  for (size_t n = 1; n < root.size(); ++n) root[n] = (root[n] - last) * first / (first - last);
  std::vector<double> result;
  for (size_t n = 1; n < root.size(); ++n) result.push_back(1 - std::pow(root[n] / root[n - 1], 2));
  result.back() = 1;
  return result;
}

Ddpm::Ddpm(std::vector<double> betas) : betas_(std::move(betas)), root_{1}, noise_{0} {
  check_betas(betas_);
  for (double beta : betas_) {
    root_.push_back(root_.back() * std::sqrt(1 - beta));
    noise_.push_back(noise_.back() * (1 - beta) + beta);
  }
}

double Ddpm::beta(int64_t n) const {
  if (n < 1 || n > steps()) throw IndexError(fmt::format("Ddpm: no step {}; expected 1 .. {}", n, steps()));
  return betas_[size_t(n - 1)];
}
double Ddpm::alpha_bar(int64_t n) const {
  if (n < 0 || n > steps()) throw IndexError(fmt::format("Ddpm: no step {}; expected 0 .. {}", n, steps()));
  return root_[size_t(n)] * root_[size_t(n)];
}

int64_t Ddpm::segment(double t) const { return std::clamp<int64_t>(int64_t(std::ceil(t)), 1, steps()); }
double Ddpm::a(double t) const {
  const int64_t n = segment(t);
  const double back = double(n) - t;  // 0 at step n
  return back == 0 ? root_[size_t(n)] : root_[size_t(n)] - back * da(t);
}
// 1 - a^2 from the nearer end of the segment, so that little noise does not drown in rounding.
double Ddpm::b(double t) const {
  const int64_t n = segment(t);
  const double below = root_[size_t(n - 1)], moved = (t - double(n - 1)) * da(t);  // a = below + moved
  if (t == double(n)) return std::sqrt(noise_[size_t(n)]);
  return std::sqrt(std::max(0., noise_[size_t(n - 1)] - moved * (2 * below + moved)));
}
// sqrt(A_n) - sqrt(A_{n-1}) = -sqrt(A_{n-1}) beta / (1 + sqrt(1 - beta))
double Ddpm::da(double t) const {
  const size_t n = size_t(segment(t));
  return -root_[n - 1] * betas_[n - 1] / (1 + std::sqrt(1 - betas_[n - 1]));
}
double Ddpm::db(double t) const { return -a(t) * da(t) / b(t); }

// a = 1 / sqrt(1 + sigma^2) lies in one segment, where a is linear. The segment, and how far a has fallen in it, are
// read from 1 - a^2 where that is small, from a where that is.
double Ddpm::time(double sigma) const {
  if (!(sigma > 0)) return 0;
  const double a = 1 / std::hypot(1, sigma), noise = sigma * a * sigma * a;
  if (a <= root_.back()) return end();
  const bool loud = sigma > 1;
  const size_t n = loud ? size_t(std::lower_bound(root_.begin(), root_.end(), a, std::greater<>()) - root_.begin())
                        : size_t(std::lower_bound(noise_.begin(), noise_.end(), noise) - noise_.begin());
  if (n == 0 || n >= root_.size()) return n == 0 ? 0 : end();
  const double r = root_[n - 1], fall = loud ? r - a : (noise - noise_[n - 1]) / (r + a);
  return std::clamp(double(n - 1) - fall / da(double(n)), double(n - 1), double(n));
}

}  // namespace ink::diffusion
