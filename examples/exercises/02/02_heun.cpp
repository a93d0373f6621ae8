// Exercise: EDM's sampler: Heun's method along a grid of noise levels, down to none.
// Note: docs/notes/02_edm.md, exercise 3
//
// In EDM's frame the probability-flow ODE is dx / dsigma = d(x, sigma) with the slope d = (x - D(x, sigma)) / sigma.
// From one noise level s to the next lower one r (Karras et al. 2022, algorithm 1):
//
//   slope here    d  = (x - D(x, s)) / s
//   Euler         x' = x + (r - s) d
//   slope there   d' = (x' - D(x', r)) / r
//   Heun          x  <- x + (r - s) (d + d') / 2
//
// The grid ends at r = 0, where there is no slope (0 / 0): that step stays Euler's. If all data are the point 0, D = 0
// and d = x / sigma: from x = 3 at s = 3 to r = 1 the slopes are 1 and 1, and x = 1; then to 0, slope 1, x = 0.
//
// What the checks look at: one step; the last step; all levels; evaluations (two a step, one in the last); order (half
// the step, a quarter of the error).
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
using Denoise = std::function<Tensor(const Tensor& x, double sigma)>;

// x at the noise level sigmas[0]; the levels fall, and the last may be 0. Returns x at the last level.
Tensor heun(const Denoise& denoise, Tensor x, const std::vector<double>& sigmas) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// A loop over i from 0 to sigmas.size() - 2, with s = sigmas[i] and r = sigmas[i + 1].
//]
//[ hint
// Keep x and Euler's guess apart: the corrected step starts at x again, not at the guess.
//]

namespace solution {
//[ solution
Tensor heun(const Denoise& denoise, Tensor x, const std::vector<double>& sigmas) {
  for (size_t i = 0; i + 1 < sigmas.size(); ++i) {
    const double s = sigmas[i], r = sigmas[i + 1];
    const Tensor here = (x - denoise(x, s)) / s, guess = x + (r - s) * here;
    if (r == 0) {
      x = guess;
      continue;
    }
    const Tensor there = (guess - denoise(guess, r)) / r;
    x = x + (r - s) * (here + there) / 2;
  }
  return x;
}
//]
}  // namespace solution

//[ wrong
namespace divides_by_zero {
Tensor heun(const Denoise& denoise, Tensor x, const std::vector<double>& sigmas) {
  for (size_t i = 0; i + 1 < sigmas.size(); ++i) {
    const double s = sigmas[i], r = sigmas[i + 1];
    const Tensor here = (x - denoise(x, s)) / s, guess = x + (r - s) * here;
    x = x + (r - s) * (here + (guess - denoise(guess, r)) / r) / 2;
  }
  return x;
}
}  // namespace divides_by_zero
namespace from_the_guess {
Tensor heun(const Denoise& denoise, Tensor x, const std::vector<double>& sigmas) {
  for (size_t i = 0; i + 1 < sigmas.size(); ++i) {
    const double s = sigmas[i], r = sigmas[i + 1];
    const Tensor here = (x - denoise(x, s)) / s, guess = x + (r - s) * here;
    x = r == 0 ? guess : guess + (r - s) * (here + (guess - denoise(guess, r)) / r) / 2;
  }
  return x;
}
}  // namespace from_the_guess
namespace euler {
Tensor heun(const Denoise& denoise, Tensor x, const std::vector<double>& sigmas) {
  for (size_t i = 0; i + 1 < sigmas.size(); ++i)
    x = x + (sigmas[i + 1] - sigmas[i]) * (x - denoise(x, sigmas[i])) / sigmas[i];
  return x;
}
}  // namespace euler
namespace old_level {
Tensor heun(const Denoise& denoise, Tensor x, const std::vector<double>& sigmas) {
  for (size_t i = 0; i + 1 < sigmas.size(); ++i) {
    const double s = sigmas[i], r = sigmas[i + 1];
    const Tensor here = (x - denoise(x, s)) / s, guess = x + (r - s) * here;
    x = r == 0 ? guess : x + (r - s) * (here + (guess - denoise(guess, s)) / s) / 2;
  }
  return x;
}
}  // namespace old_level
namespace asked_again {
Tensor heun(const Denoise& denoise, Tensor x, const std::vector<double>& sigmas) {
  for (size_t i = 0; i + 1 < sigmas.size(); ++i) {
    const double s = sigmas[i], r = sigmas[i + 1];
    const Tensor guess = x + (r - s) * (x - denoise(x, s)) / s;
    x = r == 0 ? guess : x + (r - s) * ((x - denoise(x, s)) / s + (guess - denoise(guess, r)) / r) / 2;
  }
  return x;
}
}  // namespace asked_again
//]

