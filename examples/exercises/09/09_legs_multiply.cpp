// Exercise: HiPPO-LegS times a vector, in linear time and memory.
// Note: docs/notes/09a_hippo.md, exercise 1
//
// LegS remembers all of the past of a function by n Legendre coefficients x, which follow x' = (A x + B u) / t. With
// v_k = sqrt(2k + 1), k = 0 .. n - 1, its matrix is
//
//   A_jk = -v_j v_k for k < j,   -(j + 1) for k = j,   0 for k > j        (Gu et al. 2020)
//
// n^2 / 2 entries, but v is the only vector in it: A = diag(0, 1, 2, ...) - tril(v v^T), since v_j v_j = 2j + 1. So row
// j of A x needs nothing but x_j and the sum of v_k x_k up to j. With n = 3 and x = (1, 0, 0), then x = (1, 1, 1):
//
//   v = (1, 1.7321, 2.2361)    A x = (-1, -1.7321, -2.2361)
//                              A x = (-1, -3.7321, -9.1091)      row 1: 1 - 1.7321 (1 + 1.7321)
//
// What the checks look at: values; a batch in front; gradients; memory (no n x n matrix).
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// x [..., n] -> A x along the last dim, the same shape.
Tensor legs_product(const Tensor& x) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// S_j = S_{j-1} + v_j x_j is a running sum: cumsum(y, -1) makes all of them at once.
//]
//[ hint
// k = arange(0, x.size(-1), 1, x.options()) and v = sqrt(2 * k + 1) are [n] and broadcast against x [..., n].
//]

namespace solution {
//[ solution
Tensor legs_product(const Tensor& x) {
  const Tensor k = arange(0, x.size(-1), 1, x.options());
  const Tensor v = sqrt(2 * k + 1);
  return k * x - v * cumsum(v * x, -1);
}
//]
}  // namespace solution

//[ wrong
namespace dense_matrix {
Tensor legs_product(const Tensor& x) {
  const Tensor k = arange(0, x.size(-1), 1, x.options()), v = sqrt(2 * k + 1);
  return matmul(x, (diag(k) - tril(outer(v, v))).t());
}
}  // namespace dense_matrix
namespace own_term_twice {  // -(j + 1) is taken for what stands beside the sum
Tensor legs_product(const Tensor& x) {
  const Tensor k = arange(0, x.size(-1), 1, x.options()), v = sqrt(2 * k + 1);
  return -(k + 1) * x - v * cumsum(v * x, -1);
}
}  // namespace own_term_twice
namespace without_roots {
Tensor legs_product(const Tensor& x) {
  const Tensor k = arange(0, x.size(-1), 1, x.options()), v = 2 * k + 1;
  return k * x - cumsum(v * x, -1);
}
}  // namespace without_roots
namespace along_the_batch {
Tensor legs_product(const Tensor& x) {
  const Tensor k = arange(0, x.size(-1), 1, x.options()), v = sqrt(2 * k + 1);
  return k * x - v * cumsum(v * x, 0);
}
}  // namespace along_the_batch
//]

namespace {

// By the entries of A, one after the other.
Tensor by_entries(const Tensor& x) {
  const int64_t n = x.size(-1);
  Samples a;
  for (int64_t j = 0; j < n; ++j)
    for (int64_t k = 0; k < n; ++k)
      a.push_back(k < j ? -std::sqrt(double(2 * j + 1) * double(2 * k + 1)) : k == j ? -double(j + 1) : 0);
  return matmul(x, from_data(std::span<const double>(a), {n, n}).t());
}

void checks(Check& check, Tensor (*f)(const Tensor&)) {
  const auto on = [&](const char* property, const Tensor& x) {
    check.on(property, {{"x", x}});
    check.close(f(x), by_entries(x), {1e-9, 1e-9}, "A x");
  };
  on("values", tensor({3}, f64));
  on("values", tensor({1, 0, 0}, f64));
  on("values", tensor({1, 1, 1}, f64));
  on("values", tensor({0, 0, 1}, f64));
  on("values", randn({30}, f64));
  on("a batch", matrix({{1, 0}, {0, 1}}));
  on("a batch", randn({2, 3, 5}, f64));
  const Tensor x = randn({2, 4}, f64);
  check.on("gradients", {{"x", x}});
  check.holds(gradcheck1([&](const Tensor& in) { return f(in); }, x), "the slopes found by central differences");
  NoGrad guard;
  const int64_t n = 1000;
  const Tensor large = randn({n}, f64);
  check.on("memory", {{"x", "1000 numbers in f64"}});
  const int64_t bytes = peak_bytes([&] { f(large); });
  check.holds(bytes < n * n, std::to_string(bytes) + " bytes at the peak",
              "less than " + std::to_string(n * n) + " bytes, an eighth of what A takes");
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = legs_product,
              .solution = solution::legs_product,
              .wrong = {{"the matrix is made", "memory", dense_matrix::legs_product},
                        {"the diagonal counts twice", "values", own_term_twice::legs_product},
                        {"2k + 1 instead of its root", "values", without_roots::legs_product},
                        {"the sum runs along dim 0", "a batch", along_the_batch::legs_product}}});
}
