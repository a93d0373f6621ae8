// Exercise: a rational transfer function as a recurrence.
// Note: docs/notes/09b_s4.md, exercise 3
//
// RTF computes a kernel of L taps as the inverse FFT of a quotient of polynomials at the roots of unity,
//
//   K = IFFT(FFT(b_1, .., b_d, 0, ..) / FFT(1, a_1, .., a_d, 0, ..)),
//
// and to go on step by step it needs a recurrence with the same kernel. Its matrix A [d, d] has -a in its first row,
// ones below the diagonal and 0 elsewhere, so that the state is a shift register:
//
//   x_k = A x_{k-1} + (1, 0, .., 0) u_k      y_k = C x_k
//
// The row C is not b: b belongs to the first L taps alone, b = C (1 - A^L). So C is the row that solves C (1 - A^L) =
// b. With d = 1, a = -1/2 (the pole 1/2), b = 3/4 and L = 2: A = 1/2, C (1 - 1/4) = 3/4, C = 1, and the input 1, 0, 0
// gives 1, 1/2, 1/4: the first two are the kernel.
//
// What the checks look at: one pole; several poles; beyond the length; steps against the quotient of FFTs; gradients.
#include "examples/support/exercise/exercise.h"
#include "include/inkstone/ssm.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// a, b [d], u [n] -> y [n]; b belongs to `length` taps. n may be larger.
Tensor rational_steps(const Tensor& a, const Tensor& b, const Tensor& u, int64_t length) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// A is cat({row -a, eye(d) without its last row}, 0). matrix_power(A, length) is A^length.
//]
//[ hint
// C M = b is M^T C^T = b^T: solve(transpose(M, 0, 1), unsqueeze(b, 1)) and squeeze it. M is not symmetric.
//]
//[ hint
// The new state: u_k - dot(a, x) in front, then x without its last number. y_k = dot(C, x) with the new x.
//]

namespace solution {
//[ solution
Tensor rational_steps(const Tensor& a, const Tensor& b, const Tensor& u, int64_t length) {
  const int64_t d = a.size(0);
  const Tensor one = eye(d, a.options()), A = cat({unsqueeze(-a, 0), slice(one, 0, 0, d - 1)}, 0);
  const Tensor C = squeeze(solve(transpose(one - matrix_power(A, length), 0, 1), unsqueeze(b, 1)), 1);
  Tensor x = zeros({d}, a.options());
  std::vector<Tensor> y;
  for (int64_t k = 0; k < u.size(0); ++k) {
    x = cat({unsqueeze(u[k] - dot(a, x), 0), slice(x, 0, 0, d - 1)}, 0);
    y.push_back(dot(C, x));
  }
  return stack(y, 0);
}
//]
}  // namespace solution

//[ wrong
namespace shared {
Tensor steps(const Tensor& a, const Tensor& C, const Tensor& u, double sign) {
  Tensor x = zeros({a.size(0)}, a.options());
  std::vector<Tensor> y;
  for (int64_t k = 0; k < u.size(0); ++k) {
    x = cat({unsqueeze(u[k] - dot(a, x) * sign, 0), slice(x, 0, 0, a.size(0) - 1)}, 0);
    y.push_back(dot(C, x));
  }
  return stack(y, 0);
}
Tensor minus_power(const Tensor& a, int64_t length) {
  const Tensor one = eye(a.size(0), a.options());
  return one - matrix_power(cat({unsqueeze(-a, 0), slice(one, 0, 0, a.size(0) - 1)}, 0), length);
}
}  // namespace shared
namespace b_for_c {
Tensor rational_steps(const Tensor& a, const Tensor& b, const Tensor& u, int64_t) { return shared::steps(a, b, u, 1); }
}  // namespace b_for_c
namespace as_a_column {
Tensor rational_steps(const Tensor& a, const Tensor& b, const Tensor& u, int64_t length) {
  return shared::steps(a, squeeze(solve(shared::minus_power(a, length), unsqueeze(b, 1)), 1), u, 1);
}
}  // namespace as_a_column
namespace wrong_sign {
Tensor rational_steps(const Tensor& a, const Tensor& b, const Tensor& u, int64_t length) {
  const Tensor C = squeeze(solve(transpose(shared::minus_power(a, length), 0, 1), unsqueeze(b, 1)), 1);
  return shared::steps(a, C, u, -1);
}
}  // namespace wrong_sign
namespace only_the_kernel {
Tensor rational_steps(const Tensor& a, const Tensor& b, const Tensor& u, int64_t length) {
  const Tensor quotient = rfft(b, length) / rfft(cat({ones({1}, a.options()), a}, 0), length);
  return causal_convolution(u, irfft(quotient, length));
}
}  // namespace only_the_kernel
//]

namespace {

using Function = decltype(&rational_steps);

void checks(Check& check, Function f) {
  const auto on = [&](const char* property, const Tensor& a, const Tensor& C, const Tensor& u, int64_t length) {
    const Tensor M = shared::minus_power(a, length), b = matmul(C, M);
    check.on(property, {{"a", a}, {"b", b}, {"u", u}, {"length", double(length)}});
    check.close(f(a, b, u, length), shared::steps(a, C, u, 1), {1e-9, 1e-9}, "y");
  };
  const Tensor impulse = tensor({1, 0, 0}, f64);
  on("one pole", tensor({-0.5}, f64), tensor({1}, f64), slice(impulse, 0, 0, 2), 2);
  on("one pole", tensor({0.25}, f64), tensor({2}, f64), tensor({1, -1, 2}, f64), 4);
  on("several poles", tensor({-0.5, 0.25}, f64), tensor({1, 2}, f64), impulse, 3);
  on("several poles", randn({4}, f64) * 0.2, randn({4}, f64), randn({7}, f64), 8);
  on("beyond the length", tensor({-0.9}, f64), tensor({1}, f64), ones({9}, f64), 3);
  const Tensor a = randn({3}, f64) * 0.2, b = randn({3}, f64), u = randn({8}, f64);
  check.on("against the quotient of FFTs", {{"a", a}, {"b", b}, {"u", u}, {"length", 8.}});
  check.close(f(a, b, u, 8), only_the_kernel::rational_steps(a, b, u, 8), {1e-9, 1e-9}, "y");
  check.on("gradients", {{"a", a}, {"b", b}});
  check.holds(gradcheck1([&](const Tensor& in) { return f(in, b, u, 8); }, a.clone()), "the slopes to a");
  check.holds(gradcheck1([&](const Tensor& in) { return f(a, in, u, 8); }, b.clone()), "the slopes to b");
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = rational_steps,
              .solution = solution::rational_steps,
              .wrong = {{"b in the place of C", "one pole", b_for_c::rational_steps},
                        {"the feedback with the other sign", "one pole", wrong_sign::rational_steps},
                        {"C solved for as a column", "several poles", as_a_column::rational_steps},
                        {"the first taps only", "beyond the length", only_the_kernel::rational_steps}}});
}
