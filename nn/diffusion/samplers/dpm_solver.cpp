// Exponential integrators in lambda.
#include "nn/diffusion/samplers/dpm_solver.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/ops.h"

namespace ink::diffusion {

DpmSolver::DpmSolver(int order) : order(order) {
  if (order < 1 || order > 3) throw ValueError(fmt::format("DpmSolver: the order is 1, 2 or 3; got {}", order));
}

// The order-1 step in the form with D, in which nothing is infinite.
static Tensor first_order_step(const Process& p, const Tensor& x, const Tensor& D, TimeStep s) {
  const double ratio = p.b(s.next) / p.b(s.t);
  return ratio * x + (p.a(s.next) - ratio * p.a(s.t)) * D;
}

Tensor DpmSolver::step(Walk& walk, const Tensor& x, TimeStep s) {
  const Process& p = walk.process;
  if (p.a(s.t) == 0 || p.b(s.next) == 0) return first_order_step(p, x, walk.predict(x, s.t, Output::denoised), s);
  const double h = p.log_snr(s.next) - p.log_snr(s.t);
  const Tensor eps = walk.predict(x, s.t, Output::noise);
  // the step to the time where lambda has gone `share` of h, if eps stayed what it is
  auto towards = [&](double share, double t) { return p.a(t) / p.a(s.t) * x - p.b(t) * std::expm1(share * h) * eps; };
  auto time_at = [&](double share) { return p.time(p.sigma(s.t) * std::exp(-share * h)); };
  // (e^z - 1) / z - 1
  auto phi = [](double z) { return std::expm1(z) / z - 1; };
  if (order == 1) return towards(1, s.next);
  if (order == 2) {
    const double t1 = time_at(0.5);
    const Tensor middle = walk.predict(towards(0.5, t1), t1, Output::noise);
    return p.a(s.next) / p.a(s.t) * x - p.b(s.next) * std::expm1(h) * middle;
  }
  const double r1 = 1. / 3, r2 = 2. / 3, t1 = time_at(r1), t2 = time_at(r2);
  const Tensor d1 = walk.predict(towards(r1, t1), t1, Output::noise) - eps;
  const Tensor u2 = towards(r2, t2) - p.b(t2) * (r2 / r1) * phi(r2 * h) * d1;
  const Tensor d2 = walk.predict(u2, t2, Output::noise) - eps;
  return towards(1, s.next) - p.b(s.next) / r2 * phi(h) * d2;
}

void DpmSolverPP2M::begin(const Process&, const Steps&) { before_ = {}; }

Tensor DpmSolverPP2M::step(Walk& walk, const Tensor& x, TimeStep s) {
  const Process& p = walk.process;
  const Tensor D = walk.predict(x, s.t, Output::denoised);
  Tensor extrapolated = D;
  if (before_.defined() && step_before_.next == s.t && p.b(s.next) > 0) {
    const double k = (p.log_snr(s.t) - p.log_snr(step_before_.t)) / (p.log_snr(s.next) - p.log_snr(s.t));
    extrapolated = (1 + 1 / (2 * k)) * D - 1 / (2 * k) * before_;
  }
  before_ = D, step_before_ = s;
  return first_order_step(p, x, extrapolated, s);
}

}  // namespace ink::diffusion
