// Guided denoisers.
#include "nn/diffusion/guidance.h"

#include <fmt/format.h>

#include "autograd/graph/engine.h"
#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink::diffusion {

Tensor ClassifierFree::operator()(const Tensor& x, const Tensor& sigma, const Tensor& cond) const {
  if (!cond.defined())
    throw ValueError("ClassifierFree: no classes given; hint: {.cond = classes} as options of sample");
  // D_u + w (D_c - D_u)
  const double w = scale == GuidanceScale::from_unconditional ? weight : weight + 1;
  if (w == 1) return denoiser(x, sigma, cond);
  const Tensor without = denoiser(x, sigma, full_like(cond, null_class));
  return w == 0 ? without : without + w * (denoiser(x, sigma, cond) - without);
}

Tensor ClassifierGuided::operator()(const Tensor& x, const Tensor& sigma, const Tensor& cond) const {
  Tensor slope;
  {
    EnableGrad guard;
    Tensor at = x.detach().requires_grad_();
    slope = grad(sum(log_prob(at, sigma, cond)), at);
  }
  const Tensor s2 = per_sample([](double s) { return s * s; }, sigma, x);
  return to(denoiser(x, sigma, {}) + weight * s2 * slope, x.dtype());
}

}  // namespace ink::diffusion
