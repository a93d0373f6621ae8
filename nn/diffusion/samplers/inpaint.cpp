// Replacement, and steps back.
#include "nn/diffusion/samplers/inpaint.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/ops.h"

namespace ink::diffusion {

Inpaint::Inpaint(Sampler& inner, const Tensor& known, const Tensor& mask, int64_t repeats)
    : inner(inner), known(to(known, f64)), mask(mask), repeats(repeats) {
  if (mask.dtype() != boolean) throw DTypeError("Inpaint: the mask must be bool; hint: mask > 0");
  if (repeats < 1) throw ValueError(fmt::format("Inpaint: expected repeats >= 1; got {}", repeats));
}

Tensor Inpaint::step(Walk& walk, const Tensor& x, TimeStep s) {
  const Process& p = walk.process;
  const double a_r = p.a(s.next), b_r = p.b(s.next), alpha = p.a(s.t) / a_r;
  Tensor from = x, now;
  for (int64_t i = 0; i < repeats; ++i) {
    now = inner.step(walk, from, s);
    const Tensor noised = b_r > 0 ? a_r * known + b_r * walk.noise(x) : a_r * known;
    now = where(mask, noised, now);
    if (b_r == 0) break;
    // back to t by the forward kernel: x_t = alpha x_r + sqrt(b_t^2 - alpha^2 b_r^2) z
    if (i + 1 < repeats)
      from = alpha * now + std::sqrt(std::fmax(0, std::pow(p.b(s.t), 2) - std::pow(alpha * b_r, 2))) * walk.noise(x);
  }
  return now;
}

}  // namespace ink::diffusion
