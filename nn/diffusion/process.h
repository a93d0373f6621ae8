// The noising process of a diffusion model, as one object. A sample at time t is
//
//   x_t = a(t) x_0 + b(t) eps,   eps ~ N(0, I);   t = 0 is data, t = end() is (almost) noise
//
// and everything else follows from a and b: the noise level sigma = b / a, the SDE dx = f x dt + g dw, the velocity of
// the probability-flow ODE. Flow matching, VE, VP, sub-VP and EDM are the structs below, DDPM's tables of betas stand
// in nn/diffusion/ddpm.h. A process of one's own overrides a, b and their derivatives, and name and constants if it is
// to be saved. Song et al. 2021 (score SDE), Karras et al. 2022 (EDM), Lipman et al. 2023 (flow matching).
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tensor/function_ref.h"
#include "tensor/tensor.h"

namespace ink::diffusion {

class Process {
 public:
  virtual ~Process() = default;
  virtual double a(double t) const = 0;     // the factor of the data
  virtual double b(double t) const = 0;     // the standard deviation of the noise
  virtual double da(double t) const = 0;    // da / dt
  virtual double db(double t) const = 0;    // db / dt; may be infinite at t = 0
  virtual double end() const { return 1; }  // times run from 0 to here
  // Standard deviation of the law N(0, std^2 I) that stands for x at time t when sampling begins: b(t), but 1 for the
  // processes that keep the variance of data of variance 1.
  virtual double prior_std(double t) const { return b(t); }
  // The time at which the noise level is sigma >= 0; the nearest end if none is. By bisection unless overridden.
  virtual double time(double sigma) const;
  // What a saved model names its process by: make_process(name, constants) is the same process again.
  virtual std::string name() const { return "custom"; }
  virtual std::vector<double> constants() const { return {}; }

  double sigma(double t) const { return b(t) / a(t); }                // noise level; infinite where a is 0
  double snr(double t) const { return a(t) * a(t) / (b(t) * b(t)); }  // signal-to-noise ratio 1 / sigma^2
  double log_snr(double t) const;                                     // ln(a / b), DPM-Solver's lambda: half of ln SNR
  double wronskian(double t) const { return a(t) * db(t) - b(t) * da(t); }  // a b' - b a' = a^2 sigma'
  // The forward SDE dx = f(t) x dt + g(t) dw whose marginals given x_0 are N(a x_0, b^2).
  // g^2 = (b^2)' - 2 f b^2; a process overrides it where this formula is 0 times infinity: b' at b = 0.
  double f(double t) const { return da(t) / a(t); }
  virtual double g2(double t) const { return 2 * b(t) * wronskian(t) / a(t); }
};

// x_t = (1 - t) x_0 + t eps, with velocity eps - x_0: the straight path of flow matching and rectified flow. (Papers
// that count time from noise to data have 1 - t for our t, and the opposite sign of the velocity.)
struct FlowMatching : Process {
  double a(double t) const override { return 1 - t; }
  double b(double t) const override { return t; }
  double da(double) const override { return -1; }
  double db(double) const override { return 1; }
  double time(double sigma) const override;
  std::string name() const override { return "flow_matching"; }
};

// x_t = x_0 + t eps: time is the noise level. Karras et al. 2022, the column "EDM" of table 1.
struct Edm : Process {
  double sigma_max;
  explicit Edm(double sigma_max = 80);  // ValueError unless positive
  double a(double) const override { return 1; }
  double b(double t) const override { return t; }
  double da(double) const override { return 0; }
  double db(double) const override { return 1; }
  double end() const override { return sigma_max; }
  double time(double sigma) const override { return sigma; }
  std::string name() const override { return "edm"; }
  std::vector<double> constants() const override { return {sigma_max}; }
};

// Variance exploding, x_t = x_0 + sigma_min (sigma_max / sigma_min)^t eps. At t = 0 there is noise already: sigma_min,
// too little to be seen. Song et al. 2021, eq. 9.
struct VarianceExploding : Process {
  double sigma_min, sigma_max;
  // ValueError unless 0 < sigma_min < sigma_max.
  explicit VarianceExploding(double sigma_min = 0.01, double sigma_max = 50);
  double a(double) const override { return 1; }
  double b(double t) const override;
  double da(double) const override { return 0; }
  double db(double t) const override;
  double time(double sigma) const override;
  std::string name() const override { return "ve"; }
  std::vector<double> constants() const override { return {sigma_min, sigma_max}; }
};

// Variance preserving: a^2 + b^2 = 1, with dx = -beta(t) x / 2 dt + sqrt(beta(t)) dw and beta(t) = beta_min + (beta_max
// - beta_min) t, the limit of DDPM with linear betas. Song et al. 2021, eq. 11.
struct VariancePreserving : Process {
  double beta_min, beta_max;
  // ValueError unless 0 <= beta_min <= beta_max, and 0 < beta_max.
  explicit VariancePreserving(double beta_min = 0.1, double beta_max = 20);
  double beta(double t) const { return beta_min + (beta_max - beta_min) * t; }
  double integral(double t) const { return (beta_min + (beta_max - beta_min) * t / 2) * t; }  // of beta over 0 .. t
  double a(double t) const override;
  double b(double t) const override;
  double da(double t) const override;
  double db(double t) const override;
  double g2(double t) const override { return beta(t); }
  double prior_std(double) const override { return 1; }
  double time(double sigma) const override;
  std::string name() const override { return "vp"; }
  std::vector<double> constants() const override { return {beta_min, beta_max}; }
};

// The same drift with less noise: b = 1 - a^2 in place of sqrt(1 - a^2). Song et al. 2021, eq. 13.
struct SubVariancePreserving : VariancePreserving {
  using VariancePreserving::VariancePreserving;
  double b(double t) const override;
  double db(double t) const override;
  double g2(double t) const override;
  double time(double sigma) const override;
  std::string name() const override { return "sub_vp"; }
};

// The process that name() and constants() of another one describe; NotSupported for a name that is none of the
// library's.
std::unique_ptr<Process> make_process(const std::string& name, const std::vector<double>& constants);

// a(t), b(t), their derivatives or whatever `rate` gives, for each sample: t [batch] (any dtype and device) -> a tensor
// of x's dtype (f32 for f16 and bf16) and device, [batch, 1, 1, ..] with as many dims as x.
Tensor per_sample(FunctionRef<double(double)> rate, const Tensor& t, const Tensor& x);

// x_t = a x_0 + b eps for x_0 and eps [batch, ..] and t [batch]; x_0's dtype. ShapeError if they do not fit.
Tensor add_noise(const Process& process, const Tensor& x0, const Tensor& eps, const Tensor& t);

// Where sampling begins at time t: x = prior_std(t) eps. Warns (nn/warning.h) if more than 0.05 of what is
// there at time t would be data, a / sqrt(a^2 + b^2), so that x should not begin as noise alone; for
// variance-preserving processes that share is a(t).
Tensor prior_sample(const Process& process, const Tensor& eps, double t);

}  // namespace ink::diffusion
