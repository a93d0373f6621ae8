// Noise added, then a Heun step in sigma.
#include "nn/diffusion/samplers/churn.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "autograd/ops.h"

namespace ink::diffusion {

EdmChurn::EdmChurn(const ChurnOptions& options) : options(options) {
  if (!(options.churn >= 0 && options.inflate >= 0 && std::isfinite(options.churn + options.inflate)))
    throw ValueError(fmt::format("EdmChurn: churn and inflate must be >= 0 and finite; got {} and {}", options.churn,
                                 options.inflate));
}

void EdmChurn::begin(const Process&, const Steps& steps) {
  gamma_ = std::fmin(options.churn / double(steps.size()), std::numbers::sqrt2 - 1);
}

Tensor EdmChurn::step(Walk& walk, const Tensor& x, TimeStep s) {
  const double a = walk.process.a(s.t), a_next = walk.process.a(s.next);
  const double sigma = walk.process.sigma(s.t), next = walk.process.sigma(s.next);
  if (!std::isfinite(sigma))
    throw ValueError(fmt::format("EdmChurn: the noise level at t = {} is not finite; hint: begin earlier", s.t));
  const double gamma = sigma >= options.least && sigma <= options.most ? gamma_ : 0, raised = sigma * (1 + gamma);
  Tensor y = x / a;
  // raised^2 - sigma^2 = sigma^2 gamma (2 + gamma), written without the difference of squares
  if (gamma > 0) y = y + options.inflate * sigma * std::sqrt(gamma * (2 + gamma)) * walk.noise(x);
  const Tensor slope = (y - walk.denoise(y, raised)) / raised;
  Tensor moved = y + (next - raised) * slope;
  if (next > 0) {
    const Tensor there = (moved - walk.denoise(moved, next)) / next;
    moved = y + (next - raised) * (0.5 * slope + 0.5 * there);
  }
  return moved * a_next;
}

}  // namespace ink::diffusion
