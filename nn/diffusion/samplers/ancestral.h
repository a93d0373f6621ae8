// Ancestral sampling: x_r is drawn from q(x_r | x_t, x_0 = D), what the forward process says of the time before. DDPM's
// sampler, and SMLD's ancestral one (score SDE, eq. 47), which is the same with a = 1.
#pragma once
#include "nn/diffusion/samplers/sampler.h"

namespace ink::diffusion {

// With the forward kernel x_t = alpha x_r + sqrt(beta) z, alpha = a_t / a_r, beta = b_t^2 - alpha^2 b_r^2:
enum class AncestralVariance {
  small,  // beta b_r^2 / b_t^2: that of q(x_r | x_t, x_0), right if the data are one point
  large,  // beta: right if the data are N(0, I); what score SDE's code has for VP
};

// mean = (beta a_r D + alpha b_r^2 x) / b_t^2; no noise in the step to b = 0. Ho et al. 2020, eq. 7.
struct Ancestral : Sampler {
  AncestralVariance variance;
  explicit Ancestral(AncestralVariance variance = AncestralVariance::small) : variance(variance) {}
  Tensor step(Walk& walk, const Tensor& x, TimeStep step) override;
};

}  // namespace ink::diffusion
