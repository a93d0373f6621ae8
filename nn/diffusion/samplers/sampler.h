// Sampling: a process, a denoiser, and a Sampler that moves x_t from one time to the next.
//
//   SampleNoise noise(seed);
//   Edm edm(80);
//   Heun heun;
//   Tensor x = prior_sample(edm, noise.draw({64, 2}), 80);
//   x = sample(edm, denoiser, heun, x, through(edm_grid(18)));
//
// x is kept in f64 whatever the network computes in. The work beside the network is a few operations on x a step.
#pragma once
#include <optional>

#include "nn/diffusion/denoiser.h"
#include "nn/diffusion/samplers/noise.h"
#include "nn/diffusion/samplers/steps.h"

namespace ink::diffusion {

// What is seen after a step.
struct Moment {
  int64_t index;           // of the step, from 0
  TimeStep step;           // it went from step.t to step.next
  const Tensor& x;         // at step.next, [batch, ..] f64
  const Tensor& denoised;  // the denoiser's last answer
};

struct SampleOptions {
  Tensor cond = {};              // handed to the denoiser
  NoiseSource* noise = nullptr;  // samplers that draw need one
  std::optional<FunctionRef<void(const Moment&)>> trace = {};
  // D is cut to [-clamp, clamp]. For images; off, since it silently breaks what is not scaled to that range.
  std::optional<double> clamp = {};
};

// What a sampler may ask for, and counts.
class Walk {
 public:
  Walk(const Process& process, Denoiser denoiser, const SampleOptions& options)
      : process(process), options_(options), denoiser_(denoiser) {}
  const Process& process;
  int64_t calls = 0;  // of the denoiser

  // Any output at x_t and time t. Where b(t) is 0, D is x / a and no network is asked.
  Tensor predict(const Tensor& x, double t, Output output);
  // D(x, sigma) in EDM's frame.
  Tensor denoise(const Tensor& x, double sigma);
  // The next noise, of x's shape; ValueError if no source was given.
  Tensor noise(const Tensor& x);
  const Tensor& last_denoised() const { return last_; }

 private:
  const SampleOptions& options_;
  Denoiser denoiser_;
  Tensor last_;
};

class Sampler {
 public:
  virtual ~Sampler() = default;
  // Before the first step: what was remembered of another walk is forgotten.
  virtual void begin(const Process& process, const Steps& steps);
  // x at step.t -> x at step.next.
  virtual Tensor step(Walk& walk, const Tensor& x, TimeStep step) = 0;
};

// x [batch, ..] at the first step's time -> x at the last step's next, f64. It may begin anywhere: from prior_sample,
// or from data with noise added. Without a graph. ValueError for steps that do not fall or go beyond the process's end.
// `calls` becomes the number of evaluations of the denoiser (NFE).
Tensor sample(const Process& process, Denoiser denoiser, Sampler& sampler, const Tensor& x, const Steps& steps,
              const SampleOptions& options = {}, int64_t* calls = nullptr);

}  // namespace ink::diffusion
