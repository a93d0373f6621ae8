// Denoising and prediction errors, and their weights.
#include "nn/diffusion/losses.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "autograd/ops/halves.h"

namespace ink::diffusion {
namespace {

void check_batch_of_noise(const char* loss, const Tensor& x0, const Tensor& eps, const Tensor& level) {
  if (x0.dim() < 2 || !(eps.shape() == x0.shape()) || level.dim() != 1 || level.size(0) != x0.size(0))
    throw ShapeError(
        fmt::format("{}: got data {}, noise {} and noise levels {}; expected [batch, ..] twice and [batch]", loss,
                    x0.shape().str(), eps.shape().str(), level.shape().str()));
}
// The mean over all dims but the first.
Tensor mean_of_sample(const Tensor& x) { return mean(flatten(x, 1), {1}); }

Tensor weights_of(const Tensor& sigma, const Tensor& x0, FunctionRef<double(double)> weight) {
  const Tensor w = per_sample(weight, sigma, x0);
  return reshape(w, {sigma.size(0)});
}
Tensor squared_denoising_error(Denoiser denoiser, const Tensor& x0, const Tensor& eps, const Tensor& sigma,
                               const Tensor& cond) {
  check_batch_of_noise("denoising_loss", x0, eps, sigma);
  const Tensor level = sigma.to(x0.device()).to(x0.dtype());
  const Tensor s = per_sample([](double s) { return s; }, sigma, x0);
  const Tensor d = denoiser((x0 + s * eps).to(x0.dtype()), level, cond);
  return mean_of_sample(square(widened(d) - widened(x0)));
}

}  // namespace

Tensor denoising_loss(Denoiser denoiser, const Tensor& x0, const Tensor& eps, const Tensor& sigma,
                      const Weighting& weighting, const Tensor& cond) {
  const Tensor error = squared_denoising_error(denoiser, x0, eps, sigma, cond);
  return weights_of(sigma, x0, [&](double s) { return weighting(s); }) * error;  // (2.15)
}
Tensor denoising_loss(const NetworkDenoiser& denoiser, const Tensor& x0, const Tensor& eps, const Tensor& sigma,
                      const Tensor& cond) {
  const Tensor error = squared_denoising_error(denoiser, x0, eps, sigma, cond);
  return weights_of(sigma, x0, [&](double s) { return denoiser.preconditioner.at(s).weight(); }) * error;
}

Tensor prediction_target(const Process& process, Output output, const Tensor& x0, const Tensor& eps, const Tensor& t) {
  check_batch_of_noise("prediction_target", x0, eps, t);
  auto rate = [&](double (Process::*of)(double) const) {
    return per_sample([&](double time) { return (process.*of)(time); }, t, x0);
  };
  const Tensor target = [&]() -> Tensor {
    switch (output) {
      case Output::denoised:
        return x0;
      case Output::noise:
        return eps;
      case Output::score:
        return -eps / rate(&Process::b);
      case Output::v:
        return rate(&Process::a) * eps - rate(&Process::b) * x0;
      case Output::velocity:
        return rate(&Process::da) * x0 + rate(&Process::db) * eps;
    }
    throw ValueError("prediction_target: no such output");
  }();
  return target.to(x0.dtype());
}

Tensor PredictionLoss::operator()(const Tensor& x0, const Tensor& eps, const Tensor& t, const Tensor& cond,
                                  const Tensor& weight, const Tensor& noise) const {
  const Tensor target = prediction_target(process, output, x0, eps, t);
  const Tensor told = noise.defined() ? noise : t.to(x0.device()).to(promote(x0.dtype(), f32));
  const Tensor got = network(add_noise(process, x0, eps, t), told, cond);
  if (!(got.shape() == target.shape()))
    throw ShapeError(
        fmt::format("prediction loss: the network returned {}; expected {}", got.shape().str(), target.shape().str()));
  const Tensor error = mean_of_sample(square(widened(got) - widened(target)));
  return weight.defined() ? error * weight.to(error.device()).to(error.dtype()) : error;
}

Tensor min_snr_weight(const Process& process, Output output, const Tensor& t, double gamma) {
  std::vector<double> w = t.to_vector<double>();
  for (double& time : w) {
    const double snr = process.snr(time), least = std::min(snr, gamma);
    if (output == Output::denoised)
      time = least;
    else if (output == Output::noise)
      time = std::isinf(snr) ? 0 : least / snr;
    else if (output == Output::v)
      time = std::isinf(snr) ? 0 : least / (snr + 1);
    else
      throw NotSupported(fmt::format("min_snr_weight: got {}; expected denoised, noise or v", output_name(output)));
  }
  return from_data(std::span<const double>(w), {int64_t(w.size())});
}

}  // namespace ink::diffusion
