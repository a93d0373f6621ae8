// Exercise: Linformer: keys and values mixed down to a few rows.
// Note: docs/notes/11_efficient_attention.md, exercise 3
//
// Softmax attention's n x n matrix is often close to one of low rank. Linformer (Wang et al. 2020, eq. 7) uses that:
// two learned matrices E and F of m rows mix the n keys and the n values into m of each, and attention runs over those:
//
//   O = softmax(Q (E K)^T / sqrt(d)) (F V)          [n, m] weights instead of [n, n]
//
// E and F are made for the longest text, [m, longest]. For a shorter one of n tokens only their first n columns are
// used. The softmax runs over the m mixtures. Which of the products comes first is the whole point: E K is [m, d].
//
// n = 2, m = 1, d = 4, E = [1 1], F = [0.5 0.5], V = 10, 30: the only mixture of values is 20, one weight is 1 whatever
// the scores, and so O = 20 for every query. With E = F = identity (m = n) it is softmax attention.
//
// Each mixture holds later tokens as well as earlier ones, so there is no causal form.
//
// What the checks look at: one mixture; E and F; the scale; as many mixtures as tokens; a shorter text; memory
// (no n x n matrix).
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// q, k [n, d], v [n, dv], e and f [m, longest] with n <= longest -> O [n, dv].
Tensor linformer(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& e, const Tensor& f) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// e.narrow(1, 0, n) are the first n columns of e. softmax(x, 1) runs along the rows of a matrix.
//]
//[ hint
// First matmul(e, k), which is [m, d]; then the scores of q with it, [n, m], divided by the square root of d
// (not of m).
//]

namespace solution {
//[ solution
Tensor linformer(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& e, const Tensor& f) {
  const int64_t n = k.size(0);
  Tensor keys = matmul(e.narrow(1, 0, n), k), values = matmul(f.narrow(1, 0, n), v);  // [m, d], [m, dv]
  Tensor scores = matmul(q, keys.t()) / std::sqrt(double(q.size(1)));
  return matmul(softmax(scores, 1), values);
}
//]
}  // namespace solution

//[ wrong
namespace one_matrix_for_both {
Tensor linformer(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& e, const Tensor&) {
  return solution::linformer(q, k, v, e, e);
}
}  // namespace one_matrix_for_both
namespace exchanged {
Tensor linformer(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& e, const Tensor& f) {
  return solution::linformer(q, k, v, e, e.size(0) == 1 ? f : flip(f, {0}));
}
}  // namespace exchanged
namespace without_scale {
Tensor linformer(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& e, const Tensor& f) {
  return solution::linformer(q * std::sqrt(double(q.size(1))), k, v, e, f);
}
}  // namespace without_scale
namespace last_columns {
Tensor linformer(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& e, const Tensor& f) {
  const int64_t n = k.size(0), from = e.size(1) - n;
  return solution::linformer(q, k, v, e.narrow(1, from, n), f.narrow(1, from, n));
}
}  // namespace last_columns
namespace all_scores_first {
Tensor linformer(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& e, const Tensor& f) {
  const int64_t n = k.size(0);
  Tensor scores = matmul(q, k.t()) / std::sqrt(double(q.size(1)));  // [n, n]
  return matmul(softmax(matmul(scores, e.narrow(1, 0, n).t()), 1), matmul(f.narrow(1, 0, n), v));
}
}  // namespace all_scores_first
//]

namespace {

using Function = decltype(&linformer);

// The definition, number by number: the score of a mixture is the mixture of the scores.
Tensor by_definition(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& e, const Tensor& f) {
  const int64_t n = k.size(0), m = e.size(0);
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < q.size(0); ++i) {
    double sum = 0;
    Tensor row = zeros({v.size(1)}, f64);
    for (int64_t r = 0; r < m; ++r) {
      double score = 0;
      Tensor value = zeros({v.size(1)}, f64);
      for (int64_t j = 0; j < n; ++j) {
        score += e[r][j].item() * dot(q[i], k[j]).item();
        value = value + v[j] * f[r][j].item();
      }
      const double weight = std::exp(score / std::sqrt(double(q.size(1))));
      sum += weight;
      row = row + value * weight;
    }
    rows.push_back(row / sum);
  }
  return stack(rows, 0);
}

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& e,
                const Tensor& mix) {
    check.on(property, {{"q", q}, {"k", k}, {"v", v}, {"e", e}, {"f", mix}});
    check.close(f(q, k, v, e, mix), by_definition(q, k, v, e, mix), {1e-9, 1e-9}, "O");
  };
  auto random = [](int64_t rows, int64_t columns) { return randn({rows, columns}, f64) * 0.3; };
  const Tensor q = matrix({{1}, {2}}), k = matrix({{1}, {0}}), v = matrix({{10}, {30}});
  on("one mixture", q, k, v, matrix({{1, 1}}), matrix({{1, 1}}));
  on("E and F", q, k, v, matrix({{1, 1}}), matrix({{0.5, 0.5}}));
  on("E and F", q, k, v, matrix({{1, 1}, {0, 1}}), matrix({{1, 0}, {0, 2}}));
  on("E and F", random(6, 1), random(6, 1), random(6, 2), random(3, 6), random(3, 6));
  on("the scale", matrix({{2, 0, 0, 0}}), matrix({{1, 0, 0, 0}, {0, 0, 0, 0}}), v, eye(2, f64), eye(2, f64));
  on("the scale", random(6, 9), random(6, 9), random(6, 2), random(3, 6), random(3, 6));

  Tensor a = random(5, 3), b = random(5, 3), c = random(5, 2);
  check.on("as many mixtures as tokens", {{"q", a}, {"k", b}, {"v", c}, {"e = f", eye(5, f64)}});
  check.close(f(a, b, c, eye(5, f64), eye(5, f64)), scaled_dot_product_attention(a, b, c), {1e-9, 1e-9}, "O");
  on("a shorter text", q, k, v, matrix({{1, 1, 9}, {0, 1, 9}}), matrix({{1, 0, 9}, {0, 2, 9}}));
  on("a shorter text", random(6, 3), random(6, 3), random(6, 2), random(3, 10), random(3, 10));

  NoGrad guard;
  const int64_t n = 1024, n_by_n = n * n * 8;
  Tensor large = random(n, 4), mix = random(8, n);
  check.on("memory", {{"q = k = v", "1024 rows of 4 numbers in f64"}, {"e = f", mix}});
  const int64_t bytes = peak_bytes([&] { f(large, large, large, mix, mix); });
  check.holds(bytes < n_by_n / 8, std::to_string(bytes) + " bytes at the peak",
              "less than an eighth of an n x n matrix, " + std::to_string(n_by_n / 8) + " bytes");
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = linformer,
              .solution = solution::linformer,
              .wrong = {{"E for the values too", "E and F", one_matrix_for_both::linformer},
                        {"values in another order than keys", "E and F", exchanged::linformer},
                        {"no 1 / sqrt(d)", "the scale", without_scale::linformer},
                        {"the last columns of E and F", "a shorter text", last_columns::linformer},
                        {"the scores of all pairs first", "memory", all_scores_first::linformer}}});
}
