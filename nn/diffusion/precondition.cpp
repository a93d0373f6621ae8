// The columns of EDM's table 1.
#include "nn/diffusion/precondition.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/ops.h"
#include "nn/warning.h"

namespace ink::diffusion {
namespace {

double finite_log(double sigma) { return std::log(std::fmax(sigma, 1e-12)); }

// The step (from 1) whose noise level is nearest to sigma.
int64_t nearest_step(const Ddpm& process, double sigma) {
  const int64_t below = int64_t(std::floor(process.time(sigma)));
  if (below < 1) return 1;
  if (below >= process.steps()) return process.steps();
  const double down = sigma - process.sigma(double(below)), up = process.sigma(double(below + 1)) - sigma;
  return down <= up ? below : below + 1;
}

}  // namespace

EdmPreconditioner::EdmPreconditioner(double sigma_data) : sigma_data(sigma_data) {
  if (!(sigma_data > 0 && std::isfinite(sigma_data)))
    throw ValueError(fmt::format("EdmPreconditioner: sigma_data must be positive; got {}", sigma_data));
}
Preconditioning EdmPreconditioner::at(double sigma) const {
  const double both = std::hypot(sigma, sigma_data);
  return {.skip = std::pow(sigma_data / both, 2),
          .out = sigma / both * sigma_data,
          .in = 1 / both,
          .noise = finite_log(sigma) / 4};
}

Preconditioning VpPreconditioner::at(double sigma) const {
  return {.skip = 1, .out = -sigma, .in = 1 / std::hypot(sigma, 1), .noise = scale * process.time(sigma)};
}

Preconditioning VePreconditioner::at(double sigma) const {
  return {.skip = 1, .out = sigma, .in = 1, .noise = finite_log(sigma / 2)};
}

Preconditioning DdpmPreconditioner::at(double sigma) const {
  return {.skip = 1, .out = -sigma, .in = 1 / std::hypot(sigma, 1), .noise = double(nearest_step(process, sigma) - 1)};
}

// D = x_t - t u with x_t = (1 - t) x
Preconditioning FlowPreconditioner::at(double sigma) const {
  const double a = 1 / (1 + sigma), t = sigma / (1 + sigma);
  return {.skip = a, .out = -t, .in = a, .noise = t};
}

// D = a x_t - b v with x_t = a x, a = 1 / sqrt(1 + sigma^2), b = sigma a
Preconditioning VPredictionPreconditioner::at(double sigma) const {
  const double a = 1 / std::hypot(sigma, 1);
  return {.skip = a * a, .out = -sigma * a, .in = a, .noise = finite_log(sigma) / 4};
}

std::unique_ptr<Preconditioner> make_preconditioner(const std::string& name, const std::vector<double>& constants) {
  auto expect = [&](size_t count) {
    if (constants.size() != count)
      throw ValueError(
          fmt::format("make_preconditioner: {} has {} constants; got {} of them", name, count, constants.size()));
  };
  if (name == "edm") return expect(1), std::make_unique<EdmPreconditioner>(constants[0]);
  if (name == "vp")
    return expect(3), std::make_unique<VpPreconditioner>(VariancePreserving(constants[0], constants[1]), constants[2]);
  if (name == "ve") return expect(0), std::make_unique<VePreconditioner>();
  if (name == "iddpm") return std::make_unique<DdpmPreconditioner>(Ddpm(constants));
  if (name == "flow_matching") return expect(0), std::make_unique<FlowPreconditioner>();
  if (name == "v") return expect(0), std::make_unique<VPredictionPreconditioner>();
  throw NotSupported(fmt::format(
      "make_preconditioner: none of that name; got '{}'; expected edm, vp, ve, iddpm, flow_matching or v", name));
}

Tensor NetworkDenoiser::operator()(const Tensor& x, const Tensor& sigma, const Tensor& cond) const {
  auto factor = [&](double Preconditioning::*c) {
    return per_sample([&](double s) { return preconditioner.at(s).*c; }, sigma, x);
  };
  const Tensor noise = to(reshape(factor(&Preconditioning::noise), {-1}), dtype);
  const Tensor F = network(to(factor(&Preconditioning::in) * x, dtype), noise, cond);
  if (!(F.shape() == x.shape()))
    throw ShapeError(fmt::format("NetworkDenoiser: the network must keep the shape of its input; got {} for {}",
                                 F.shape().str(), x.shape().str()));
  const Tensor skip = factor(&Preconditioning::skip), out = factor(&Preconditioning::out);
  return to(skip * x + out * to(F, skip.dtype()), x.dtype());
}

double measure_sigma_data(const Tensor& data) { return std(data.to(f64), {}, 0).item(); }

void check_sigma_data(double sigma_data, const Tensor& data) {
  const double measured = measure_sigma_data(data);
  if (sigma_data > 2 * measured || 2 * sigma_data < measured)
    warn(fmt::format(
        "sigma_data = {:.3g}, and the data have a standard deviation of {:.3g}: off by more than a factor of 2; "
        "hint: measure_sigma_data(data), or scale the data",
        sigma_data, measured));
}

}  // namespace ink::diffusion
