// What lesson 07 measures: a law whose score is known at every time, the forward step, the exact reverse kernel, the
// two score-matching losses.
#pragma once
#include <algorithm>
#include <cmath>

#include "examples/support/lesson/lesson.h"
#include "include/inkstone/diffusion.h"
#include "include/inkstone/ink.h"

namespace ink::lesson {

// 0.3 N(-1.5, 0.3^2) + 0.7 N(1, 0.4^2): the data.
inline diffusion::Mixture two_humps() {
  return diffusion::gaussian_mixture(from_data({-1.5, 1}, {2, 1}, f64), from_data({0.3, 0.4}, {2}, f64),
                                     from_data({0.3, 0.7}, {2}, f64));
}
// Their distribution function.
inline double two_humps_cdf(double x) {
  auto phi = [](double z) { return std::erfc(-z / std::sqrt(2.)) / 2; };
  return 0.3 * phi((x + 1.5) / 0.3) + 0.7 * phi((x - 1) / 0.4);
}

inline Tensor column(const std::vector<double>& v) {
  return from_data(std::span<const double>(v), {int64_t(v.size()), 1}).to(default_device());
}
inline Tensor constant(int64_t n, double v) { return full({n}, v, f64); }

// a + i b goes round a circle at constant speed.
struct Circle : diffusion::Process {
  double a(double t) const override { return std::cos(t * M_PI / 2); }
  double b(double t) const override { return std::sin(t * M_PI / 2); }
  double da(double t) const override { return -std::sin(t * M_PI / 2) * M_PI / 2; }
  double db(double t) const override { return std::cos(t * M_PI / 2) * M_PI / 2; }
};

// ln p_t and grad ln p_t at the places x [n, 1].
inline Tensor log_density_at(const diffusion::Process& p, const diffusion::Mixture& law, const Tensor& x, double t) {
  return law.log_density(x / p.a(t), constant(x.size(0), p.sigma(t))) - std::log(p.a(t));
}
inline Tensor score_at(const diffusion::Process& p, const diffusion::Mixture& law, const Tensor& x, double t) {
  return predict(p, law, diffusion::Output::score, x, constant(x.size(0), t));
}

// One forward step of size dt from time t: z is standard normal.
inline double forward_step(const diffusion::Process& p, double x, double t, double dt, double z) {
  const double f = p.f(t), g = std::sqrt(p.g2(t));
  return x + f * x * dt + g * std::sqrt(dt) * z;  // (7.1)
}

// The factor of x_0 and the variance of the noise that n such steps lead to, if the noise of a step is g dt^power z.
struct Walked {
  double factor, variance;
};
inline Walked walked(const diffusion::Process& p, double end, int64_t n, double power = 0.5) {
  const double dt = end / double(n);
  Walked w{1, 0};
  for (int64_t i = 0; i < n; ++i) {
    const double t = double(i) * dt, keep = 1 + p.f(t) * dt;
    w = {keep * w.factor, keep * keep * w.variance + p.g2(t) * std::pow(dt, 2 * power)};
  }
  return w;
}

// Mean and variance of x_r given x_t = x, r = t - dt: from Bayes' formula with the exact forward kernel, by the
// trapezoid rule, and from the completed square.
struct Reversed {
  double mean, variance;
};
inline Reversed by_bayes(const diffusion::Process& p, const diffusion::Mixture& law, double x, double t, double dt) {
  const double r = t - dt, alpha = p.a(t) / p.a(r);
  const double beta = std::pow(p.b(t), 2) - std::pow(alpha * p.b(r), 2), width = 9 * std::sqrt(beta);
  const Tensor places = (linspace(-width, width, 1201, f64) + x).unsqueeze(1);
  const Tensor logs = log_density_at(p, law, places, r) - square(x - alpha * places.squeeze(1)) / (2 * beta);  // (7.3)
  const Tensor w = softmax(logs, 0), mean = sum(w * places.squeeze(1));
  return {mean.item(), sum(w * square(places.squeeze(1) - mean)).item()};
}
inline Reversed by_square(const diffusion::Process& p, const diffusion::Mixture& law, double x, double t, double dt) {
  const double score = score_at(p, law, column({x}), t).item();
  return {x - (p.f(t) * x - p.g2(t) * score) * dt, p.g2(t) * dt};  // (7.6)
}

// The exponent of y in x over the last two points of a curve.
inline double last_slope(const std::vector<double>& x, const std::vector<double>& y) {
  const size_t n = x.size();
  return std::log(y[n - 1] / y[n - 2]) / std::log(x[n - 1] / x[n - 2]);
}

// Data N(0, 1/4), walked backwards from t = 1 to 0.1 in `count` steps: each is affine, so the variance follows without
// chance. How far it is from that of the forward process, relative.
inline double variance_error(const diffusion::Process& p, int64_t count) {
  auto truth = [&](double t) { return 0.25 * std::pow(p.a(t), 2) + std::pow(p.b(t), 2); };
  double variance = truth(1);
  for (const diffusion::TimeStep& step : diffusion::through(diffusion::uniform_grid(count, 1, 0.1))) {
    const double dt = step.t - step.next, g2 = p.g2(step.t);
    const double keep = 1 - (p.f(step.t) + g2 / truth(step.t)) * dt;  // the score is -x / truth
    variance = keep * keep * variance + g2 * dt;
  }
  return std::abs(variance / truth(0.1) - 1);
}

// The density of samples in cells of 0.1, and that of the two humps.
inline Series histogram(const std::string& name, const std::vector<double>& x) {
  Series s{.name = name, .mark = Mark::steps};
  for (int64_t cell = -30; cell < 30; ++cell) {
    const double low = 0.1 * double(cell), high = low + 0.1;
    const auto inside = std::count_if(x.begin(), x.end(), [&](double v) { return v >= low && v < high; });
    s.x.push_back(low), s.y.push_back(double(inside) / (0.1 * double(x.size())));
  }
  return s;
}
inline Series two_humps_density() {
  Series s{.name = "data", .mark = Mark::dashed};
  for (double x = -3; x <= 3; x += 0.02)
    s.x.push_back(x), s.y.push_back((two_humps_cdf(x + 1e-4) - two_humps_cdf(x - 1e-4)) / 2e-4);
  return s;
}

// The largest distance between the samples' distribution function and the true one.
inline double kolmogorov(std::vector<double> x, double (*cdf)(double)) {
  std::sort(x.begin(), x.end());
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i)
    for (size_t side : {i, i + 1}) worst = std::max(worst, std::abs(cdf(x[i]) - double(side) / double(x.size())));
  return worst;
}

}  // namespace ink::lesson
