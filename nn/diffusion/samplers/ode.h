// Solvers of the probability-flow ODE dx/dt = u(x, t) in the process's own time, u = E[a' x_0 + b' eps | x_t]: no
// noise, and at every time the same marginals as the SDE. With FlowMatching they are flow matching's samplers, with Edm
// EDM's.
//
// A step that would have to evaluate u where b = 0 is one of Euler: it ends on D, without a division by b.
#pragma once
#include "nn/diffusion/samplers/sampler.h"

namespace ink::diffusion {

// x + h u(x, t) with h = next - t: first order, one evaluation.
struct Euler : Sampler {
  Tensor step(Walk& walk, const Tensor& x, TimeStep step) override;
};

// All explicit two-stage methods of second order: an Euler step of alpha h, and then from x with the slopes weighted by
// 1 - 1 / (2 alpha) and 1 / (2 alpha). Karras et al. 2022, alg. 3.
struct SecondOrder : Sampler {
  double alpha;
  explicit SecondOrder(double alpha);  // ValueError unless 0 < alpha <= 1
  Tensor step(Walk& walk, const Tensor& x, TimeStep step) override;
};
// alpha = 1: the mean of the slopes at both ends (EDM's solver).
struct Heun : SecondOrder {
  Heun() : SecondOrder(1) {}
};
// alpha = 1/2: the slope in the middle. No evaluation falls on next, so it keeps its order into t = 0.
struct Midpoint : SecondOrder {
  Midpoint() : SecondOrder(0.5) {}
};

// The classical method of fourth order, four evaluations. Kutta 1901.
struct RungeKutta4 : Sampler {
  Tensor step(Walk& walk, const Tensor& x, TimeStep step) override;
};

}  // namespace ink::diffusion
