// The formulas of the processes, and what is derived from a and b.
#include "nn/diffusion/process.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/ops.h"
#include "nn/diffusion/ddpm.h"
#include "nn/warning.h"

namespace ink::diffusion {

double Process::log_snr(double t) const { return std::log(a(t)) - std::log(b(t)); }

// sigma grows with t: halve the interval until its ends are neighbours.
double Process::time(double sigma) const {
  double low = 0, high = end();
  if (!(sigma > this->sigma(low))) return low;
  if (sigma >= this->sigma(high)) return high;
  for (int i = 0; i < 2000; ++i) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) break;
    (this->sigma(middle) < sigma ? low : high) = middle;
  }
  return high;
}

double FlowMatching::time(double sigma) const { return std::isinf(sigma) ? 1 : sigma / (1 + sigma); }

Edm::Edm(double sigma_max) : sigma_max(sigma_max) {
  if (!(sigma_max > 0)) throw ValueError(fmt::format("Edm: sigma_max must be positive; got {}", sigma_max));
}

VarianceExploding::VarianceExploding(double sigma_min, double sigma_max) : sigma_min(sigma_min), sigma_max(sigma_max) {
  if (!(sigma_min > 0 && sigma_max > sigma_min && std::isfinite(sigma_max)))
    throw ValueError(
        fmt::format("VarianceExploding: expected 0 < sigma_min < sigma_max; got {} and {}", sigma_min, sigma_max));
}
double VarianceExploding::b(double t) const { return sigma_min * std::pow(sigma_max / sigma_min, t); }
double VarianceExploding::db(double t) const { return b(t) * std::log(sigma_max / sigma_min); }
double VarianceExploding::time(double sigma) const {
  if (!(sigma > sigma_min)) return 0;
  return std::fmin(1, std::log(sigma / sigma_min) / std::log(sigma_max / sigma_min));
}

VariancePreserving::VariancePreserving(double beta_min, double beta_max) : beta_min(beta_min), beta_max(beta_max) {
  if (!(beta_min >= 0 && beta_max >= beta_min && beta_max > 0 && std::isfinite(beta_max)))
    throw ValueError(
        fmt::format("VariancePreserving: expected 0 <= beta_min <= beta_max; got {} and {}", beta_min, beta_max));
}
// B(t) = int beta: a = e^{-B/2}, b^2 = 1 - e^{-B}.
double VariancePreserving::a(double t) const { return std::exp(-integral(t) / 2); }
double VariancePreserving::b(double t) const { return std::sqrt(-std::expm1(-integral(t))); }
double VariancePreserving::da(double t) const { return -beta(t) / 2 * a(t); }
double VariancePreserving::db(double t) const { return beta(t) / 2 * a(t) * a(t) / b(t); }

// The t with B(t) = bm t + (bd / 2) t^2 = B, written without the difference of nearly equal numbers.
static double time_of_integral(double integral, double beta_min, double beta_max) {
  const double slope = beta_max - beta_min, root = std::sqrt(beta_min * beta_min + 2 * slope * integral);
  return integral > 0 ? std::fmin(1, 2 * integral / (root + beta_min)) : 0;
}
double VariancePreserving::time(double sigma) const {  // sigma^2 = e^B - 1
  return std::isinf(sigma) ? 1 : time_of_integral(std::log1p(sigma * sigma), beta_min, beta_max);
}

double SubVariancePreserving::b(double t) const { return -std::expm1(-integral(t)); }
double SubVariancePreserving::db(double t) const { return beta(t) * std::exp(-integral(t)); }
double SubVariancePreserving::g2(double t) const { return beta(t) * -std::expm1(-2 * integral(t)); }
double SubVariancePreserving::time(double sigma) const {  // sigma = e^{B/2} - e^{-B/2}
  return std::isinf(sigma) ? 1 : time_of_integral(2 * std::asinh(sigma / 2), beta_min, beta_max);
}

std::unique_ptr<Process> make_process(const std::string& name, const std::vector<double>& constants) {
  auto expect = [&](size_t count) {
    if (constants.size() != count)
      throw ValueError(fmt::format("make_process: {} has {} constants; got {} of them", name, count, constants.size()));
  };
  if (name == "flow_matching") return expect(0), std::make_unique<FlowMatching>();
  if (name == "edm") return expect(1), std::make_unique<Edm>(constants[0]);
  if (name == "ve") return expect(2), std::make_unique<VarianceExploding>(constants[0], constants[1]);
  if (name == "vp") return expect(2), std::make_unique<VariancePreserving>(constants[0], constants[1]);
  if (name == "sub_vp") return expect(2), std::make_unique<SubVariancePreserving>(constants[0], constants[1]);
  if (name == "ddpm") return std::make_unique<Ddpm>(constants);
  throw NotSupported(fmt::format(
      "make_process: no process of that name; got '{}'; expected flow_matching, edm, ve, vp, sub_vp or ddpm", name));
}

Tensor per_sample(FunctionRef<double(double)> rate, const Tensor& t, const Tensor& x) {
  if (t.dim() != 1 || x.dim() < 1 || t.size(0) != x.size(0))
    throw ShapeError(fmt::format("per_sample: a number for each sample is needed; got {} of shape {} for x of shape {}",
                                 "numbers", t.shape().str(), x.shape().str()));
  std::vector<double> values = t.to_vector<double>();
  for (double& v : values) v = rate(v);
  Shape shape = Shape::filled(x.dim(), 1);
  shape[0] = x.size(0);
  const DType dtype = x.dtype() == f64 ? f64 : f32;
  return to(from_data(std::span<const double>(values), shape), Options(dtype, x.device()));
}

Tensor add_noise(const Process& process, const Tensor& x0, const Tensor& eps, const Tensor& t) {
  if (!(x0.shape() == eps.shape()))
    throw ShapeError(
        fmt::format("add_noise: x0 and eps must have one shape; got {} and {}", x0.shape().str(), eps.shape().str()));
  const Tensor a = per_sample([&](double s) { return process.a(s); }, t, x0),
               b = per_sample([&](double s) { return process.b(s); }, t, x0);
  return to(a * x0 + b * eps, x0.dtype());
}

Tensor prior_sample(const Process& process, const Tensor& eps, double t) {
  const double a = process.a(t), share = a / std::hypot(a, process.b(t));
  if (share > 0.05)
    warn(fmt::format(
        "prior_sample: at t = {} the process is not noise yet: a(t) = {:.3g}, b(t) = {:.3g}, so {:.3g} of what "
        "is there is data (more than 0.05), and samples that begin as noise will be off; hint: more steps, "
        "larger betas or a larger sigma_max",
        t, a, process.b(t), share));
  return eps * process.prior_std(t);
}

}  // namespace ink::diffusion