namespace {

using Function = decltype(&heun);

// The denoiser of data N(0, 1) in closed form, and its flow: x shrinks as sqrt(1 + sigma^2).
Tensor of_a_gaussian(const Tensor& x, double sigma) { return x / (1 + sigma * sigma); }
// Of the two points -1 and 1.
Tensor of_two_points(const Tensor& x, double sigma) { return tanh(x / (sigma * sigma)); }

std::vector<double> levels(int n) {
  std::vector<double> grid;
  for (int i = 0; i <= n; ++i) grid.push_back(3 * std::pow(0.2 / 3, double(i) / n));
  return grid;
}

void checks(Check& check, Function f) {
  auto on = [&](const char* property, Tensor (*denoise)(const Tensor&, double), const Tensor& x, const Samples& sigmas,
                const Tensor& expected) {
    check.on(property, {{"x", x}, {"sigmas", sigmas}});
    check.close(f(denoise, x, sigmas), expected, {1e-9, 1e-9}, "x");
  };
  // to r from s, by hand: slopes x s / (1 + s^2)
  auto by_hand = [](const Tensor& x, double s, double r) {
    const double here = s / (1 + s * s), there = (1 + (r - s) * here) * r / (1 + r * r);
    return x * (1 + (r - s) * (here + there) / 2);
  };
  const Tensor one = matrix({{1}}), x = randn({4, 2}, f64) * 3;
  on("one step", of_a_gaussian, one, {2, 1}, by_hand(one, 2, 1));
  on("one step", of_a_gaussian, x, {3, 0.5}, by_hand(x, 3, 0.5));
  on("the last step", of_a_gaussian, one, {2, 0}, one / 5);
  on("the last step", of_two_points, x, {0.5, 0}, of_two_points(x, 0.5));
  on("all levels", of_a_gaussian, x, {3, 1, 0.2}, by_hand(by_hand(x, 3, 1), 1, 0.2));
  on("all levels", of_a_gaussian, x, {3, 1, 0.2, 0}, by_hand(by_hand(x, 3, 1), 1, 0.2) / 1.04);
  on("all levels", of_a_gaussian, x, {3}, x);

  int calls = 0;
  auto counted = [&](const Tensor& at, double sigma) {
    ++calls;
    return of_a_gaussian(at, sigma);
  };
  check.on("evaluations", {{"sigmas", Samples{3, 1, 0.2, 0}}});
  f(counted, one, {3, 1, 0.2, 0});
  check.close(double(calls), 5, "calls of the denoiser");

  const Tensor start = matrix({{0.7}, {-1.9}, {3.1}}), truth = solution::heun(of_two_points, start, levels(3000));
  check.on("order", {{"x", start}, {"sigmas", "60 and 120 levels from 3 to 0.2"}});
  auto error = [&](int n) { return norm(f(of_two_points, start, levels(n)) - truth).item(); };
  const double ratio = error(60) / error(120);
  check.holds(ratio > 3.5 && ratio < 4.5, "the error falls to 1 / " + show(ratio), "about a quarter");
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = heun,
              .solution = solution::heun,
              .wrong = {{"a slope at sigma = 0", "the last step", divides_by_zero::heun},
                        {"the correction starts at the guess", "one step", from_the_guess::heun},
                        {"Euler", "one step", euler::heun},
                        {"the second slope at the old noise level", "one step", old_level::heun},
                        {"the first slope asked for twice", "evaluations", asked_again::heun}}});
}
