// DDIM: any amount of noise between none (eta = 0, the probability-flow ODE) and that of DDPM's small variance (eta =
// 1).
#pragma once
#include "nn/diffusion/samplers/sampler.h"

namespace ink::diffusion {

// From t to r: x_r = a_r D + sqrt(b_r^2 - q^2) eps + q z, q = eta b_r sqrt(1 - sigma_r^2 / sigma_t^2), which for
// variance-preserving processes is eta (b_r / b_t) sqrt(1 - (a_t / a_r)^2). Song, Meng & Ermon 2021, eq. 12 and 16.
struct Ddim : Sampler {
  double eta;
  explicit Ddim(double eta = 0);  // ValueError unless 0 <= eta <= 1
  Tensor step(Walk& walk, const Tensor& x, TimeStep step) override;
};

}  // namespace ink::diffusion
