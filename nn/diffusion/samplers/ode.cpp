// Runge-Kutta methods with a fixed step.
#include "nn/diffusion/samplers/ode.h"

#include <fmt/format.h>

#include "autograd/ops.h"

namespace ink::diffusion {

Tensor Euler::step(Walk& walk, const Tensor& x, TimeStep s) {
  return x + (s.next - s.t) * walk.predict(x, s.t, Output::velocity);
}

SecondOrder::SecondOrder(double alpha) : alpha(alpha) {
  if (!(alpha > 0 && alpha <= 1)) throw ValueError(fmt::format("SecondOrder: alpha must lie in (0, 1]; got {}", alpha));
}

Tensor SecondOrder::step(Walk& walk, const Tensor& x, TimeStep s) {
  const double h = s.next - s.t, between = alpha == 1 ? s.next : s.t + alpha * h;
  const Tensor u = walk.predict(x, s.t, Output::velocity);
  if (walk.process.b(between) == 0) return x + h * u;
  const Tensor there = walk.predict(x + alpha * h * u, between, Output::velocity);
  const double weight = 1 / (2 * alpha);
  return x + h * ((1 - weight) * u + weight * there);
}

Tensor RungeKutta4::step(Walk& walk, const Tensor& x, TimeStep s) {
  const double h = s.next - s.t, half = s.t + h / 2;
  const Tensor k1 = walk.predict(x, s.t, Output::velocity);
  if (walk.process.b(s.next) == 0) return x + h * k1;
  const Tensor k2 = walk.predict(x + h / 2 * k1, half, Output::velocity),
               k3 = walk.predict(x + h / 2 * k2, half, Output::velocity),
               k4 = walk.predict(x + h * k3, s.next, Output::velocity);
  return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4);
}

}  // namespace ink::diffusion
