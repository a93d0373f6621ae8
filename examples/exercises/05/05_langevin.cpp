// Exercise: annealed Langevin dynamics.
// Note: docs/notes/05_score_smld.md, exercise 2
//
// With the score s(x, sigma) of the data under noise of any level, samples are made by walking (Song & Ermon 2019,
// algorithm 1): at each level sigma_1 > .. > sigma_L, which come in this order, take one step after the other of
//
//   x <- x + e_i s(x, sigma_i) + sqrt(2 e_i) z,    e_i = e sigma_i^2 / sigma_L^2,
//
// with a fresh z from N(0, 1) for every step. Here the noise is given: z [levels, steps, n, d], so that everybody gets
// the same numbers. One walker in one dimension, levels 2 and 1, one step each, e = 0.1, the score s = -x, all z = 0:
//
//   level 2   e_1 = 0.4   x = 1 - 0.4 = 0.6
//   level 1   e_2 = 0.1   x = 0.6 - 0.06 = 0.54
//
// What the checks look at: no noise; one step; all steps; no step at all; the law that it ends in.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

using Score = Tensor (*)(const Tensor& x, double sigma);

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// x [n, d], sigmas falling, e > 0, z [levels, steps, n, d] -> x after the last step, [n, d].
Tensor annealed_langevin(Score score, Tensor x, const std::vector<double>& sigmas, double e, const Tensor& z) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// Two loops: for (size_t i = 0; i < sigmas.size(); ++i) over levels, and z.size(1) steps in each. z[i][t] is one step's
// noise.
//]
//[ hint
// sigma_L is sigmas.back(): the last level's step is e, those before are longer by the square of the ratio.
//]

namespace solution {
//[ solution
Tensor annealed_langevin(Score score, Tensor x, const std::vector<double>& sigmas, double e, const Tensor& z) {
  for (size_t i = 0; i < sigmas.size(); ++i) {
    const double ratio = sigmas[i] / sigmas.back(), step = e * ratio * ratio;
    for (int64_t t = 0; t < z.size(1); ++t) {
      const Tensor noise = z[int64_t(i)][t];
      x = x + step * score(x, sigmas[i]) + std::sqrt(2 * step) * noise;
    }
  }
  return x;
}
//]
}  // namespace solution

//[ wrong
namespace one_step_size {
Tensor annealed_langevin(Score score, Tensor x, const std::vector<double>& sigmas, double e, const Tensor& z) {
  for (size_t i = 0; i < sigmas.size(); ++i)
    for (int64_t t = 0; t < z.size(1); ++t) x = x + e * score(x, sigmas[i]) + std::sqrt(2 * e) * z[int64_t(i)][t];
  return x;
}
}  // namespace one_step_size
namespace paper_and_code_mixed {
Tensor annealed_langevin(Score score, Tensor x, const std::vector<double>& sigmas, double e, const Tensor& z) {
  for (size_t i = 0; i < sigmas.size(); ++i) {
    const double step = e * std::pow(sigmas[i] / sigmas.back(), 2);
    for (int64_t t = 0; t < z.size(1); ++t) x = x + step * score(x, sigmas[i]) + std::sqrt(step) * z[int64_t(i)][t];
  }
  return x;
}
}  // namespace paper_and_code_mixed
namespace ratio_not_squared {
Tensor annealed_langevin(Score score, Tensor x, const std::vector<double>& sigmas, double e, const Tensor& z) {
  for (size_t i = 0; i < sigmas.size(); ++i) {
    const double step = e * sigmas[i] / sigmas.back();
    for (int64_t t = 0; t < z.size(1); ++t) x = x + step * score(x, sigmas[i]) + std::sqrt(2 * step) * z[int64_t(i)][t];
  }
  return x;
}
}  // namespace ratio_not_squared
namespace same_noise_each_step {
Tensor annealed_langevin(Score score, Tensor x, const std::vector<double>& sigmas, double e, const Tensor& z) {
  for (size_t i = 0; i < sigmas.size(); ++i) {
    const double step = e * std::pow(sigmas[i] / sigmas.back(), 2);
    for (int64_t t = 0; t < z.size(1); ++t) x = x + step * score(x, sigmas[i]) + std::sqrt(2 * step) * z[int64_t(i)][0];
  }
  return x;
}
}  // namespace same_noise_each_step
//]

namespace {

using Function = decltype(&annealed_langevin);

Tensor towards_zero(const Tensor& x, double) { return -x; }
// Of N(0, 1) under noise sigma.
Tensor of_a_gaussian(const Tensor& x, double sigma) { return -x / (1 + sigma * sigma); }

// The definition, in numbers.
Tensor by_hand(Score score, const Tensor& x, const std::vector<double>& sigmas, double e, const Tensor& z) {
  Tensor now = x.clone();
  const double last = sigmas[sigmas.size() - 1];
  for (size_t i = 0; i < sigmas.size(); ++i)
    for (int64_t t = 0; t < z.size(1); ++t) {
      const double ei = e * (sigmas[i] * sigmas[i]) / (last * last);
      const Tensor s = score(now, sigmas[i]);
      now = now + ei * s + std::sqrt(2 * ei) * z[int64_t(i)][t];
    }
  return now;
}

void checks(Check& check, Function f) {
  auto on = [&](const char* property, Score score, const Tensor& x, const std::vector<double>& sigmas, double e,
                const Tensor& z) {
    check.on(property, {{"x", x},
                        {"sigmas", from_data(std::span<const double>(sigmas), {int64_t(sigmas.size())})},
                        {"e", Tensor(Scalar(e))},
                        {"z", z}});
    check.close(f(score, x, sigmas, e, z), by_hand(score, x, sigmas, e, z), {1e-9, 1e-9}, "x");
  };
  on("no noise", towards_zero, matrix({{1}}), {2, 1}, 0.1, zeros({2, 1, 1, 1}, f64));
  on("one step", towards_zero, matrix({{0}}), {1}, 0.5, ones({1, 1, 1, 1}, f64));
  on("all steps", of_a_gaussian, randn({3, 2}, f64), {3, 1.5, 0.5}, 0.02, randn({3, 4, 3, 2}, f64));
  on("no step at all", towards_zero, matrix({{1, 2}}), {2, 1}, 0.1, zeros({2, 0, 1, 2}, f64));

  const Tensor z = randn({4, 40, 2000, 1}, f64), x = 4 * randn({2000, 1}, f64);
  check.on("the law that it ends in", {{"data", "N(0, 1), levels 4, 2, 1, 0.5, 40 steps each, e = 0.02"}});
  const double variance = f(of_a_gaussian, x, {4, 2, 1, 0.5}, 0.02, z).var().item();
  check.holds(variance > 1.0 && variance < 1.9, "variance " + std::to_string(variance), "1 + 0.5^2 and a little more");
}

}  // namespace

int main(int argc, char** argv) {
  return run(
      argc, argv, checks,
      {.yours = annealed_langevin,
       .solution = solution::annealed_langevin,
       .wrong = {{"one step size for all levels", "no noise", one_step_size::annealed_langevin},
                 {"the paper's noise with the code's slope", "one step", paper_and_code_mixed::annealed_langevin},
                 {"the ratio is not squared", "no noise", ratio_not_squared::annealed_langevin},
                 {"one noise for all steps of a level", "all steps", same_noise_each_step::annealed_langevin}}});
}
