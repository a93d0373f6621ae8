// Exercise: a step back, with as much noise as you like.
// Note: docs/notes/03_diffusion_sde.md, exercise 2
//
// Of the forward equation dx = f x dt + g dw the score S = grad log p_t of its marginals is known. For every h >= 0
// this equation, run backward in time, has the same marginals:
//
//   dx = [f x - (g^2 + h^2) / 2 S] dt + h dw
//
// Write one step of Euler and Maruyama of it, from time t to t - d with d > 0: x moves AGAINST the bracket, since time
// runs backward. For f = 0, g = 1, h = 1, S = -x, d = 0.1, x = 1 and z = 0:
//
//   x - [0 - (1 + 1)/2 (-1)] 0.1 = 1 - 0.1 = 0.9
//
// What the checks look at: no noise drawn; the drift; h = 0; noise; the law that many steps end in.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// x, its score S and the noise z, all [n], -> x at time t - d, [n].
Tensor reverse_step(const Tensor& x, const Tensor& S, const Tensor& z, double f, double g, double h, double d) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// Backward in time: subtract the bracket times d. The noise has no direction; its size is h times a root.
//]
//[ hint
// Test yourself with h = 0: what is left is the probability-flow ODE, with half of g^2 S.
//]

namespace solution {
//[ solution
Tensor reverse_step(const Tensor& x, const Tensor& S, const Tensor& z, double f, double g, double h, double d) {
  const double pull = (g * g + h * h) / 2;
  const Tensor bracket = f * x - pull * S;
  const Tensor drifted = x - bracket * d;
  const double shake = h * std::sqrt(d);
  return drifted + shake * z;
}
//]
}  // namespace solution

//[ wrong
namespace forward {
Tensor reverse_step(const Tensor& x, const Tensor& S, const Tensor& z, double f, double g, double h, double d) {
  return x + (f * x - (g * g + h * h) / 2 * S) * d + h * std::sqrt(d) * z;
}
}  // namespace forward
namespace always_anderson {
Tensor reverse_step(const Tensor& x, const Tensor& S, const Tensor& z, double f, double g, double h, double d) {
  return x - (f * x - g * g * S) * d + h * std::sqrt(d) * z;
}
}  // namespace always_anderson
namespace noise_without_root {
Tensor reverse_step(const Tensor& x, const Tensor& S, const Tensor& z, double f, double g, double h, double d) {
  return x - (f * x - (g * g + h * h) / 2 * S) * d + h * d * z;
}
}  // namespace noise_without_root
//]

namespace {

using Function = decltype(&reverse_step);

void checks(Check& check, Function fn) {
  auto on = [&](const char* property, const Tensor& x, const Tensor& S, const Tensor& z, double f, double g, double h,
                double d) {
    check.on(property, {{"x", x}, {"S", S}, {"z", z}, {"f, g, h, d", tensor({f, g, h, d}, f64)}});
    Tensor want = x.clone();
    for (int64_t i = 0; i < x.numel(); ++i)
      want[i].fill_(x[i].item() - (f * x[i].item() - (g * g + h * h) / 2 * S[i].item()) * d +
                    h * std::sqrt(d) * z[i].item());
    check.close(fn(x, S, z, f, g, h, d), want, {1e-12, 1e-12}, "x at t - d");
  };
  const Tensor x = tensor({1.0, -2.0}, f64), none = zeros({2}, f64), z = tensor({1.0, -1.0}, f64);
  on("no noise drawn", tensor({1.0}, f64), tensor({-1.0}, f64), zeros({1}, f64), 0, 1, 1, 0.1);
  on("the drift", x, none, none, -0.5, 1, 1, 0.1);
  on("h = 0", x, -x, z, -0.5, 2, 0, 0.1);
  on("noise", x, -x, z, -0.5, 2, 0.5, 0.04);

  // VE from sigma 3 to 0.1, data N(0, 1): S = -x / (1 + sigma^2), g^2 = 2 sigma.
  check.on("the law that many steps end in", {{"data", "N(0, 1), noise from 3 down to 0.1, h = g"}});
  Tensor cloud = std::sqrt(10.0) * randn({4000}, f64);
  const int64_t n = 400;
  const double d = 2.9 / double(n);
  for (int64_t i = 0; i < n; ++i) {
    const double sigma = 3 - double(i) * d, g = std::sqrt(2 * sigma);
    cloud = fn(cloud, -cloud / (1 + sigma * sigma), randn({4000}, f64), 0, g, g, d);
  }
  const double variance = cloud.var().item();
  check.holds(variance > 0.85 && variance < 1.2, "variance " + std::to_string(variance),
              "1.01, within what 4000 points can tell");
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = reverse_step,
              .solution = solution::reverse_step,
              .wrong = {{"forward in time", "no noise drawn", forward::reverse_step},
                        {"g^2 whatever h is", "h = 0", always_anderson::reverse_step},
                        {"noise of size d", "noise", noise_without_root::reverse_step}}});
}
