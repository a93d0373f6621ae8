// Exercise: linear attention as a recurrent net, token by token.
// Note: docs/notes/06_linear_attention.md, exercise 1
//
// Softmax attention weighs key j by e^{q_i . k_j}. Put a product of features in its place, phi(q_i) . phi(k_j), with
// phi(x) = elu(x) + 1, which is x + 1 above 0 and e^x below, and always positive (Katharopoulos et al. 2020). Then
//
//   o_i = sum_{j<=i} (phi(q_i) . phi(k_j)) v_j / sum_{j<=i} phi(q_i) . phi(k_j)
//
// and phi(q_i) can be taken out of both sums. What is left inside does not depend on the query and runs along
// with the tokens:
//
//   S_i = S_{i-1} + phi(k_i) v_i^T      z_i = z_{i-1} + phi(k_i)      o_i = phi(q_i)^T S_i / (phi(q_i) . z_i)
//
// This is a recurrent net: its state, S [d, dv] and z [d], is as large after a million tokens as after one. With d = dv
// = 1, q = 0 everywhere (phi = 1), k = 0, 1 (phi = 1, 2) and v = 10, 40:
//
//   token 0    S = 10             z = 1    o = 10          a token that sees only itself returns its own value
//   token 1    S = 10 + 80 = 90   z = 3    o = 30          the weights are 1/3 and 2/3
//
// What the checks look at: the first token; values; causality; gradients (autograd runs through your ops); memory (no
// state is kept for every token: n d dv numbers are what the usual "cumulative sum" costs).
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// q, k [n, d], v [n, dv] -> o [n, dv].
Tensor linear_rnn(const Tensor& q, const Tensor& k, const Tensor& v) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// elu(x) + 1 is phi. Begin with S = zeros({d, dv}, v.options()) and z = zeros({d}, v.options()); q[t] is row t of q.
//]
//[ hint
// outer(a, b) is a b^T, matmul(a, S) of a vector [d] and S [d, dv] is a^T S, dot(a, b) is a . b.
//]
//[ hint
// In each step first write token t into S and z, then read: a token sees itself. Collect the rows in a
// std::vector<Tensor> and stack(rows, 0). Write S = S + ..., not S += ...: autograd needs the old S.
//]

namespace solution {
//[ solution
Tensor linear_rnn(const Tensor& q, const Tensor& k, const Tensor& v) {
  Tensor s = zeros({k.size(1), v.size(1)}, v.options()), z = zeros({k.size(1)}, v.options());
  std::vector<Tensor> rows;
  for (int64_t t = 0; t < q.size(0); ++t) {
    Tensor fq = elu(q[t]) + 1, fk = elu(k[t]) + 1;
    s = s + outer(fk, v[t]);
    z = z + fk;
    rows.push_back(matmul(fq, s) / dot(fq, z));
  }
  return stack(rows, 0);
}
//]
}  // namespace solution

//[ wrong
namespace read_before_write {
Tensor linear_rnn(const Tensor& q, const Tensor& k, const Tensor& v) {
  Tensor s = zeros({k.size(1), v.size(1)}, v.options()), z = zeros({k.size(1)}, v.options());
  std::vector<Tensor> rows;
  for (int64_t t = 0; t < q.size(0); ++t) {
    Tensor fq = elu(q[t]) + 1, fk = elu(k[t]) + 1;
    rows.push_back(matmul(fq, s) / dot(fq, z));
    s = s + outer(fk, v[t]), z = z + fk;
  }
  return stack(rows, 0);
}
}  // namespace read_before_write
namespace without_denominator {
Tensor linear_rnn(const Tensor& q, const Tensor& k, const Tensor& v) {
  return causal_linear_attention(elu(q) + 1, elu(k) + 1, v);
}
}  // namespace without_denominator
namespace divided_by_count {
Tensor linear_rnn(const Tensor& q, const Tensor& k, const Tensor& v) {
  Tensor fq = elu(q) + 1, fk = elu(k) + 1, count = arange(1, q.size(0) + 1, 1, q.options()).unsqueeze(1);
  return causal_linear_attention(fq, fk, v) / (count * sum(fq * fk, {1}, true));
}
}  // namespace divided_by_count
namespace every_state_kept {
Tensor linear_rnn(const Tensor& q, const Tensor& k, const Tensor& v) {
  Tensor fq = elu(q) + 1, fk = elu(k) + 1;
  Tensor s = cumsum(fk.unsqueeze(2) * v.unsqueeze(1), 0), z = cumsum(fk, 0);  // [n, d, dv], [n, d]
  return matmul(fq.unsqueeze(1), s).squeeze(1) / sum(fq * z, {1}, true);
}
}  // namespace every_state_kept
//]

namespace {

using Function = decltype(&linear_rnn);

// The definition: all pairs, with their weights.
Tensor all_pairs(const Tensor& q, const Tensor& k, const Tensor& v) {
  Tensor weights = tril(matmul(elu(q) + 1, (elu(k) + 1).t()));
  return matmul(weights / sum(weights, {1}, true), v);
}

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Tensor& q, const Tensor& k, const Tensor& v) {
    check.on(property, {{"q", q}, {"k", k}, {"v", v}});
    check.close(f(q, k, v), all_pairs(q, k, v), {1e-9, 1e-9}, "o");
  };
  on("the first token", matrix({{0}}), matrix({{1}}), matrix({{10}}));
  on("the first token", matrix({{1, -1}}), matrix({{-2, 3}}), matrix({{10, 20, 30}}));
  on("values", matrix({{0}, {0}}), matrix({{0}, {1}}), matrix({{10}, {40}}));
  on("values", matrix({{-1}, {1}, {0}}), matrix({{0}, {-1}, {2}}), matrix({{1}, {2}, {3}}));
  on("values", randn({40, 5}, f64), randn({40, 5}, f64), randn({40, 3}, f64));

  Tensor x = randn({6, 2}, f64);
  check.on("causality", {{"q = k = v", x}});
  check.holds(verify::causality([&](const Tensor& in) { return f(in, in, in); }, x, 0),
              "row t depends on tokens 0 .. t only");
  check.on("gradients", {{"q = k = v", x}});
  check.holds(gradcheck1([&](const Tensor& in) { return f(in, in, in); }, x),
              "the slopes found by central differences");

  NoGrad guard;
  const int64_t n = 400, d = 32, states = n * d * d * 8;
  Tensor q = randn({n, d}, f64), k = randn({n, d}, f64), v = randn({n, d}, f64);
  check.on("memory", {{"q, k, v", "400 rows of 32 numbers in f64"}});
  const int64_t bytes = peak_bytes([&] { f(q, k, v); });
  check.holds(bytes < states / 4, std::to_string(bytes) + " bytes at the peak",
              "less than a quarter of what all states take, " + std::to_string(states / 4) + " bytes");
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = linear_rnn,
              .solution = solution::linear_rnn,
              .wrong = {{"a token does not see itself", "the first token", read_before_write::linear_rnn},
                        {"no denominator", "the first token", without_denominator::linear_rnn},
                        {"divided by the number of tokens", "values", divided_by_count::linear_rnn},
                        {"the states of all tokens at once", "memory", every_state_kept::linear_rnn}}});
}
