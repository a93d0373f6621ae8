// Steps of the reverse SDE.
#include "nn/diffusion/samplers/sde.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/ops.h"

namespace ink::diffusion {

EulerMaruyama::EulerMaruyama(double scale) : scale(scale) {
  if (!(scale >= 0)) throw ValueError(fmt::format("EulerMaruyama: the scale of g must be >= 0; got {}", scale));
}

Tensor EulerMaruyama::step(Walk& walk, const Tensor& x, TimeStep s) {
  const double f = walk.process.f(s.t), g2 = walk.process.g2(s.t), d = s.t - s.next;
  const double noise = h ? (*h)(s.t) : scale * std::sqrt(g2);
  if (!std::isfinite(f) || !std::isfinite(g2) || !(noise >= 0))
    throw ValueError(
        fmt::format("EulerMaruyama: f and g must be finite and h >= 0; got f = {}, g^2 = {} and h = {} at t = "
                    "{}; hint: begin earlier",
                    f, g2, noise, s.t));
  const Tensor S = walk.predict(x, s.t, Output::score);
  const Tensor moved = (1 - f * d) * x + (g2 + noise * noise) / 2 * d * S;
  return noise > 0 ? moved + noise * std::sqrt(d) * walk.noise(x) : moved;
}

Tensor ReverseDiffusion::step(Walk& walk, const Tensor& x, TimeStep s) {
  const Process& p = walk.process;
  const double alpha = p.a(s.t) / p.a(s.next);
  const double beta = std::fmax(0, std::pow(p.b(s.t), 2) - std::pow(alpha * p.b(s.next), 2));
  return (2 - alpha) * x + beta * walk.predict(x, s.t, Output::score) + std::sqrt(beta) * walk.noise(x);
}

}  // namespace ink::diffusion
