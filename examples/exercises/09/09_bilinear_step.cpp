// Exercise: one bilinear step of a linear system.
// Note: docs/notes/09a_hippo.md, exercise 2
//
// From x' = A x + B u to the state one step of Delta later. Forward Euler takes the slope at the beginning of the step,
// backward Euler that at its end; the trapezoidal or bilinear rule takes half of each (Tustin 1947):
//
//   x_k = x_{k-1} + Delta (A x_{k-1} + A x_k) / 2 + Delta B u_k
//
// x_k stands on both sides. Brought to the left it is a system of linear equations,
//
//   (I - Delta/2 A) x_k = (I + Delta/2 A) x_{k-1} + Delta B u_k.
//
// With one equation, A = -1, B = 1, x = 1, u = 0 and Delta = 1: 1.5 x_k = 0.5, so x_k = 1/3; e^{-1} = 0.368 is the
// truth, forward Euler gives 0, backward Euler 0.5.
//
// What the checks look at: one equation; coupled equations; a state of rest stays at rest; the order: steps half as
// long are four times as exact; a stiff system stays bounded.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// A [n, n], B [n], x [n], the input u and the step Delta -> the next x [n].
Tensor bilinear_step(const Tensor& A, const Tensor& B, const Tensor& x, double u, double step) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// solve(M, b) finds the y with M y = b, for M [n, n] and b [n, k]: unsqueeze(b, 1) makes a column of a vector.
//]
//[ hint
// I = eye(n, A.options()). Make the right side first: a vector of three terms. The input is part of it, so it goes
// through solve as well.
//]

namespace solution {
//[ solution
Tensor bilinear_step(const Tensor& A, const Tensor& B, const Tensor& x, double u, double step) {
  const Tensor I = eye(A.size(0), A.options());
  const Tensor right = matmul(I + (step / 2) * A, x) + step * u * B;
  return solve(I - (step / 2) * A, unsqueeze(right, 1)).squeeze(1);
}
//]
}  // namespace solution

//[ wrong
namespace forward_euler {
Tensor bilinear_step(const Tensor& A, const Tensor& B, const Tensor& x, double u, double step) {
  return x + step * (matmul(A, x) + u * B);
}
}  // namespace forward_euler
namespace input_outside {  // the input is not solved for
Tensor bilinear_step(const Tensor& A, const Tensor& B, const Tensor& x, double u, double step) {
  const Tensor I = eye(A.size(0), A.options());
  return solve(I - (step / 2) * A, unsqueeze(matmul(I + (step / 2) * A, x), 1)).squeeze(1) + step * u * B;
}
}  // namespace input_outside
namespace half_the_input {
Tensor bilinear_step(const Tensor& A, const Tensor& B, const Tensor& x, double u, double step) {
  return solution::bilinear_step(A, B, x, u / 2, step);
}
}  // namespace half_the_input
namespace element_by_element {  // right for a diagonal A only
Tensor bilinear_step(const Tensor& A, const Tensor& B, const Tensor& x, double u, double step) {
  const Tensor a = diagonal(A);
  return ((1 + (step / 2) * a) * x + step * u * B) / (1 - (step / 2) * a);
}
}  // namespace element_by_element
//]

namespace {

using Function = decltype(&bilinear_step);

void checks(Check& check, Function f) {
  const auto on = [&](const char* property, const Tensor& A, const Tensor& B, const Tensor& x, double u, double step,
                      const Tensor& expected) {
    check.on(property, {{"A", A}, {"B", B}, {"x", x}, {"u", u}, {"step", step}});
    check.close(f(A, B, x, u, step), expected, {1e-9, 1e-9}, "x");
  };
  const Tensor one = tensor({1}, f64), zero = tensor({0}, f64);
  on("one equation", matrix({{-1}}), one, one, 0, 1, tensor({1. / 3}, f64));
  on("one equation", matrix({{-1}}), one, zero, 3, 1, tensor({2}, f64));
  on("one equation", matrix({{0}}), one, one, 2, 0.5, tensor({2}, f64));
  // x' = y, y' = -x: [1, -h; h, 1] x_k = [1, h; -h, 1] x_{k-1} with h = step / 2 = 1 turns by a right angle
  on("coupled equations", matrix({{0, 1}, {-1, 0}}), tensor({0, 0}, f64), tensor({1, 0}, f64), 0, 2,
     tensor({0, -1}, f64));
  on("coupled equations", matrix({{0, 1}, {0, 0}}), tensor({0, 1}, f64), tensor({0, 1}, f64), 2, 1,
     tensor({2, 3}, f64));

  const Tensor A = matrix({{-1, 2}, {-2, -0.5}}), B = tensor({1, 0.5}, f64),
               rest = solve(A, unsqueeze(-3. * B, 1)).squeeze(1);
  on("rest", A, B, rest, 3, 0.7, rest);
  const auto after_one = [&](int64_t steps) {
    Tensor x = tensor({1, -1}, f64);
    for (int64_t k = 0; k < steps; ++k) x = f(A, B, x, 0, 1 / double(steps));
    return x;
  };
  const Tensor exact = matmul(matrix_exp(A), tensor({1, -1}, f64));
  check.on("order", {{"A", A}, {"steps", "16, then 32, to time 1"}});
  const double coarse = max(abs(after_one(16) - exact)).item(), fine = max(abs(after_one(32) - exact)).item();
  check.holds(std::abs(coarse / fine - 4) < 0.3, show(coarse / fine) + " times the error", "about 4 times the error");
  const Tensor stiff = matrix({{-1000, 0}, {1, -1}});
  Tensor x = tensor({1, 1}, f64);
  for (int k = 0; k < 50; ++k) x = f(stiff, B, x, 0, 0.1);
  check.on("a stiff system", {{"A", stiff}, {"step", 0.1}, {"steps", 50.}});
  check.holds(max(abs(x)).item() < 1.1, show(x), "numbers that have not grown");
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = bilinear_step,
              .solution = solution::bilinear_step,
              .wrong = {{"forward Euler", "one equation", forward_euler::bilinear_step},
                        {"the input is added after solving", "one equation", input_outside::bilinear_step},
                        {"half the input", "one equation", half_the_input::bilinear_step},
                        {"only the diagonal counts", "coupled equations", element_by_element::bilinear_step}}});
}
