// Draws of the noise level, their densities in ln sigma, and weights.
#include "nn/diffusion/noise_law.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink::diffusion {
namespace {

const Options kNumbers{f64, Device::cpu()};

Tensor uniform_draw(int64_t n, double low, double high, Generator* generator) {
  return rand({n}, kNumbers, generator) * (high - low) + low;
}
Tensor sigmas_at(const Tensor& times, const Process& process) {
  std::vector<double> t = times.to_vector<double>();
  for (double& x : t) x = process.sigma(x);
  return from_data(std::span<const double>(t), {int64_t(t.size())});
}

}  // namespace

LogNormalNoise::LogNormalNoise(double mean, double std) : mean(mean), std(std) {
  if (!std::isfinite(mean) || !(std > 0) || !std::isfinite(std))
    throw ValueError(
        fmt::format("log-normal noise: got mean {}, std {}; expected a number and a positive one", mean, std));
}
Tensor LogNormalNoise::draw(int64_t n, Generator* generator) const {
  NoGrad guard;
  return exp(randn({n}, kNumbers, generator) * std + mean);
}
double LogNormalNoise::density(double sigma) const {
  const double z = (std::log(sigma) - mean) / std;
  return std::exp(-z * z / 2) / (std * std::sqrt(2 * M_PI));
}

LogUniformNoise::LogUniformNoise(double low, double high) : low(low), high(high) {
  if (!(low > 0 && low < high && std::isfinite(high)))
    throw ValueError(fmt::format("log-uniform noise: got {} to {}; expected 0 < low < high", low, high));
}
Tensor LogUniformNoise::draw(int64_t n, Generator* generator) const {
  NoGrad guard;
  return exp(uniform_draw(n, std::log(low), std::log(high), generator));
}
double LogUniformNoise::density(double sigma) const {
  return sigma >= low && sigma <= high ? 1 / std::log(high / low) : 0;
}

UniformTimeNoise::UniformTimeNoise(const Process& process, double low, double high)
    : process(process), low(low), high(high) {
  if (!(low >= 0 && low < high && high <= process.end()))
    throw ValueError(
        fmt::format("uniform times: got {} to {}; expected 0 <= low < high <= {}", low, high, process.end()));
}
Tensor UniformTimeNoise::draw(int64_t n, Generator* generator) const {
  NoGrad guard;
  // from above: the draw is in (low, high], so that t = 0 does not come
  return sigmas_at(high + low - uniform_draw(n, low, high, generator), process);
}
double UniformTimeNoise::density(double sigma) const {
  if (!(sigma > 0) || sigma < process.sigma(low) || sigma > process.sigma(high)) return 0;
  const double t = process.time(sigma), a = process.a(t);
  const double slope = process.wronskian(t) / (a * a);  // d sigma / dt
  return sigma / slope / (high - low);
}

Tensor StepNoise::draw(int64_t n, Generator* generator) const {
  NoGrad guard;
  return sigmas_at(randint(1, process.steps() + 1, {n}, {i64, Device::cpu()}, generator).to(f64), process);
}
double StepNoise::density(double sigma) const { return UniformTimeNoise(process, 1, process.end()).density(sigma); }

const char* weight_name(Weight weight) {
  switch (weight) {
    case Weight::one:
      return "one";
    case Weight::noise:
      return "noise";
    case Weight::edm:
      return "edm";
    case Weight::v:
      return "v";
    case Weight::velocity:
      return "velocity";
    case Weight::min_snr:
      return "min_snr";
    case Weight::soft_min_snr:
      return "soft_min_snr";
  }
  return "?";
}

double Weighting::operator()(double sigma) const {
  if (!(sigma > 0))
    throw ValueError(fmt::format("weight of a noise level: got sigma {}; expected a positive number", sigma));
  const double s2 = sigma * sigma, d2 = sigma_data * sigma_data;
  switch (weight) {
    case Weight::one:
      return 1;
    case Weight::noise:
      return 1 / s2;
    case Weight::edm:
      return 1 / s2 + 1 / d2;
    case Weight::v:
      return 1 / s2 + 1;
    case Weight::velocity:
      return (1 / sigma + 1) * (1 / sigma + 1);
    case Weight::min_snr:
      return std::min(d2 / s2, gamma);
    case Weight::soft_min_snr:
      return 1 / (s2 + d2);
  }
  throw ValueError("Weighting: no such weight");
}

}  // namespace ink::diffusion
