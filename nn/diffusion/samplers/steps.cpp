// Grids of times and noise levels.
#include "nn/diffusion/samplers/steps.h"

#include <fmt/format.h>

#include <cmath>

namespace ink::diffusion {
namespace {

void check_ends(const char* grid, int64_t n, double first, double last, double least) {
  if (n < 1) throw ValueError(fmt::format("{}: expected at least 1 step; got {}", grid, n));
  if (!(first > last && last >= least && std::isfinite(first)))
    throw ValueError(
        fmt::format("{}: expected finite ends with first > last; got {} and {}; hint: steps run from noise to data",
                    grid, first, last));
}

// f(share of the way) for n + 1 points, both ends exact
template <class F> std::vector<double> grid_of(int64_t n, double first, double last, F f) {
  std::vector<double> grid{first};
  for (int64_t i = 1; i < n; ++i) grid.push_back(f(double(i) / double(n)));
  grid.push_back(last);
  return grid;
}

}  // namespace

void check_steps(const Steps& steps) {
  if (steps.empty()) throw ValueError("steps: none; expected at least 1");
  for (const TimeStep& s : steps)
    if (!(std::isfinite(s.t) && s.t > s.next && s.next >= 0))
      throw ValueError(
          fmt::format("steps: time must fall in each step and stay >= 0; got a step from {} to {}", s.t, s.next));
}

Steps through(std::span<const double> times) {
  Steps steps;
  for (size_t i = 1; i < times.size(); ++i) steps.push_back({times[i - 1], times[i]});
  check_steps(steps);
  return steps;
}

Steps through_sigmas(const Process& process, std::span<const double> sigmas) {
  std::vector<double> times;
  for (double sigma : sigmas) {
    times.push_back(process.time(sigma));
    if (sigma > process.sigma(process.end()) * (1 + 1e-12))
      throw ValueError(fmt::format("through_sigmas: the process ends at the noise level {}; got {}",
                                   process.sigma(process.end()), sigma));
  }
  return through(times);
}

std::vector<double> uniform_grid(int64_t n, double first, double last) {
  check_ends("uniform_grid", n, first, last, -INFINITY);
  return grid_of(n, first, last, [&](double share) { return first + share * (last - first); });
}
std::vector<double> quadratic_grid(int64_t n, double first, double last) {
  check_ends("quadratic_grid", n, first, last, -INFINITY);
  return grid_of(n, first, last, [&](double share) { return last + (first - last) * (1 - share) * (1 - share); });
}
std::vector<double> log_grid(int64_t n, double first, double last) {
  check_ends("log_grid", n, first, last, 1e-300);
  return grid_of(n, first, last, [&](double share) { return first * std::pow(last / first, share); });
}

std::vector<double> edm_grid(int64_t n, double sigma_min, double sigma_max, double rho) {
  check_ends("edm_grid", n, sigma_max, sigma_min, 0);
  if (!(rho > 0)) throw ValueError(fmt::format("edm_grid: rho must be positive; got {}", rho));
  const double high = std::pow(sigma_max, 1 / rho), low = std::pow(sigma_min, 1 / rho);
  if (n == 1) return {sigma_max, 0};
  return and_zero(
      grid_of(n - 1, sigma_max, sigma_min, [&](double share) { return std::pow(high + share * (low - high), rho); }));
}

std::vector<double> and_zero(std::vector<double> grid) {
  if (grid.empty() || grid.back() != 0) grid.push_back(0);
  return grid;
}

std::vector<double> ddpm_grid(int64_t steps, int64_t n, Spacing spacing) {
  if (n < 1 || n > steps)
    throw ValueError(fmt::format("ddpm_grid: expected 1 .. {} steps (those of the table); got {}", steps, n));
  std::vector<double> grid;
  const double T = double(steps), N = double(n);
  for (int64_t i = n - 1; i >= 0; --i) switch (spacing) {
      case Spacing::leading:
        grid.push_back(double(i * (steps / n)) + 1);
        break;
      case Spacing::trailing:
        grid.push_back(std::round(T - double(n - 1 - i) * T / N));
        break;
      case Spacing::linspace:
        grid.push_back(n == 1 ? T : std::round(double(i) * (T - 1) / (N - 1)) + 1);
        break;
    }
  return and_zero(grid);
}

double time_shift(double t, double k) {
  if (!(k > 0)) throw ValueError(fmt::format("time_shift: expected a factor > 0; got {}", k));
  return k * t / (1 + (k - 1) * t);
}

}  // namespace ink::diffusion
