// EDM's stochastic sampler: before each Heun step some noise is added, and the noise level with it. Karras et al. 2022,
// alg. 2.
#pragma once
#include "nn/diffusion/samplers/sampler.h"

namespace ink::diffusion {

struct ChurnOptions {
  double churn = 40;    // S_churn: spread over the steps; 0 is deterministic Heun
  double least = 0.05;  // S_tmin and S_tmax: the noise levels between which noise is added
  double most = 50;
  double inflate = 1.003;  // S_noise: the added noise is that much larger than it should be
};

// In EDM's frame, x_t / a against sigma, whatever the process. gamma = min(S_churn / N, sqrt(2) - 1) for N steps.
struct EdmChurn : Sampler {
  ChurnOptions options;
  // ValueError for a churn or inflation that is negative or not finite.
  explicit EdmChurn(const ChurnOptions& options = {});
  void begin(const Process& process, const Steps& steps) override;
  Tensor step(Walk& walk, const Tensor& x, TimeStep step) override;

 private:
  double gamma_ = 0;
};

}  // namespace ink::diffusion
