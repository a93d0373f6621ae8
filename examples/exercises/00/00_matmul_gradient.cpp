// Exercise: the gradient of a matrix product, with operands that are shared over a batch.
// Note: docs/notes/00_first_steps.md, exercise 2
//
// C = A B with A [m, k] and B [k, n]. Somewhere behind C stands a loss L, and its gradient with respect to C has
// arrived: G = dL/dC, of C's shape. Element a_ip takes part in every c_ij of its row, with weight b_pj, so by the
// chain rule
//
//   dL/da_ip = sum_j g_ij b_pj          dL/db_pj = sum_i a_ip g_ij
//
// Both sums are matrix products again. Which operand is transposed follows from the shapes: dA has the shape of A, dB
// that of B.
//
//   A = [1 2]   B = [3]   C = [11]   G = [1]     dA = [3 4]   dB = [1]
//                   [4]                                           [2]
//
// Now let A be [batch, m, k] while B [k, n] has no batch: the same weights serve all samples. Each sample gives a
// gradient of shape [k, n], and as B took part in every one of them, they are added up. It is the rule of everything
// that was broadcast: what was repeated on the way forward is summed on the way back. Either operand may be the shared
// one; [1, k, n] is shared like [k, n].
//
// What the checks look at: values; shapes that are not square; shared operands; differences (against (L(a + h) - L(a -
// h)) / 2 h).
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
struct ProductGradients {
  Tensor a, b;
};

// a [..., m, k], b [..., k, n], g [..., m, n] -> dL/da and dL/db, of the shapes of a and b.
ProductGradients product_gradients(const Tensor& a, const Tensor& b, const Tensor& g) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// First for two dims. dL/da_ip = sum_j g_ij b_pj is row i of G against row p of B: the product of G and B transposed.
// x.transpose(-1, -2) swaps the last two dims.
//]
//[ hint
// dA = G B^T and dB = A^T G: the second is A^T times G in this order, since [k, m] times [m, n] is [k, n].
//]
//[ hint
// matmul broadcasts, so with a batch the same two lines give a gradient for each sample. sum_to(x, shape) sums over the
// dims in which x was broadcast from `shape`.
//]

namespace solution {
//[ solution
ProductGradients product_gradients(const Tensor& a, const Tensor& b, const Tensor& g) {
  Tensor da = matmul(g, b.transpose(-1, -2));  // one [m, k] for each sample
  Tensor db = matmul(a.transpose(-1, -2), g);  // one [k, n] for each sample
  return {sum_to(da, a.shape()), sum_to(db, b.shape())};
}
//]
}  // namespace solution

//[ wrong
namespace not_transposed {
ProductGradients product_gradients(const Tensor& a, const Tensor& b, const Tensor& g) {
  return {matmul(g, b), matmul(a, g)};
}
}  // namespace not_transposed
namespace other_way_round {
ProductGradients product_gradients(const Tensor& a, const Tensor& b, const Tensor& g) {
  return {matmul(g, b.transpose(-1, -2)), matmul(g.transpose(-1, -2), a)};
}
}  // namespace other_way_round
namespace mean_over_the_batch {
ProductGradients product_gradients(const Tensor& a, const Tensor& b, const Tensor& g) {
  Tensor da = matmul(g, b.transpose(-1, -2)), db = matmul(a.transpose(-1, -2), g);
  if (a.dim() < da.dim()) da = da.mean({0});
  if (b.dim() < db.dim()) db = db.mean({0});
  return {da, db};
}
}  // namespace mean_over_the_batch
//]

namespace {

using Function = decltype(&product_gradients);

// (L(x + h e) - L(x - h e)) / 2h for every element of x, where L = sum of g times the product.
Tensor differences(const std::function<Tensor(const Tensor&)>& product, const Tensor& x, const Tensor& g) {
  const double h = 1e-4;
  std::vector<double> slopes;
  for (int64_t i = 0; i < x.numel(); ++i) {
    Tensor step = (arange(x.numel()) == i).to(f64).reshape(x.shape()) * h;
    slopes.push_back(((product(x + step) - product(x - step)) * g).sum().item() / (2 * h));
  }
  return from_data(slopes, x.shape());
}

void checks(Check& check, Function f) {
  auto compare = [&](const char* property, const Tensor& a, const Tensor& b, const Tensor& g, const Tensor& da,
                     const Tensor& db) {
    check.on(property, {{"a", a}, {"b", b}, {"g", g}});
    ProductGradients got = f(a, b, g);
    check.close(got.a, da, {1e-6, 1e-6}, "da");
    check.close(got.b, db, {1e-6, 1e-6}, "db");
  };
  auto by_differences = [&](const char* property, const Shape& a_shape, const Shape& b_shape) {
    Tensor a = randint(-3, 4, a_shape).to(f64), b = randint(-3, 4, b_shape).to(f64);  // readable numbers
    Tensor g = randint(-3, 4, matmul(a, b).shape()).to(f64);
    compare(property, a, b, g, differences([&](const Tensor& x) { return matmul(x, b); }, a, g),
            differences([&](const Tensor& x) { return matmul(a, x); }, b, g));
  };
  compare("values", matrix({{1, 2}, {0, 1}}), matrix({{3, 0}, {4, 1}}), matrix({{1, 0}, {0, 2}}),
          matrix({{3, 4}, {0, 2}}), matrix({{1, 0}, {2, 2}}));
  by_differences("shapes that are not square", {1, 2}, {2, 1});
  by_differences("shapes that are not square", {2, 3}, {3, 4});
  by_differences("shared operands", {2, 1, 2}, {2, 1});
  by_differences("shared operands", {1, 2}, {3, 2, 1});
  by_differences("shared operands", {2, 1, 2}, {1, 2, 1});
  by_differences("differences", {3, 2, 4}, {3, 4, 2});
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = product_gradients,
              .solution = solution::product_gradients,
              .wrong = {{"nothing is transposed", "values", not_transposed::product_gradients},
                        {"dB comes out transposed", "values", other_way_round::product_gradients},
                        {"the batch is averaged", "shared operands", mean_over_the_batch::product_gradients}}});
}
