// Langevin dynamics, alone, over falling noise levels, and as a corrector.
#include "nn/diffusion/samplers/langevin.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink::diffusion {
namespace {

// |x| of each sample, [batch, 1, ..]
Tensor norm_of_samples(const Tensor& x) {
  Shape ones = Shape::filled(x.dim(), 1);
  ones[0] = x.size(0);
  return reshape(norm(reshape(x, {x.size(0), -1}), {1}), ones);
}

}  // namespace

Tensor langevin(FunctionRef<Tensor(const Tensor&)> score, const Tensor& x, const LangevinOptions& options) {
  if (!(options.step > 0) || options.steps < 0 || !options.noise)
    throw ValueError(
        fmt::format("langevin: expected a step size > 0, steps >= 0 and a source of noise; got {}, {} and {}",
                    options.step, options.steps, options.noise ? "one" : "none"));
  NoGrad guard;
  Tensor now = to(x, f64);
  for (int64_t i = 0; i < options.steps; ++i) {
    now = now + options.step * to(score(now), f64) +
          std::sqrt(2 * options.step) * options.noise->draw_like(now);  // (5.8)
    if (options.trace) (*options.trace)(i, now);
  }
  return now;
}

AnnealedLangevin::AnnealedLangevin(double step_size, int64_t updates) : step_size(step_size), updates(updates) {
  if (!(step_size > 0) || updates < 1)
    throw ValueError(
        fmt::format("AnnealedLangevin: expected a step size > 0 and updates >= 1; got {} and {}", step_size, updates));
}
void AnnealedLangevin::begin(const Process& process, const Steps& steps) {
  for (const TimeStep& s : steps)
    if (process.a(s.t) != 1)
      throw ValueError(
          fmt::format("AnnealedLangevin: expected a process with a = 1; got {} at t = {}; hint: Edm or "
                      "VarianceExploding",
                      process.a(s.t), s.t));
  last_ = process.b(steps.back().next > 0 ? steps.back().next : steps.back().t);
}
Tensor AnnealedLangevin::step(Walk& walk, const Tensor& x, TimeStep s) {
  const double e = step_size * std::pow(walk.process.b(s.t) / last_, 2);  // (5.10)
  Tensor now = x;
  for (int64_t i = 0; i < updates; ++i)
    now = now + e * walk.predict(now, s.t, Output::score) + std::sqrt(2 * e) * walk.noise(now);
  return s.next > 0 ? now : walk.predict(now, s.t, Output::denoised);
}

PredictorCorrector::PredictorCorrector(Sampler& predictor, double snr, int64_t corrections)
    : predictor(predictor), snr(snr), corrections(corrections) {
  if (!(snr > 0) || corrections < 0)
    throw ValueError(
        fmt::format("PredictorCorrector: expected a snr > 0 and corrections >= 0; got {} and {}", snr, corrections));
}
Tensor PredictorCorrector::step(Walk& walk, const Tensor& x, TimeStep s) {
  Tensor now = predictor.step(walk, x, s);
  if (walk.process.b(s.next) == 0) return now;
  const double alpha = std::pow(walk.process.a(s.t) / walk.process.a(s.next), 2);
  for (int64_t i = 0; i < corrections; ++i) {
    const Tensor S = walk.predict(now, s.next, Output::score), z = walk.noise(now);
    const Tensor e = 2 * alpha * square(snr * norm_of_samples(z) / norm_of_samples(S));
    now = now + e * S + sqrt(2 * e) * z;
  }
  return now;
}

}  // namespace ink::diffusion
