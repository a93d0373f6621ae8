// DDPM's discrete schedules: a table of betas, one for each of the steps 1 .. T, and with alpha_n = 1 - beta_n and A_n
// = alpha_1 ... alpha_n the law x_n = sqrt(A_n) x_0 + sqrt(1 - A_n) eps. Ho et al. 2020.
#pragma once
#include "nn/diffusion/process.h"

namespace ink::diffusion {

// How beta_1 .. beta_T are chosen.
enum class BetaSchedule {
  linear,         // from 0.0001 to 0.02 at T = 1000; both times 1000 / T for other T. Ho et al. 2020
  scaled_linear,  // sqrt(beta) linear, beta from 0.00085 to 0.012: latent diffusion. Rombach et al. 2022
  cosine,         // A(t) = cos^2(((t + 0.008) / 1.008) pi / 2), betas at most 0.999. Nichol & Dhariwal 2021
  sigmoid,        // A(t) a logistic curve from -3 to 3, betas at most 0.999. Jabri et al. 2023
};

// [T] betas. ValueError for steps < 1, or a beta that would not lie in (0, 1) (few steps of `linear`).
std::vector<double> betas(BetaSchedule schedule, int64_t steps);
// The same shape of schedule with A_T = 0, sqrt(A) shifted and scaled so that sqrt(A_1) stays: the last step is noise
// alone, its beta is 1. Networks must then not predict eps, which says nothing about x_0 there. Lin et al. 2024,
// alg. 1.
std::vector<double> zero_terminal_snr(const std::vector<double>& betas);

// Times are steps: t = 0 is data, t = n is after n steps, t = T the end. (Papers and code that count a table's rows
// from 0 have n - 1, and feed that to the network.) Between steps a(t) is linear in t and a^2 + b^2 = 1; derivatives at
// a step are those from below.
class Ddpm : public Process {
 public:
  explicit Ddpm(std::vector<double> betas);  // ValueError for no betas, or one outside (0, 1] (1 only as the last)
  explicit Ddpm(BetaSchedule schedule, int64_t steps = 1000) : Ddpm(betas(schedule, steps)) {}
  int64_t steps() const { return int64_t(betas_.size()); }
  double beta(int64_t n) const;       // of step n in 1 .. T
  double alpha_bar(int64_t n) const;  // A_n, n in 0 .. T; IndexError outside
  double a(double t) const override;
  double b(double t) const override;
  double da(double t) const override;
  double db(double t) const override;
  double g2(double t) const override { return -2 * da(t) / a(t); }  // with a^2 + b^2 = 1
  double end() const override { return double(steps()); }
  double prior_std(double) const override { return 1; }
  double time(double sigma) const override;
  std::string name() const override { return "ddpm"; }
  std::vector<double> constants() const override { return betas_; }

 private:
  int64_t segment(double t) const;  // the step n with n - 1 < t <= n
  std::vector<double> betas_;
  std::vector<double> root_;   // sqrt(A_n), n = 0 .. T
  std::vector<double> noise_;  // 1 - A_n, summed without cancellation: 1 - A_n = (1 - A_{n-1}) alpha_n + beta_n
};

}  // namespace ink::diffusion
