// The loop over steps, and what steps ask for.
#include "nn/diffusion/samplers/sampler.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink::diffusion {

void Sampler::begin(const Process&, const Steps&) {}

Tensor Walk::denoise(const Tensor& x, double sigma) {
  const Tensor level = full({x.size(0)}, sigma, x.options());
  ++calls;
  Tensor denoised = to(denoiser_(x, level, options_.cond), x.dtype());
  if (!(denoised.shape() == x.shape()))
    throw ShapeError(fmt::format("sample: the denoiser must keep the shape of x; got {} for {}", denoised.shape().str(),
                                 x.shape().str()));
  if (options_.clamp) denoised = clamp(denoised, -*options_.clamp, *options_.clamp);
  return last_ = denoised;
}

Tensor Walk::predict(const Tensor& x, double t, Output output) {
  const double a = std::fmax(process.a(t), 1e-8), b = process.b(t);  // as diffusion::predict has it
  const Tensor in_frame = a == 1 ? x : x / a;
  const Tensor denoised = b == 0 ? last_ = in_frame : denoise(in_frame, b / a);
  const Conversion c = conversion(process, t, Output::denoised, output);
  return c.of_x == 0 && c.of_value == 1 ? denoised : c.of_x * x + c.of_value * denoised;
}

Tensor Walk::noise(const Tensor& x) {
  if (!options_.noise)
    throw ValueError(
        "sample: this sampler draws noise, and got no source; hint: SampleNoise noise(seed), and {.noise = "
        "&noise} as options");
  return options_.noise->draw_like(x);
}

Tensor sample(const Process& process, Denoiser denoiser, Sampler& sampler, const Tensor& x, const Steps& steps,
              const SampleOptions& options, int64_t* calls) {
  check_steps(steps);
  for (const TimeStep& s : steps)
    if (s.t > process.end() * (1 + 1e-12))
      throw ValueError(fmt::format("sample: the process ends at t = {}; got a step from {}", process.end(), s.t));
  if (options.clamp && !(*options.clamp > 0))
    throw ValueError(fmt::format("sample: clamp must be positive; got {}", *options.clamp));
  if (x.dim() < 1) throw ShapeError("sample: expected x [batch, ..]; got a tensor without dims");
  NoGrad guard;
  Walk walk(process, denoiser, options);
  Tensor now = to(x, f64);
  sampler.begin(process, steps);
  for (size_t i = 0; i < steps.size(); ++i) {
    now = sampler.step(walk, now, steps[i]);
    if (options.trace) (*options.trace)({int64_t(i), steps[i], now, walk.last_denoised()});
  }
  if (calls) *calls = walk.calls;
  return now;
}

}  // namespace ink::diffusion
