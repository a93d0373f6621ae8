// Solvers of the reverse-time SDE, and of the family between it and the ODE.
#pragma once
#include "nn/diffusion/samplers/sampler.h"

namespace ink::diffusion {

// For any h(t) >= 0 the equation, backward in time,
//   dx = [f x - (g^2 + h^2) / 2 S] dt + h dw,   S = grad log p_t
// has the marginals of the forward process: h = g is Anderson's reverse SDE, h = 0 the probability-flow ODE. One step
// of Euler and Maruyama is x - [f x - (g^2 + h^2) / 2 S] d + h sqrt(d) z with d = t - next. Song et al. 2021; Huang et
// al. 2021.
struct EulerMaruyama : Sampler {
  double scale = 1;                                   // h(t) = scale g(t), unless
  std::optional<FunctionRef<double(double)>> h = {};  // h(t) is given
  EulerMaruyama() = default;
  explicit EulerMaruyama(double scale);  // ValueError unless scale >= 0
  explicit EulerMaruyama(FunctionRef<double(double)> h) : h(h) {}
  // ValueError where f or g is not finite (flow matching at t = 1).
  Tensor step(Walk& walk, const Tensor& x, TimeStep step) override;
};

// The reverse step that mirrors the forward one: from x_t = alpha x_r + sqrt(beta) z it is
// x_r = (2 - alpha) x_t + beta S + sqrt(beta) z. Song et al. 2021, eq. 46; alpha = 1 for VE, sqrt(1 - beta) for VP.
struct ReverseDiffusion : Sampler {
  Tensor step(Walk& walk, const Tensor& x, TimeStep step) override;
};

}  // namespace ink::diffusion
