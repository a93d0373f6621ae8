// Exercise: EDM's preconditioning: which c_skip, c_out and c_in give a network inputs and targets of variance 1.
// Note: docs/notes/02_edm.md, exercise 2
//
// The noisy data are x = x_0 + sigma eps, the data have standard deviation sd, and the denoiser is made of a network F:
//
//   D(x) = c_skip x + c_out F(c_in x)       trained by |D(x) - x_0|^2 times a weight
//
// Three wishes (Karras et al. 2022, appendix B.6). The input c_in x is to have variance 1. So is what F should say, the
// target (x_0 - c_skip x) / c_out. And c_out, by which F's errors are multiplied, is to be as small as that allows,
// which settles c_skip. The weight is to make the squared error of F count 1.
//
// For sd = 1 and sigma = 1: x has variance 2, so c_in = 1 / sqrt 2. The target's variance is ((1 - c_skip)^2 +
// c_skip^2) / c_out^2; (1 - c)^2 + c^2 is least at c = 1/2, where it is 1/2, so c_skip = 1/2, c_out = 1 / sqrt 2, and
// the weight is 2.
//
// What the checks look at: the input; the target; the smallest c_out; the weight; no noise and much of it.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
struct Coefficients {
  double skip, out, in, weight;
};

// sigma > 0, sd > 0.
Coefficients precondition(double sigma, double sd) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// x_0 and eps are independent: x has the variance sd^2 + sigma^2, and x_0 - c x = (1 - c) x_0 - c sigma eps the
// variance (1
// - c)^2 sd^2 + c^2 sigma^2.
//]
//[ hint
// That is a parabola in c; its derivative is 0 where (1 - c) sd^2 = c sigma^2. Put this c in, and c_out is the root.
//]

namespace solution {
//[ solution
Coefficients precondition(double sigma, double sd) {
  const double total = sigma * sigma + sd * sd;
  const double skip = sd * sd / total, out = sigma * sd / std::sqrt(total);
  return {skip, out, 1 / std::sqrt(total), 1 / (out * out)};
}
//]
}  // namespace solution

//[ wrong
namespace data_of_variance_one {
Coefficients precondition(double sigma, double) { return solution::precondition(sigma, 1); }
}  // namespace data_of_variance_one
namespace predicts_noise {
Coefficients precondition(double sigma, double sd) {
  return {1, sigma, 1 / std::sqrt(sigma * sigma + sd * sd), 1 / (sigma * sigma)};
}
}  // namespace predicts_noise
namespace skip_and_noise_exchanged {
Coefficients precondition(double sigma, double sd) {
  Coefficients c = solution::precondition(sigma, sd);
  c.skip = 1 - c.skip;
  return c;
}
}  // namespace skip_and_noise_exchanged
namespace unweighted {
Coefficients precondition(double sigma, double sd) {
  Coefficients c = solution::precondition(sigma, sd);
  c.weight = 1;
  return c;
}
}  // namespace unweighted
namespace cancels {
Coefficients precondition(double sigma, double sd) {
  Coefficients c = solution::precondition(sigma, sd);
  c.out = sd * std::sqrt(1 - c.skip);  // the same number until sigma / sd falls below 1e-8
  c.weight = 1 / (c.out * c.out);
  return c;
}
}  // namespace cancels
//]

namespace {

using Function = decltype(&precondition);

void checks(Check& check, Function f) {
  const double sigmas[] = {1, 0.5, 0.002, 3, 80}, sds[] = {1, 0.5, 2};
  auto each = [&](const char* property, auto look) {
    for (double sd : sds)
      for (double sigma : sigmas) {
        check.on(property, {{"sigma", sigma}, {"sd", sd}});
        look(f(sigma, sd), sigma, sd);
      }
  };
  auto variance_of_target = [](double skip, double sigma, double sd) {
    return (1 - skip) * (1 - skip) * sd * sd + skip * skip * sigma * sigma;
  };
  each("the input", [&](const Coefficients& c, double sigma, double sd) {
    check.close(c.in * c.in * (sigma * sigma + sd * sd), 1, "variance of c_in x");
  });
  each("the target", [&](const Coefficients& c, double sigma, double sd) {
    const double variance = variance_of_target(c.skip, sigma, sd) / (c.out * c.out);
    check.holds(std::abs(variance - 1) < 1e-6, "a target of variance " + show(variance), "variance 1");
  });
  each("the smallest c_out", [&](const Coefficients& c, double sigma, double sd) {
    const double here = variance_of_target(c.skip, sigma, sd);
    for (double off : {-0.05, 0.05})
      check.holds(variance_of_target(c.skip + off, sigma, sd) > here, "c_skip = " + show(c.skip),
                  "the c_skip at which (1 - c)^2 sd^2 + c^2 sigma^2 is least");
  });
  each("the weight", [&](const Coefficients& c, double, double) {
    check.close(c.weight * c.out * c.out, 1, "what a squared error of F counts");
  });
  for (double sigma : {1e-12, 1e9}) {
    check.on("no noise and much of it", {{"sigma", sigma}, {"sd", 0.5}});
    const Coefficients c = f(sigma, 0.5);
    check.close(c.out, sigma < 1 ? sigma : 0.5, "c_out");
    check.close(c.skip, sigma < 1 ? 1 : 0, "c_skip");
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = precondition,
              .solution = solution::precondition,
              .wrong = {{"sd = 1, whatever the data", "the input", data_of_variance_one::precondition},
                        {"F predicts eps", "the smallest c_out", predicts_noise::precondition},
                        {"c_skip and 1 - c_skip exchanged", "the target", skip_and_noise_exchanged::precondition},
                        {"the error of D as it is", "the weight", unweighted::precondition},
                        {"1 - c_skip, which has no digits left", "no noise and much of it", cancels::precondition}}});
}
