// One step of ancestral sampling.
#include "nn/diffusion/samplers/ancestral.h"

#include <cmath>

#include "autograd/ops.h"

namespace ink::diffusion {

Tensor Ancestral::step(Walk& walk, const Tensor& x, TimeStep s) {
  const Process& p = walk.process;
  const double b2 = std::pow(p.b(s.t), 2), a_r = p.a(s.next), b2_r = std::pow(p.b(s.next), 2);
  const double alpha = p.a(s.t) / a_r, beta = std::fmax(0, b2 - alpha * alpha * b2_r);
  const Tensor D = walk.predict(x, s.t, Output::denoised);
  const Tensor mean = beta * a_r / b2 * D + alpha * b2_r / b2 * x;
  const double spread = variance == AncestralVariance::large ? beta : beta * b2_r / b2;
  return b2_r > 0 && spread > 0 ? mean + std::sqrt(spread) * walk.noise(x) : mean;
}

}  // namespace ink::diffusion
