// The density of a diffusion model, by the change of variables along its probability-flow ODE:
//
//   log p_first(x) = log p_last(x(last)) + integral of div u(x(t), t) dt over first .. last,   x(first) = x
//
// Chen et al. 2018; Song et al. 2021, section 4.3.
#pragma once
#include "nn/diffusion/samplers/rk45.h"

namespace ink::diffusion {

enum class Divergence {
  exact,       // tr(du/dx) by one backward pass for each coordinate
  hutchinson,  // mean of v^T (du/dx) v over probes v of random signs, which stay the same for the whole solve
};

struct LikelihoodOptions {
  double first = 1e-5;  // the time that stands for data: the density is that of the data with b(first) of noise
  double last = 0;      // where the prior takes over; 0 stands for the process's end
  Divergence divergence = Divergence::exact;
  int64_t probes = 1;            // of Hutchinson's estimate
  NoiseSource* noise = nullptr;  // for the probes
  Rk45Options solver = {};       // its trace sees x and the running integral, flat [batch, d + 1]
  // log density of x(last) [batch, ..] -> [batch], unless N(0, prior_std(last)^2 I)
  std::optional<FunctionRef<Tensor(const Tensor& x)>> log_prior = {};
  Tensor cond = {};
};
struct Likelihood {
  Tensor log_density;   // [batch] f64, natural logarithm
  Tensor latent;        // x(last), of x's shape: the noise that the ODE leads x to
  int64_t evaluations;  // of the denoiser
};

// x [batch, ..] at time options.first. The denoiser must be differentiable in x. ValueError for probes < 1, or
// Hutchinson without noise.
Likelihood log_likelihood(const Process& process, Denoiser denoiser, const Tensor& x,
                          const LikelihoodOptions& options = {});

// -log p / (d ln 2) + log2(levels / width), for d coordinates that were `levels` integers (with noise in [0, 1) added,
// or the number is of no meaning) scaled to an interval of `width`: 256 levels in [-1, 1] add 7 bits. [batch]
Tensor bits_per_dim(const Tensor& log_density, int64_t dims, double levels = 256, double width = 2);

}  // namespace ink::diffusion
