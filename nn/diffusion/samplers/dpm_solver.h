// DPM-Solver: exact in the linear part of the ODE, a Taylor series in lambda = ln(a / b) for the rest. With h =
// lambda_r - lambda_t the step of first order is DDIM's:
//   of eps   x_r = (a_r / a_t) x - b_r (e^h - 1) eps          (DPM-Solver)
//   of D     x_r = (b_r / b_t) x - a_r (e^{-h} - 1) D         (DPM-Solver++)
// Steps from a = 0 and steps to b = 0, where lambda is infinite, are of first order.
#pragma once
#include "nn/diffusion/samplers/sampler.h"

namespace ink::diffusion {

// Singlestep, of order 1, 2 or 3 with so many evaluations: intermediate times at h/2, or at h/3 and 2h/3. Lu et al.
// 2022a, alg. 1 (r1 = 1/2) and 2 (r1 = 1/3, r2 = 2/3).
struct DpmSolver : Sampler {
  int order;
  explicit DpmSolver(int order = 2);  // ValueError unless 1, 2 or 3
  Tensor step(Walk& walk, const Tensor& x, TimeStep step) override;
};

// DPM-Solver++(2M): second order with one evaluation, since the step before is remembered: D is replaced by
// (1 + 1 / (2k)) D - D_before / (2k), k = h_before / h. The first step is of first order, as is one whose predecessor
// did not end at its beginning. Lu et al. 2022b, alg. 2.
struct DpmSolverPP2M : Sampler {
  void begin(const Process& process, const Steps& steps) override;
  Tensor step(Walk& walk, const Tensor& x, TimeStep step) override;

 private:
  Tensor before_;
  TimeStep step_before_{};
};

}  // namespace ink::diffusion
