// Exercise: mean and variance of a diffusion, from its drift and noise.
// Note: docs/notes/03_diffusion_sde.md, exercise 1
//
// dx = f(t) x dt + g(t) dw, from x at t = 0. Its law at time t is N(a x, b^2), where a = 1 and b^2 = 0 in the
// beginning. In a short time dt a step is
//
//   x <- (1 + f dt) x + g sqrt(dt) z,     z ~ N(0, 1), new at every step
//
// so that the factor of x and the variance of the rest can be followed by two numbers, without drawing a single z. Take
// n equal steps from 0 to T, with f and g at the beginning of each. One step of f = -1/2, g = 1, T = 0.1:
//
//   a = 0.95     b^2 = 0.1
//   and a second one: a = 0.95^2 = 0.9025,  b^2 = 0.95^2 0.1 + 0.1 = 0.19025
//
// What the checks look at: one step; two steps; no noise; time enters f and g; the limit of many steps.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

using Rate = double (*)(double t);

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// {a, b^2} at time T after n steps.
std::pair<double, double> marginal_of(Rate f, Rate g, double T, int64_t n) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// double a = 1, variance = 0, dt = T / n; step i begins at t = i dt.
//]
//[ hint
// A factor c in front of a random number multiplies its variance by c^2; variances of independent numbers add up.
//]

namespace solution {
//[ solution
std::pair<double, double> marginal_of(Rate f, Rate g, double T, int64_t n) {
  double a = 1, variance = 0;
  const double dt = T / double(n);
  for (int64_t i = 0; i < n; ++i) {
    const double t = double(i) * dt, keep = 1 + f(t) * dt;
    a *= keep;
    variance = keep * keep * variance + g(t) * g(t) * dt;
  }
  return {a, variance};
}
//]
}  // namespace solution

//[ wrong
namespace noise_times_dt {
std::pair<double, double> marginal_of(Rate f, Rate g, double T, int64_t n) {
  double a = 1, variance = 0;
  const double dt = T / double(n);
  for (int64_t i = 0; i < n; ++i) {
    const double keep = 1 + f(double(i) * dt) * dt, noise = g(double(i) * dt) * dt;
    a *= keep, variance = keep * keep * variance + noise * noise;
  }
  return {a, variance};
}
}  // namespace noise_times_dt
namespace factor_not_squared {
std::pair<double, double> marginal_of(Rate f, Rate g, double T, int64_t n) {
  double a = 1, variance = 0;
  const double dt = T / double(n);
  for (int64_t i = 0; i < n; ++i) {
    const double keep = 1 + f(double(i) * dt) * dt;
    a *= keep, variance = keep * variance + g(double(i) * dt) * g(double(i) * dt) * dt;
  }
  return {a, variance};
}
}  // namespace factor_not_squared
namespace time_stands_still {
std::pair<double, double> marginal_of(Rate f, Rate g, double T, int64_t n) {
  double a = 1, variance = 0;
  const double dt = T / double(n), keep = 1 + f(0) * dt;
  for (int64_t i = 0; i < n; ++i) a *= keep, variance = keep * keep * variance + g(0) * g(0) * dt;
  return {a, variance};
}
}  // namespace time_stands_still
//]

namespace {

using Function = decltype(&marginal_of);

double half(double) { return -0.5; }
double one(double) { return 1; }
double none(double) { return 0; }
double rising(double t) { return -0.5 * (0.1 + 19.9 * t); }
double rising_noise(double t) { return std::sqrt(0.1 + 19.9 * t); }

void checks(Check& check, Function f) {
  auto on = [&](const char* property, Rate drift, Rate noise, double T, int64_t n, double a, double variance,
                double off) {
    check.on(property, {{"T", Tensor(Scalar(T))}, {"n", Tensor(Scalar(n))}});
    const auto [got_a, got_variance] = f(drift, noise, T, n);
    check.close(tensor({got_a, got_variance}, f64), tensor({a, variance}, f64), {off, off}, "a, b^2");
  };
  on("one step", half, one, 0.1, 1, 0.95, 0.1, 1e-12);
  on("two steps", half, one, 0.2, 2, 0.9025, 0.19025, 1e-12);
  on("no noise", half, none, 1, 4, std::pow(0.875, 4), 0, 1e-12);
  on("time enters f and g", rising, rising_noise, 0.2, 2, 0.995 * (1 - 0.05 * (0.1 + 1.99)),
     std::pow(1 - 0.05 * (0.1 + 1.99), 2) * 0.01 + 0.1 * (0.1 + 1.99), 1e-12);
  const double integral = 0.1 + 19.9 / 2;
  on("the limit of many steps", rising, rising_noise, 1, 200000, std::exp(-integral / 2), 1 - std::exp(-integral),
     1e-3);
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = marginal_of,
              .solution = solution::marginal_of,
              .wrong = {{"noise of size dt", "one step", noise_times_dt::marginal_of},
                        {"the factor is not squared", "two steps", factor_not_squared::marginal_of},
                        {"f and g of time 0", "time enters f and g", time_stands_still::marginal_of}}});
}
