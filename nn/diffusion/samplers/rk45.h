// An ODE solver that chooses its steps: the pair of orders 5 and 4 of Dormand & Prince 1980, whose difference measures
// the error. Each sample has steps of its own, so that none depends on its batch mates.
#pragma once
#include "nn/diffusion/samplers/sampler.h"

namespace ink::diffusion {

struct Rk45Options {
  double rtol = 1e-5, atol = 1e-5;  // a step's error is to stay below atol + rtol |x|, as a root mean square over x
  int64_t max_steps = 10000;        // ValueError if they do not suffice
  // after each round of steps: times [batch] and x
  std::optional<FunctionRef<void(const Tensor& t, const Tensor& x)>> trace = {};
};
struct Rk45Result {
  Tensor x;             // [batch, ..] f64, at the last time
  int64_t evaluations;  // of u, each for the whole batch
  int64_t rejected;     // steps of single samples that were tried again
};

// dx/dt = u(x [batch, ..], t [batch]) from time `first` to `last`, in either direction. ValueError for tolerances that
// are not positive or times that are not finite, and where the solution does.
Rk45Result rk45(FunctionRef<Tensor(const Tensor& x, const Tensor& t)> u, const Tensor& x, double first, double last,
                const Rk45Options& options = {});

// The probability-flow ODE of a process by rk45. It is stopped at a `last` above 0 (1e-3 for samples, 1e-5 for
// likelihoods are usual), where the velocity of most processes is still finite.
Rk45Result sample_rk45(const Process& process, Denoiser denoiser, const Tensor& x, double first, double last,
                       const Rk45Options& options = {}, const Tensor& cond = {});

}  // namespace ink::diffusion
