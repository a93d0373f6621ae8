// One step of DDIM.
#include "nn/diffusion/samplers/ddim.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/ops.h"

namespace ink::diffusion {

Ddim::Ddim(double eta) : eta(eta) {
  if (!(eta >= 0 && eta <= 1)) throw ValueError(fmt::format("Ddim: eta must lie in [0, 1]; got {}", eta));
}

Tensor Ddim::step(Walk& walk, const Tensor& x, TimeStep s) {
  const Process& p = walk.process;
  const double a = p.a(s.t), b = p.b(s.t), a_r = p.a(s.next), b_r = p.b(s.next);
  const double ratio = b_r * a / (a_r * b), fresh = eta * eta * (1 - ratio * ratio);  // q^2 / b_r^2
  const Tensor D = walk.predict(x, s.t, Output::denoised), eps = (x - a * D) / b;
  const Tensor moved = a_r * D + b_r * std::sqrt(1 - fresh) * eps;
  const double q = b_r * std::sqrt(fresh);
  return q > 0 ? moved + q * walk.noise(x) : moved;
}

}  // namespace ink::diffusion
