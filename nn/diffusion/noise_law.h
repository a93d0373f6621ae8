// How much noise a training step adds: the law of sigma that samples are drawn from, and the weight of each error. What
// a model spends its effort on is the product of both (Karras et al. 2022, section 5).
#pragma once
#include "nn/diffusion/precondition.h"

namespace ink::diffusion {

// A law of the noise level sigma > 0. One of your own overrides both.
class NoiseLaw {
 public:
  virtual ~NoiseLaw() = default;
  // [n] f64 on the CPU. The default generator unless given.
  virtual Tensor draw(int64_t n, Generator* generator = nullptr) const = 0;
  // The density of ln sigma: how often a training step falls there. 0 where there is none.
  virtual double density(double sigma) const = 0;
};

// ln sigma ~ N(mean, std^2): EDM. ValueError unless std > 0.
struct LogNormalNoise : NoiseLaw {
  double mean, std;
  explicit LogNormalNoise(double mean = -1.2, double std = 1.2);
  Tensor draw(int64_t n, Generator* generator = nullptr) const override;
  double density(double sigma) const override;
};
// ln sigma uniform: VE. ValueError unless 0 < low < high.
struct LogUniformNoise : NoiseLaw {
  double low, high;
  explicit LogUniformNoise(double low = 0.02, double high = 100);
  Tensor draw(int64_t n, Generator* generator = nullptr) const override;
  double density(double sigma) const override;
};
// t ~ U(low, high), sigma = sigma(t): VP with low = 1e-5, flow matching with low = 0. ValueError unless 0 <= low < high
// <= end(). The process must outlive it.
struct UniformTimeNoise : NoiseLaw {
  const Process& process;
  double low, high;
  explicit UniformTimeNoise(const Process& process, double low = 0, double high = 1);
  Tensor draw(int64_t n, Generator* generator = nullptr) const override;
  double density(double sigma) const override;
};
// One of the steps 1 .. T of a discrete process, each as likely: DDPM, iDDPM. Its ln sigma has no density, but is as
// frequent as the steps are dense: density() gives that. The process must outlive it.
struct StepNoise : NoiseLaw {
  const Ddpm& process;
  explicit StepNoise(const Ddpm& process) : process(process) {}
  Tensor draw(int64_t n, Generator* generator = nullptr) const override;
  double density(double sigma) const override;
};
// Flow matching with t = sigmoid(z), z ~ N(mean, std^2): since sigma = t / (1 - t) = e^z, this is ln sigma ~ N(mean,
// std^2), EDM's law again, with other numbers. Esser et al. 2024, eq. 19.
struct LogitNormalNoise : LogNormalNoise {
  explicit LogitNormalNoise(double mean = 0, double std = 1) : LogNormalNoise(mean, std) {}
};

// What a squared error of the denoiser counts at a noise level.
enum class Weight {
  one,           // 1: errors of x_0 as they are
  noise,         // 1 / sigma^2: errors of eps. DDPM simple, VE
  edm,           // (sigma^2 + sd^2) / (sigma sd)^2: errors of EDM's F
  v,             // (1 + sigma^2) / sigma^2: errors of v in the variance-preserving state
  velocity,      // ((1 + sigma) / sigma)^2: errors of flow matching's velocity
  min_snr,       // min(sd^2 / sigma^2, gamma). Hang et al. 2023, gamma = 5
  soft_min_snr,  // 1 / (sigma^2 + sd^2): a smooth minimum of the data's and the noise's precision. Crowson et al. 2024
};
inline constexpr Weight kWeights[] = {Weight::one,      Weight::noise,   Weight::edm,         Weight::v,
                                      Weight::velocity, Weight::min_snr, Weight::soft_min_snr};
const char* weight_name(Weight weight);

struct Weighting {
  Weight weight = Weight::edm;
  double sigma_data = 0.5;  // sd: of edm, min_snr and soft_min_snr
  double gamma = 5;         // of min_snr
  // ValueError unless sigma > 0.
  double operator()(double sigma) const;
};

}  // namespace ink::diffusion
