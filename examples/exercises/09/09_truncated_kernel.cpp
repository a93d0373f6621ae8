// Exercise: a kernel without powers of the matrix, one inverse at each root of unity.
// Note: docs/notes/09b_s4.md, exercise 2
//
// The kernel K_t = C A^t B of a system takes a product with A for each tap. Its sum with powers of a number z,
//
//   K_0 + K_1 z + .. + K_{L-1} z^{L-1} = C (1 - A^L z^L) (1 - z A)^{-1} B,
//
// takes none, and at z_l = e^{-2 pi i l / L}, l = 0 .. L - 1, where z^L = 1, it is the discrete Fourier transform of
// the kernel. So with the row D = C (1 - A^L), which does not depend on z,
//
//   K = inverse FFT of the L numbers D (1 - z_l A)^{-1} B.
//
// S4 learns D and so never needs A^L. Here D is given. One state, A = 1/2, B = 1, and L = 2: C = 1 has K = 1, 1/2 and
// D = 1 - 1/4 = 3/4. At z = 1: 3/4 / (1 - 1/2) = 3/2 = K_0 + K_1. At z = -1: 3/4 / (1 + 1/2) = 1/2 = K_0 - K_1.
//
// What the checks look at: one state; several states; any length: 1, odd, even, no power of two; gradients.
#include "examples/support/exercise/exercise.h"
#include "include/inkstone/ssm.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// A [n, n], B [n], D [n], real -> K [length].
Tensor truncated_kernel(const Tensor& A, const Tensor& B, const Tensor& D, int64_t length) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// polar(r, angle) makes complex numbers: the roots are polar(ones, -2 pi l / length), shaped [length, 1, 1] to multiply
// A.
//]
//[ hint
// solve(M, b) with M [length, n, n] and b [n, 1] solves one system for each root. B must be complex: B.to(c128).
//]
//[ hint
// The kernel is real(ifft(values)). (Half of the roots would do, as the others are their conjugates: irfft.)
//]

namespace solution {
//[ solution
Tensor truncated_kernel(const Tensor& A, const Tensor& B, const Tensor& D, int64_t length) {
  const Tensor angle = arange(0, length, 1, A.options()) * (-2 * 3.14159265358979323846 / double(length));
  const Tensor z = polar(ones_like(angle), angle).reshape({length, 1, 1}), one = eye(A.size(0), A.options());
  const Tensor x = solve(one - z * A, B.to(c128).reshape({1, -1, 1})).squeeze(-1);  // [length, n]
  return real(ifft(matmul(x, D.to(c128))));
}
//]
}  // namespace solution

//[ wrong
namespace other_direction {
Tensor truncated_kernel(const Tensor& A, const Tensor& B, const Tensor& D, int64_t length) {
  const Tensor angle = arange(0, length, 1, A.options()) * (2 * 3.14159265358979323846 / double(length));
  const Tensor z = polar(ones_like(angle), angle).reshape({length, 1, 1}), one = eye(A.size(0), A.options());
  return real(ifft(matmul(solve(one - z * A, B.to(c128).reshape({1, -1, 1})).squeeze(-1), D.to(c128))));
}
}  // namespace other_direction
namespace twice_truncated {
Tensor truncated_kernel(const Tensor& A, const Tensor& B, const Tensor& D, int64_t length) {
  return solution::truncated_kernel(A, B, D - matmul(D, matrix_power(A, length)), length);
}
}  // namespace twice_truncated
namespace by_powers {
Tensor truncated_kernel(const Tensor& A, const Tensor& B, const Tensor& D, int64_t length) {
  std::vector<Tensor> taps;
  Tensor x = B;
  for (int64_t t = 0; t < length; ++t) taps.push_back(dot(D, x)), x = matmul(A, x);
  return stack(taps, 0);
}
}  // namespace by_powers
namespace transposed {
Tensor truncated_kernel(const Tensor& A, const Tensor& B, const Tensor& D, int64_t length) {
  return solution::truncated_kernel(A.t(), B, D, length);
}
}  // namespace transposed
//]

namespace {

using Function = decltype(&truncated_kernel);

void checks(Check& check, Function f) {
  const auto on = [&](const char* property, const Tensor& A, const Tensor& B, const Tensor& C, int64_t length) {
    Tensor x = B, expected = zeros({length}, f64), power = eye(A.size(0), f64);
    for (int64_t t = 0; t < length; ++t) {
      expected[t].copy_(dot(C, x));
      x = matmul(A, x), power = matmul(power, A);
    }
    const Tensor D = C - matmul(C, power);
    check.on(property, {{"A", A}, {"B", B}, {"D", D}, {"length", double(length)}});
    check.close(f(A, B, D, length), expected, {1e-9, 1e-9}, "K");
  };
  const Tensor one = tensor({1}, f64);
  on("one state", matrix({{0.5}}), one, one, 2);
  on("one state", matrix({{-0.25}}), one, 3 * one, 3);
  const Tensor A = randn({5, 5}, f64) * 0.3, B = randn({5}, f64), C = randn({5}, f64);
  on("several states", matrix({{0.5, 0.25}, {0, 0.5}}), tensor({1, 2}, f64), tensor({1, -1}, f64), 4);
  for (int64_t length : {1, 2, 5, 6, 12, 31}) on("any length", A, B, C, length);
  check.on("gradients", {{"D", C}});
  check.holds(gradcheck1([&](const Tensor& in) { return f(A, B, in, 6); }, C.clone()),
              "the slopes found by central differences");
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = truncated_kernel,
              .solution = solution::truncated_kernel,
              .wrong = {{"powers, with D for C", "one state", by_powers::truncated_kernel},
                        {"D truncated once more", "one state", twice_truncated::truncated_kernel},
                        {"roots in the other direction", "one state", other_direction::truncated_kernel},
                        {"A transposed", "several states", transposed::truncated_kernel}}});
}
