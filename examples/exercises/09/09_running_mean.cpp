// Exercise: HiPPO-LegS over a signal, whose first coefficient is the running mean.
// Note: docs/notes/09a_hippo.md, exercise 3
//
// LegS remembers all that was by n coefficients, x' = (A x + B u) / t. A bilinear step from time k to k + 1 needs one
// value for 1 / t. Taken in the middle of the step, h = 1 / (k + 1/2) everywhere:
//
//   (I - h/2 A) x_{k+1} = (I + h/2 A) x_k + h B u_k,     k = 1, 2, ...
//
// after the first sample u_0, which is remembered exactly: x_1 = (u_0, 0, 0, ...). Row 0 is A_00 = -1, B_0 = 1: then
// (k + 1) x_0 becomes k x_0 + u_k, the sum of all samples so far; x_0 is their mean. For u = 1, 2 and n = 2:
//
//   x_1 = (1, 0)     h = 2/3     x_2 = (1.5, 0.3464)     the mean, and a rise
//
// hippo(HippoKind::legs, n) gives A [n, n] and B [n] in f64.
//
// What the checks look at: one sample; the running mean; all coefficients; a constant.
#include "examples/support/exercise/exercise.h"
#include "include/inkstone/ssm.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// The n coefficients [n], f64, after all samples of u (at least one).
Tensor legs_memory(const Samples& u, int64_t n) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// Begin with zeros({n}, f64) and put u[0] in front: cat({full({1}, u[0], f64), zeros({n - 1}, f64)}, 0).
//]
//[ hint
// Sample number k (u[k], k = 1, 2, ...) leads from time k to k + 1. A dense step is solve(I - h/2 A, column), with a
// column [n, 1]; legs_multiply and legs_solve do the same without a matrix.
//]

namespace solution {
//[ solution
Tensor legs_memory(const Samples& u, int64_t n) {
  const Tensor B = hippo(HippoKind::legs, n).B;
  Tensor x = cat({full({1}, u[0], f64), zeros({n - 1}, f64)}, 0);
  for (size_t k = 1; k < u.size(); ++k) {
    const double h = 1 / (double(k) + 0.5);
    x = legs_solve(x + (h / 2) * legs_multiply(x) + h * u[k] * B, h / 2);
  }
  return x;
}
//]
}  // namespace solution

//[ wrong
namespace two_times {  // 1 / k on the right and for u, 1 / (k + 1) on the left
Tensor legs_memory(const Samples& u, int64_t n) {
  const Tensor B = hippo(HippoKind::legs, n).B;
  Tensor x = cat({full({1}, u[0], f64), zeros({n - 1}, f64)}, 0);
  for (size_t k = 1; k < u.size(); ++k) {
    const double now = 1 / double(k), next = 1 / double(k + 1);
    x = legs_solve(x + (now / 2) * legs_multiply(x) + now * u[k] * B, next / 2);
  }
  return x;
}
}  // namespace two_times
namespace from_nothing {  // the first sample is a step from a state of 0
Tensor legs_memory(const Samples& u, int64_t n) {
  const Tensor B = hippo(HippoKind::legs, n).B;
  Tensor x = zeros({n}, f64);
  for (size_t k = 0; k < u.size(); ++k) {
    const double h = 1 / (double(k) + 0.5);
    x = legs_solve(x + (h / 2) * legs_multiply(x) + h * u[k] * B, h / 2);
  }
  return x;
}
}  // namespace from_nothing
namespace forward_euler {
Tensor legs_memory(const Samples& u, int64_t n) {
  const Tensor B = hippo(HippoKind::legs, n).B;
  Tensor x = cat({full({1}, u[0], f64), zeros({n - 1}, f64)}, 0);
  for (size_t k = 1; k < u.size(); ++k) x = x + (legs_multiply(x) + u[k] * B) / double(k + 1);
  return x;
}
}  // namespace forward_euler
namespace without_time {  // the window of S4: a fixed step
Tensor legs_memory(const Samples& u, int64_t n) {
  const Tensor B = hippo(HippoKind::legs, n).B;
  Tensor x = cat({full({1}, u[0], f64), zeros({n - 1}, f64)}, 0);
  for (size_t k = 1; k < u.size(); ++k) x = legs_solve(x + legs_multiply(x) / 3. + (2. / 3) * u[k] * B, 1. / 3);
  return x;
}
}  // namespace without_time
//]

namespace {

using Function = decltype(&legs_memory);

// By dense steps.
Tensor dense(const Samples& u, int64_t n) {
  const Hippo h = hippo(HippoKind::legs, n);
  Tensor x = eye(n, f64)[0] * u[0];
  for (size_t k = 1; k < u.size(); ++k) {
    const DiscreteSystem s = step_over_time(h.A, h.B, int64_t(k), OverTimeScheme::midpoint);
    x = matmul(s.A, x) + s.B * u[k];
  }
  return x;
}

void checks(Check& check, Function f) {
  check.on("one sample", {{"u", Samples{4}}, {"n", 3.}});
  check.close(f({4}, 3), tensor({4, 0, 0}, f64), {1e-9, 1e-9}, "x");
  const Samples all{1, 2, 6, -1, 4, 0.5, 3, 3, -2, 8};
  for (size_t count = 2; count <= all.size(); ++count) {
    const Samples u(all.begin(), all.begin() + int64_t(count));
    double sum = 0;
    for (double v : u) sum += v;
    check.on("the running mean", {{"u", u}, {"n", 2.}});
    check.close(f(u, 2)[0].item(), sum / double(count), "x_0");
  }
  check.on("all coefficients", {{"u", Samples{1, 2}}, {"n", 2.}});
  check.close(f({1, 2}, 2), dense({1, 2}, 2), {1e-9, 1e-9}, "x");
  check.on("all coefficients", {{"u", all}, {"n", 7.}});
  check.close(f(all, 7), dense(all, 7), {1e-9, 1e-9}, "x");
  const Samples constant(30, 2.5);
  check.on("a constant", {{"u", constant}, {"n", 4.}});
  check.close(f(constant, 4), tensor({2.5, 0, 0, 0}, f64), {1e-9, 1e-9}, "x");
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = legs_memory,
              .solution = solution::legs_memory,
              .wrong = {{"1 / t at two times", "the running mean", two_times::legs_memory},
                        {"the first sample is a step from 0", "one sample", from_nothing::legs_memory},
                        {"forward Euler", "all coefficients", forward_euler::legs_memory},
                        {"a fixed step, as S4 has it", "the running mean", without_time::legs_memory}}});
}
