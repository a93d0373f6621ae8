// Exercise: the implicit loss of score matching for a linear field.
// Note: docs/notes/05_score_smld.md, exercise 1
//
// A field s(x) is to be near the score grad log p of data whose density nobody knows. Integration by parts (Hyvarinen
// 2005) turns 1/2 E |s - grad log p|^2, up to a number that does not depend on s, into
//
//   J(s) = E [ 1/2 |s(x)|^2 + tr(ds/dx) ],   tr(ds/dx) = sum_i ds_i/dx_i,
//
// a mean over the data alone. Write it for the linear field s(x) = A x + b. One point x = (1, 2), A = [[-1, 0], [0,
// -2]], b = (0, 1):
//
//   s = (-1, -3)    |s|^2 / 2 = 5    trace = -3    J = 2
//
// J is least where the field is the score of a Gaussian with the data's mean and covariance: A = -C^{-1}.
//
// What the checks look at: one point; values; gradients (through your ops); where it is least.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// points x [n, d], A [d, d], b [d] -> J, a tensor of no dims.
Tensor implicit_loss(const Tensor& x, const Tensor& A, const Tensor& b) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// All fields at once: matmul(x, A.t()) + b is s at every point, [n, d].
//]
//[ hint
// The derivative of s_i by x_i is A_ii, at every point: the trace needs no autograd. trace(A) or diagonal(A).sum().
//]
//[ hint
// The mean is over points only: sum the squares of a point's coordinates, halve, and take the mean of n numbers.
//]

namespace solution {
//[ solution
Tensor implicit_loss(const Tensor& x, const Tensor& A, const Tensor& b) {
  const Tensor s = matmul(x, A.t()) + b;
  const Tensor half_square = sum(square(s), {1}) / 2;
  const Tensor slope = diagonal(A).sum();
  return half_square.mean() + slope;
}
//]
}  // namespace solution

//[ wrong
namespace no_trace {
Tensor implicit_loss(const Tensor& x, const Tensor& A, const Tensor& b) {
  return sum(square(matmul(x, A.t()) + b), {1}).mean() / 2;
}
}  // namespace no_trace
namespace mean_of_elements {
Tensor implicit_loss(const Tensor& x, const Tensor& A, const Tensor& b) {
  return square(matmul(x, A.t()) + b).mean() / 2 + diagonal(A).sum();
}
}  // namespace mean_of_elements
namespace transposed {
Tensor implicit_loss(const Tensor& x, const Tensor& A, const Tensor& b) {
  return sum(square(matmul(x, A) + b), {1}).mean() / 2 + diagonal(A).sum();
}
}  // namespace transposed
namespace whole_square {
Tensor implicit_loss(const Tensor& x, const Tensor& A, const Tensor& b) {
  return sum(square(matmul(x, A.t()) + b), {1}).mean() + diagonal(A).sum();
}
}  // namespace whole_square
//]

namespace {

using Function = decltype(&implicit_loss);

// The definition, a point and a coordinate at a time.
double by_hand(const Tensor& x, const Tensor& A, const Tensor& b) {
  double loss = 0;
  const int64_t n = x.size(0), d = x.size(1);
  for (int64_t p = 0; p < n; ++p)
    for (int64_t i = 0; i < d; ++i) {
      double s = b[i].item();
      for (int64_t j = 0; j < d; ++j) s += A[i][j].item() * x[p][j].item();
      loss += (s * s / 2 + A[i][i].item()) / double(n);
    }
  return loss;
}

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Tensor& x, const Tensor& A, const Tensor& b) {
    check.on(property, {{"x", x}, {"A", A}, {"b", b}});
    check.close(f(x, A, b), full({}, by_hand(x, A, b), f64), {1e-9, 1e-9}, "J");
  };
  on("one point", matrix({{1, 2}}), matrix({{-1, 0}, {0, -2}}), tensor({0.0, 1.0}, f64));
  on("values", matrix({{1, 2}, {3, -1}}), matrix({{-1, 0.5}, {0, -2}}), tensor({0.0, 1.0}, f64));
  on("values", randn({20, 3}, f64), randn({3, 3}, f64), randn({3}, f64));

  const Tensor x = randn({5, 2}, f64), A = randn({2, 2}, f64), b = randn({2}, f64);
  check.on("gradients", {{"x", x}, {"A", A}, {"b", b}});
  check.holds(gradcheck1([&](const Tensor& in) { return f(x, in, b); }, A), "the slopes found by central differences");

  const Tensor y = randn({200, 2}, f64), centred = y - y.mean({0}), C = matmul(centred.t(), centred) / 200;
  const Tensor best = -inverse(C), shift = -matmul(best, y.mean({0}));
  check.on("where it is least", {{"A", best}, {"b", shift}});
  const double least = f(y, best, shift).item();
  check.holds(least < f(y, 1.1 * best, 1.1 * shift).item() && least < f(y, 0.9 * best, 0.9 * shift).item(),
              "J at -C^{-1}: " + std::to_string(least), "less than at 0.9 and at 1.1 times that field");
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = implicit_loss,
              .solution = solution::implicit_loss,
              .wrong = {{"the trace is left out", "one point", no_trace::implicit_loss},
                        {"a mean over coordinates too", "one point", mean_of_elements::implicit_loss},
                        {"A transposed", "values", transposed::implicit_loss},
                        {"the square is not halved", "one point", whole_square::implicit_loss}}});
}
