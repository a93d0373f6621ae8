// Guidance: a denoiser that leans further towards a condition than the data do.
#pragma once
#include "nn/diffusion/denoiser.h"

namespace ink::diffusion {

// Two conventions, which differ by one: the same number means different things in different code.
enum class GuidanceScale {
  from_unconditional,  // D_u + w (D_c - D_u): w = 0 unconditional, 1 conditional. diffusers, DPM-Solver
  from_conditional,    // D_c + w (D_c - D_u): w = -1 unconditional, 0 conditional. Ho & Salimans 2022
};

// Classifier-free guidance: one denoiser asked with and without the condition. `null_class` is the class that stands
// for no class: what the network was trained with, a negative number for a Mixture. At the two weights where one answer
// is enough, one is asked for, and the result has its bits. cond of the call: classes [batch].
struct ClassifierFree {
  Denoiser denoiser;
  double weight = 1;
  GuidanceScale scale = GuidanceScale::from_unconditional;
  int64_t null_class = -1;
  Tensor operator()(const Tensor& x, const Tensor& sigma, const Tensor& cond) const;
};

// Classifier guidance: D + w sigma^2 grad_x log q(cond | x), which is eps - w b grad log q in terms of eps. The
// denoiser is asked without a condition; log_prob(x, sigma, cond) -> [batch] is the classifier, on x in EDM's frame.
// Dhariwal & Nichol 2021, alg. 2.
struct ClassifierGuided {
  Denoiser denoiser;
  FunctionRef<Tensor(const Tensor& x, const Tensor& sigma, const Tensor& cond)> log_prob;
  double weight = 1;
  Tensor operator()(const Tensor& x, const Tensor& sigma, const Tensor& cond) const;
};

}  // namespace ink::diffusion
