// Inpainting with an unconditional model: known coordinates are overwritten at each step by the data with the noise of
// that time.
//
// What comes out is not p(unknown | known): the denoiser meets known values that fit the noise level, but unknown ones
// that were made before the known ones were looked at. RePaint lessens that: it steps back to the time before and
// repeats.
#pragma once
#include "nn/diffusion/samplers/sampler.h"

namespace ink::diffusion {

// repeats = 1 is plain replacement (Song et al. 2021, appendix I.2), more is RePaint with jumps of one step (Lugmayr et
// al. 2022, alg. 1). Any sampler inside that takes one step at a time (DpmSolverPP2M then remembers nothing).
struct Inpaint : Sampler {
  Sampler& inner;
  Tensor known;  // x_0 [batch, ..] or what broadcasts to it; read where the mask is true
  Tensor mask;   // bool, likewise
  int64_t repeats;
  // DTypeError for a mask that is not bool, ValueError for repeats < 1.
  Inpaint(Sampler& inner, const Tensor& known, const Tensor& mask, int64_t repeats = 1);
  void begin(const Process& process, const Steps& steps) override { inner.begin(process, steps); }
  Tensor step(Walk& walk, const Tensor& x, TimeStep step) override;
};

}  // namespace ink::diffusion
