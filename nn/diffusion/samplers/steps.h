// The times a sampler goes through. A step is a pair (t, next), so that none is ever guessed from the one before; steps
// run from noise to data, t > next.
#pragma once
#include <span>
#include <vector>

#include "nn/diffusion/ddpm.h"

namespace ink::diffusion {

struct TimeStep {
  double t, next;
};
using Steps = std::vector<TimeStep>;

// The steps between neighbouring times, which must fall strictly, be finite and >= 0: else a ValueError. At least two
// times.
Steps through(std::span<const double> times);
// The same for noise levels, at the times where the process has them. Levels beyond the process's end are an error too.
Steps through_sigmas(const Process& process, std::span<const double> sigmas);
// ValueError unless there is a step and each falls: t > next >= 0.
void check_steps(const Steps& steps);

// The grids below are lists of n + 1 falling numbers for n steps; ValueError for n < 1 or ends that do not fall.
std::vector<double> uniform_grid(int64_t n, double first, double last);
// last + (first - last) (1 - i / n)^2: dense near the data. "time-quadratic" in DPM-Solver's code, from 0.
std::vector<double> quadratic_grid(int64_t n, double first, double last);
// Noise levels at equal distances of their logarithm, last > 0: uniform in lambda = ln(a / b) ("logSNR").
std::vector<double> log_grid(int64_t n, double first, double last);
// EDM's noise levels (max^{1/rho} + i / (n - 1) (min^{1/rho} - max^{1/rho}))^rho for i = 0 .. n - 1, and then 0. Karras
// et al. 2022, eq. 5. rho = 7 puts most steps at little noise, rho = 1 spaces them evenly.
std::vector<double> edm_grid(int64_t n, double sigma_min = 0.002, double sigma_max = 80, double rho = 7);
// The same list with a last entry of 0 behind it: the step that takes the last noise away.
std::vector<double> and_zero(std::vector<double> grid);

// Which n of DDPM's T steps are used; all end with the step to 0.
enum class Spacing {
  leading,   // rows 0, k, 2k, .. of the table, k = T / n rounded down: does not begin at pure noise
  trailing,  // T, T - T/n, ..: begins at t = T
  linspace,  // from t = 1 to t = T at equal distances, rounded
};
std::vector<double> ddpm_grid(int64_t steps, int64_t n, Spacing spacing = Spacing::trailing);

// k t / (1 + (k - 1) t): times of [0, 1] moved towards noise by k > 1, which multiplies flow matching's noise level
// t / (1 - t) by k. Esser et al. 2024, eq. 23. ValueError unless k > 0.
double time_shift(double t, double k);

}  // namespace ink::diffusion
