// Langevin dynamics: steps that leave a law p unchanged, knowing only its score.
//
//   x + e S(x) + sqrt(2 e) z,   z ~ N(0, I)
//
// is the library's convention for a step of size e. The NCSN paper writes x + (c / 2) S + sqrt(c) z: its c is 2 e.
#pragma once
#include "nn/diffusion/samplers/sampler.h"

namespace ink::diffusion {

struct LangevinOptions {
  double step = 0.01;  // e
  int64_t steps = 100;
  NoiseSource* noise = nullptr;
  std::optional<FunctionRef<void(int64_t index, const Tensor& x)>> trace = {};  // after each step
};
// Plain Langevin dynamics with the score S(x) of a law, from x [batch, ..]: f64. ValueError for a step that is not
// positive, a negative number of steps, or no noise.
Tensor langevin(FunctionRef<Tensor(const Tensor&)> score, const Tensor& x, const LangevinOptions& options);

// Annealed Langevin dynamics: `updates` steps of e (sigma / sigma_last)^2 at each noise level of the grid, from the
// largest to the last, and then, if the grid ends at 0, D of what there is (x + sigma^2 S). For processes with a = 1;
// each step of the grid is a level. Song & Ermon 2019, alg. 1; 2020.
struct AnnealedLangevin : Sampler {
  double step_size;  // e at the last level
  int64_t updates;
  // ValueError for a step size that is not positive, or updates < 1.
  AnnealedLangevin(double step_size, int64_t updates);
  // ValueError for a process with a(t) other than 1.
  void begin(const Process& process, const Steps& steps) override;
  Tensor step(Walk& walk, const Tensor& x, TimeStep step) override;

 private:
  double last_ = 1;
};

// After each step of the predictor, `corrections` Langevin steps at the time it led to, of the size
//   e = 2 alpha (snr |z| / |S|)^2,   alpha = (a_t / a_r)^2 (1 for VE)
// with the norms of the sample itself, so that a sample does not depend on its batch mates (score SDE's code takes
// means over the batch). None in the step to b = 0. Song et al. 2021, alg. 2 to 5; their code has the corrector first,
// with the step size of the same time.
struct PredictorCorrector : Sampler {
  Sampler& predictor;
  double snr;
  int64_t corrections;
  // ValueError for a snr that is not positive, or corrections < 0.
  PredictorCorrector(Sampler& predictor, double snr = 0.16, int64_t corrections = 1);
  void begin(const Process& process, const Steps& steps) override { predictor.begin(process, steps); }
  Tensor step(Walk& walk, const Tensor& x, TimeStep step) override;
};

}  // namespace ink::diffusion
