// Exercise: one step of the reverse-time SDE.
// Note: docs/notes/07_sde_frame.md, exercise 2
//
// Forward, data become noise by steps x_{t+dt} = x_t + f x_t dt + g sqrt(dt) z. Bayes' formula turns such a step round:
// given x = x_{t+dt}, the place before is a Gaussian again,
//
//   x_t ~ N(x - [f x - g^2 S] dt,  g^2 dt),   S = grad log p(x)
//
// up to terms of order dt^2. The score S is the slope of the log density of everything that could be at x.
//
// With f = -1, g^2 = 2, x = 3, S = -3, dt = 0.1 and z = 0.5:
//
//   x - [f x - g^2 S] dt = 3 - [-3 + 6] 0.1 = 2.7        g sqrt(dt) z = 1.41421 * 0.316228 * 0.5 = 0.223607
//
// (f pushes away from 0 on the way back, the score pulls towards the data, and twice as hard.)
//
// What the checks look at: the drift (z = 0); the score; the noise; Bayes' kernel, which it is up to dt^2.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// x, score and z of one shape; f, g2 = g^2 and dt > 0 are numbers -> the place one step earlier, of the same shape.
Tensor reverse_step(const Tensor& x, const Tensor& score, double f, double g2, double dt, const Tensor& z) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// The mean first: forward went x + f x dt, so backward goes x - f x dt, and the score's part comes on top.
//]
//[ hint
// A variance of g^2 dt is a standard deviation of std::sqrt(g2 * dt).
//]

namespace solution {
//[ solution
Tensor reverse_step(const Tensor& x, const Tensor& score, double f, double g2, double dt, const Tensor& z) {
  const Tensor bracket = f * x - g2 * score;
  const Tensor mean = x - bracket * dt;
  return mean + std::sqrt(g2 * dt) * z;
}
//]
}  // namespace solution

//[ wrong
namespace forward_again {
Tensor reverse_step(const Tensor& x, const Tensor& score, double f, double g2, double dt, const Tensor& z) {
  return x + (f * x + g2 * score) * dt + std::sqrt(g2 * dt) * z;
}
}  // namespace forward_again
namespace half_the_score {
Tensor reverse_step(const Tensor& x, const Tensor& score, double f, double g2, double dt, const Tensor& z) {
  return x - (f * x - g2 / 2 * score) * dt + std::sqrt(g2 * dt) * z;
}
}  // namespace half_the_score
namespace away_from_data {
Tensor reverse_step(const Tensor& x, const Tensor& score, double f, double g2, double dt, const Tensor& z) {
  return x - (f * x + g2 * score) * dt + std::sqrt(g2 * dt) * z;
}
}  // namespace away_from_data
namespace noise_of_size_dt {
Tensor reverse_step(const Tensor& x, const Tensor& score, double f, double g2, double dt, const Tensor& z) {
  return x - (f * x - g2 * score) * dt + std::sqrt(g2) * dt * z;
}
}  // namespace noise_of_size_dt
namespace g_and_not_its_square {
Tensor reverse_step(const Tensor& x, const Tensor& score, double f, double g2, double dt, const Tensor& z) {
  return x - (f * x - std::sqrt(g2) * score) * dt + std::sqrt(g2 * dt) * z;
}
}  // namespace g_and_not_its_square
//]

namespace {

using Function = decltype(&reverse_step);

// By how much the step's factor of x differs from that of Bayes' kernel, for data N(0, 1/4) and a = e^{-t}, b^2 = 1 -
// a^2.
double gap(Function f, double t, double dt) {
  auto V = [](double s) { return 1 - 0.75 * std::exp(-2 * s); };  // a^2 / 4 + b^2
  const double alpha = std::exp(-dt), factor = alpha * V(t - dt) / V(t);
  const Tensor x = matrix({{1}});
  return std::abs(f(x, x * (-1 / V(t)), -1, 2, dt, matrix({{0}})).item() - factor);
}

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Tensor& x, const Tensor& score, double drift, double g2, double dt,
                const Tensor& z, const Tensor& expected) {
    check.on(property, {{"x", x}, {"score", score}, {"f", drift}, {"g2", g2}, {"dt", dt}, {"z", z}});
    check.close(f(x, score, drift, g2, dt, z), expected, {1e-12, 1e-12}, "x");
  };
  const Tensor zero = matrix({{0}});
  on("the drift", matrix({{2}}), zero, -1, 2, 0.5, zero, matrix({{3}}));
  on("the drift", matrix({{2}}), zero, 0, 2, 0.5, zero, matrix({{2}}));
  on("the score", matrix({{0}}), matrix({{1}}), -1, 2, 0.25, zero, matrix({{0.5}}));
  on("the score", matrix({{3}}), matrix({{-3}}), -1, 2, 0.1, zero, matrix({{2.7}}));
  on("the noise", matrix({{0}}), zero, -1, 4, 0.25, matrix({{1}}), matrix({{1}}));
  on("the noise", matrix({{0}}), zero, -1, 1, 0.01, matrix({{-2}}), matrix({{-0.2}}));
  on("the noise", matrix({{1, 2}}), matrix({{0, 0}}), 0, 9, 0.04, matrix({{1, -1}}), matrix({{1.6, 1.4}}));

  check.on("Bayes' kernel", {{"data", "N(0, 1/4)"}, {"a", "e^{-t}"}, {"t", 0.7}, {"dt", "0.02 and 0.01"}});
  const double coarse = gap(f, 0.7, 0.02), fine = gap(f, 0.7, 0.01);
  check.holds(coarse < 1e-3 && fine > 0 && coarse / fine > 3.5 && coarse / fine < 4.5,
              "differences of " + show(coarse) + " and " + show(fine), "below 0.001, a quarter for half the step");
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = reverse_step,
              .solution = solution::reverse_step,
              .wrong = {{"the drift as it was forward", "the drift", forward_again::reverse_step},
                        {"half the score, as in the ODE without noise", "the score", half_the_score::reverse_step},
                        {"away from the data", "the score", away_from_data::reverse_step},
                        {"g where g^2 belongs", "the score", g_and_not_its_square::reverse_step},
                        {"noise of size dt", "the noise", noise_of_size_dt::reverse_step}}});
}
