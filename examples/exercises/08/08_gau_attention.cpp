// Exercise: the attention of the gated attention unit, and by what its weights are divided.
// Note: docs/notes/08_gau_flash.md, exercise 1
//
// GAU (Hua et al. 2022) has one head and no softmax. Its weights are squares of what is positive in the scores:
//
//   A_ij = relu(q_i . k_j)^2 / (s c_i)          O = A V
//
// s is the width of queries and keys, and c_i the number of keys that query i may see: n without a mask, and i + 1 in
// row i of a causal layer, counted from 0. Both factors have a reason. A score of s products of numbers of size 1 has
// size sqrt(s), its square s: dividing by s keeps a weight at size 1 whatever the width. A row has c_i weights:
// dividing by c_i keeps the row's sum. n in the place of c_i, as some sources have it, makes row 3 of a causal layer
// depend on how long the text will become, and then the layer cannot write a text token by token.
//
// Two tokens, s = 4, q_0 = q_1 = (2, 0, 0, 0), k_0 = (1, 0, 0, 0), k_1 = (-1, 3, 0, 0), v = 10, 20:
//
//   scores       2 -2       squares of what is positive     4 0
//                2 -2                                       4 0
//   causal       A = 4 / (4 1)             O = 10           row 0 sees one key
//                    4 / (4 2)  0              5            row 1 sees two, even though one of them weighs nothing
//
// What the checks look at: one token; negative scores; the scale 1 / s; the count of keys; causal rows; causality; a
// longer text.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// q, k [n, s], v [n, e] -> O [n, e]. causal: query i sees keys 0 .. i.
Tensor gau_attention(const Tensor& q, const Tensor& k, const Tensor& v, bool causal) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// relu(x), square(x) and matmul(q, k.t()) make the weights before their division. Dividing a tensor by a number or by
// a tensor [n, 1], one number a row, is `/`.
//]
//[ hint
// Without softmax a hidden pair is simply a weight of 0: tril(x) keeps what lies on and below the diagonal.
//]
//[ hint
// arange(1, n + 1, 1, q.options()).unsqueeze(1) holds 1 ... n as a column: the counts of causal rows.
//]

namespace solution {
//[ solution
Tensor gau_attention(const Tensor& q, const Tensor& k, const Tensor& v, bool causal) {
  const int64_t n = q.size(0), s = q.size(1);
  Tensor weights = square(relu(matmul(q, k.t()))) / double(s);
  if (!causal) return matmul(weights / double(n), v);
  Tensor count = arange(1, n + 1, 1, q.options()).unsqueeze(1);
  return matmul(tril(weights) / count, v);
}
//]
}  // namespace solution

//[ wrong
namespace square_of_negative {
Tensor gau_attention(const Tensor& q, const Tensor& k, const Tensor& v, bool causal) {
  Tensor weights = square(matmul(q, k.t())) / double(q.size(1) * q.size(0));
  return matmul(causal ? tril(weights) : weights, v);
}
}  // namespace square_of_negative
namespace scaled_before_the_square {
Tensor gau_attention(const Tensor& q, const Tensor& k, const Tensor& v, bool causal) {
  return solution::gau_attention(q, k, v, causal) / double(q.size(1));
}
}  // namespace scaled_before_the_square
namespace root_of_s {
Tensor gau_attention(const Tensor& q, const Tensor& k, const Tensor& v, bool causal) {
  return solution::gau_attention(q, k, v, causal) * std::sqrt(double(q.size(1)));
}
}  // namespace root_of_s
namespace divided_by_length {
Tensor gau_attention(const Tensor& q, const Tensor& k, const Tensor& v, bool causal) {
  Tensor weights = square(relu(matmul(q, k.t()))) / double(q.size(1) * q.size(0));
  return matmul(causal ? tril(weights) : weights, v);
}
}  // namespace divided_by_length
namespace counts_what_is_positive {
Tensor gau_attention(const Tensor& q, const Tensor& k, const Tensor& v, bool causal) {
  Tensor weights = square(relu(matmul(q, k.t()))) / double(q.size(1));
  if (causal) weights = tril(weights);
  Tensor count = sum((weights > 0).to(q.dtype()), {1}, true);
  return matmul(weights / clamp(count, 1), v);
}
}  // namespace counts_what_is_positive
//]

namespace {

using Function = decltype(&gau_attention);

// The definition, pair by pair.
Tensor by_definition(const Tensor& q, const Tensor& k, const Tensor& v, bool causal) {
  const int64_t n = q.size(0), s = q.size(1);
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t visible = causal ? i + 1 : n;
    Tensor row = zeros({v.size(1)}, f64);
    for (int64_t j = 0; j < visible; ++j) {
      const double score = std::max(dot(q[i], k[j]).item(), 0.0);
      row = row + v[j] * (score * score / double(s * visible));
    }
    rows.push_back(row);
  }
  return stack(rows, 0);
}

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Tensor& q, const Tensor& k, const Tensor& v, bool causal) {
    check.on(property, {{"q", q}, {"k", k}, {"v", v}, {"causal", std::string(causal ? "true" : "false")}});
    check.close(f(q, k, v, causal), by_definition(q, k, v, causal), {1e-9, 1e-9}, "O");
  };
  on("one token", matrix({{2}}), matrix({{3}}), matrix({{10}}), false);
  on("negative scores", matrix({{2}}), matrix({{-3}}), matrix({{10}}), false);
  on("the scale 1 / s", matrix({{2, 0, 0, 0}}), matrix({{1, 0, 0, 0}}), matrix({{10}}), false);
  on("the count of keys", matrix({{1}, {2}}), matrix({{1}, {1}}), matrix({{10}, {20}}), false);
  on("the count of keys", matrix({{1}, {2}}), matrix({{1}, {-1}}), matrix({{10}, {20}}), false);
  on("causal rows", matrix({{1}, {2}}), matrix({{1}, {1}}), matrix({{10}, {20}}), true);
  on("causal rows", randn({9, 4}, f64), randn({9, 4}, f64), randn({9, 3}, f64), true);

  Tensor x = randn({6, 2}, f64);
  check.on("causality", {{"q = k = v", x}, {"causal", std::string("true")}});
  check.holds(verify::causality([&](const Tensor& in) { return f(in, in, in, true); }, x, 0),
              "row t depends on tokens 0 .. t only");
  check.on("a longer text", {{"q = k = v", x}, {"causal", std::string("true")}});
  check.close(f(x, x, x, true).narrow(0, 0, 3), f(x.narrow(0, 0, 3), x.narrow(0, 0, 3), x.narrow(0, 0, 3), true),
              "the first three rows");
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = gau_attention,
              .solution = solution::gau_attention,
              .wrong = {{"the square of negative scores counts", "negative scores", square_of_negative::gau_attention},
                        {"1 / s inside the square", "the scale 1 / s", scaled_before_the_square::gau_attention},
                        {"1 / sqrt(s), as under a softmax", "the scale 1 / s", root_of_s::gau_attention},
                        {"only keys of positive weight are counted", "the count of keys",
                         counts_what_is_positive::gau_attention},
                        {"causal rows divided by n", "causal rows", divided_by_length::gau_attention}}});
}
