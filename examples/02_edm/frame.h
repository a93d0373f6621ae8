// The families that EDM's frame unites, and tables of what they share.
#pragma once
#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "include/inkstone/diffusion.h"
#include "include/inkstone/ink.h"

namespace ink::lesson {

struct Family {
  std::string name;
  std::shared_ptr<diffusion::Process> process;
};
inline std::vector<Family> families() {
  using namespace diffusion;
  return {{"flow matching", std::make_shared<FlowMatching>()},
          {"VE", std::make_shared<VarianceExploding>(0.002, 80)},
          {"VP", std::make_shared<VariancePreserving>()},
          {"sub-VP", std::make_shared<SubVariancePreserving>()},
          {"EDM", std::make_shared<Edm>()},
          {"DDPM", std::make_shared<Ddpm>(BetaSchedule::cosine, 1000)}};
}

inline double largest(const Tensor& t) { return t.abs().max().item(); }

// Output i converted into output j and back: the largest relative error, [5, 5], over times within `process`.
inline Tensor conversion_errors(const diffusion::Process& process, const Tensor& x0, const Tensor& eps,
                                const Tensor& t) {
  using namespace diffusion;
  const Tensor x = add_noise(process, x0, eps, t);
  std::vector<double> errors;
  for (Output from : kOutputs) {
    const Tensor value = prediction_target(process, from, x0, eps, t);
    for (Output to : kOutputs) {
      const Tensor there = convert(process, value, from, to, x, t), back = convert(process, there, to, from, x, t);
      const double direct = largest(there - prediction_target(process, to, x0, eps, t)) / largest(there);
      errors.push_back(std::max(direct, largest(back - value) / largest(value)));
    }
  }
  return from_data(std::span<const double>(errors), {5, 5});
}

// f and g^2 as the papers print them.
struct Drift {
  double f, g2;
};
inline Drift printed_drift(const std::string& family, double t) {
  const double beta = 0.1 + 19.9 * t, integral = 0.1 * t + 19.9 * t * t / 2;
  if (family == "flow matching") return {-1 / (1 - t), 2 * t / (1 - t)};
  if (family == "VP") return {-beta / 2, beta};
  if (family == "sub-VP") return {-beta / 2, beta * (1 - std::exp(-2 * integral))};
  if (family == "VE") {
    const double sigma = 0.002 * std::pow(80 / 0.002, t);
    return {0, 2 * sigma * sigma * std::log(80 / 0.002)};
  }
  return {0, 2 * t};  // EDM
}

// Two Gaussians on the line, whose flow can be drawn.
inline diffusion::Mixture two_on_a_line() {
  return diffusion::gaussian_mixture(tensor({-0.6, 0.5}, f64).unsqueeze(1), tensor({0.12, 0.2}, f64),
                                     tensor({0.4, 0.6}, f64));
}

// Log-log slope of error against steps, by least squares.
inline double slope_of(const std::vector<double>& n, const std::vector<double>& error) {
  double mx = 0, my = 0, xy = 0, xx = 0;
  const double count = double(n.size());
  for (size_t i = 0; i < n.size(); ++i) mx += std::log(n[i]) / count, my += std::log(error[i]) / count;
  for (size_t i = 0; i < n.size(); ++i) {
    const double dx = std::log(n[i]) - mx;
    xy += dx * (std::log(error[i]) - my), xx += dx * dx;
  }
  return -xy / xx;
}

}  // namespace ink::lesson
