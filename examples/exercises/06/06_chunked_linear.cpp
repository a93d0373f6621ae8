// Exercise: causal linear attention in chunks, pairs inside and a state between.
// Note: docs/notes/06_linear_attention.md, exercise 2
//
// Without softmax and denominator causal attention is
//
//   o_i = sum_{j<=i} (q_i . k_j) v_j
//
// As a matrix of pairs it costs n^2; as a recurrent net, S += k_i v_i^T and o_i = q_i^T S, it costs n, but takes n
// steps one after the other. The form in between cuts the line into chunks of c tokens (Hua et al. 2022, section 3.2).
// For the rows of one chunk, Q, K, V,
//
//   O = tril(Q K^T) V + Q S          then   S <- S + K^T V
//
// The first term are the pairs inside the chunk, row i up to column i; the second is everything before the chunk, which
// stands in S [d, dv]; then the chunk itself enters S. Two products of a size that a processor likes, n / c steps.
//
// With c = 2, d = dv = 1, all q = k = 1 and v = 1 2 3 4: the results are the running sums 1 3 6 10.
//
//   chunk 0    tril = 1        1 + 0 = 1        S = 0 before, 1 + 2 = 3 after
//                     1 1      1 + 2 + 0 = 3
//   chunk 1    same            3 + 3 = 6        S = 3 before
//                              3 + 4 + 3 = 10
//
// What the checks look at: one chunk; across chunks; a last chunk that is not full; causality; gradients; memory (no n
// x n matrix).
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// q, k [n, d], v [n, dv], chunk >= 1 -> o [n, dv]. chunk may be larger than n, and need not divide it.
Tensor chunked_linear_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t chunk) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// Let `start` run over 0, chunk, 2 chunk, ... below n. The rows of this chunk are x.narrow(0, start, length) with
// length = std::min(chunk, n - start).
//]
//[ hint
// tril(x) keeps what lies on and below the diagonal. Read S before the chunk is added to it, or its tokens count twice.
//]
//[ hint
// S begins as zeros({d, dv}, v.options()). Collect the chunks' rows in a std::vector<Tensor> and cat(rows, 0).
//]

namespace solution {
//[ solution
Tensor chunked_linear_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t chunk) {
  const int64_t n = q.size(0);
  Tensor state = zeros({k.size(1), v.size(1)}, v.options());
  std::vector<Tensor> out;
  for (int64_t start = 0; start < n; start += chunk) {
    const int64_t length = std::min(chunk, n - start);
    Tensor qc = q.narrow(0, start, length), kc = k.narrow(0, start, length), vc = v.narrow(0, start, length);
    out.push_back(matmul(tril(matmul(qc, kc.t())), vc) + matmul(qc, state));
    state = state + matmul(kc.t(), vc);
  }
  return cat(out, 0);
}
//]
}  // namespace solution

//[ wrong
namespace strictly_before {
Tensor chunked_linear_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t chunk) {
  return solution::chunked_linear_attention(q, k, v, chunk) - sum(q * k, {1}, true) * v;
}
}  // namespace strictly_before
namespace state_overwritten {
Tensor chunked_linear_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t chunk) {
  Tensor state = zeros({k.size(1), v.size(1)}, v.options());
  std::vector<Tensor> out;
  for (int64_t start = 0; start < q.size(0); start += chunk) {
    const int64_t length = std::min(chunk, q.size(0) - start);
    Tensor qc = q.narrow(0, start, length), kc = k.narrow(0, start, length), vc = v.narrow(0, start, length);
    out.push_back(matmul(tril(matmul(qc, kc.t())), vc) + matmul(qc, state));
    state = matmul(kc.t(), vc);
  }
  return cat(out, 0);
}
}  // namespace state_overwritten
namespace full_chunks_only {
Tensor chunked_linear_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t chunk) {
  const int64_t full = q.size(0) / chunk * chunk, rest = q.size(0) - full;
  if (full == 0) return zeros_like(v);
  Tensor head =
      solution::chunked_linear_attention(q.narrow(0, 0, full), k.narrow(0, 0, full), v.narrow(0, 0, full), chunk);
  return cat({head, zeros({rest, v.size(1)}, v.options())}, 0);
}
}  // namespace full_chunks_only
namespace whole_chunk_visible {
Tensor chunked_linear_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t chunk) {
  Tensor state = zeros({k.size(1), v.size(1)}, v.options());
  std::vector<Tensor> out;
  for (int64_t start = 0; start < q.size(0); start += chunk) {
    const int64_t length = std::min(chunk, q.size(0) - start);
    state = state + matmul(k.narrow(0, start, length).t(), v.narrow(0, start, length));
    out.push_back(matmul(q.narrow(0, start, length), state));
  }
  return cat(out, 0);
}
}  // namespace whole_chunk_visible
namespace all_pairs_at_once {
Tensor chunked_linear_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t) {
  return matmul(tril(matmul(q, k.t())), v);
}
}  // namespace all_pairs_at_once
//]

namespace {

using Function = decltype(&chunked_linear_attention);

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Tensor& q, const Tensor& k, const Tensor& v, int64_t chunk) {
    check.on(property, {{"q", q}, {"k", k}, {"v", v}, {"chunk", double(chunk)}});
    check.close(f(q, k, v, chunk), matmul(tril(matmul(q, k.t())), v), {1e-9, 1e-9}, "o");
  };
  auto ones_of = [](int64_t n) { return ones({n, 1}, f64); };
  auto count = [](int64_t n) { return arange(1, n + 1, 1, f64).unsqueeze(1); };
  on("one chunk", ones_of(1), ones_of(1), count(1), 1);
  on("one chunk", ones_of(3), ones_of(3), count(3), 3);
  on("across chunks", ones_of(4), ones_of(4), count(4), 2);
  on("across chunks", count(6), ones_of(6), count(6), 2);
  on("across chunks", count(3), count(3), count(3), 1);
  on("a last chunk that is not full", ones_of(3), ones_of(3), count(3), 2);
  on("a last chunk that is not full", ones_of(2), ones_of(2), count(2), 5);
  on("a last chunk that is not full", randn({37, 4}, f64), randn({37, 4}, f64), randn({37, 3}, f64), 8);

  Tensor x = randn({7, 2}, f64);
  check.on("causality", {{"q = k = v", x}, {"chunk", 3}});
  check.holds(verify::causality([&](const Tensor& in) { return f(in, in, in, 3); }, x, 0),
              "row t depends on tokens 0 .. t only");
  check.on("gradients", {{"q = k = v", x}, {"chunk", 3}});
  check.holds(gradcheck1([&](const Tensor& in) { return f(in, in, in, 3); }, x),
              "the slopes found by central differences");

  NoGrad guard;
  const int64_t n = 1024, n_by_n = n * n * 8;
  Tensor q = randn({n, 4}, f64), k = randn({n, 4}, f64), v = randn({n, 4}, f64);
  check.on("memory", {{"q, k, v", "1024 rows of 4 numbers in f64"}, {"chunk", 32}});
  const int64_t bytes = peak_bytes([&] { f(q, k, v, 32); });
  check.holds(bytes < n_by_n / 8, std::to_string(bytes) + " bytes at the peak",
              "less than an eighth of an n x n matrix, " + std::to_string(n_by_n / 8) + " bytes");
}

}  // namespace

int main(int argc, char** argv) {
  return run(
      argc, argv, checks,
      {.yours = chunked_linear_attention,
       .solution = solution::chunked_linear_attention,
       .wrong = {{"a token does not see itself", "one chunk", strictly_before::chunked_linear_attention},
                 {"a token sees its whole chunk", "one chunk", whole_chunk_visible::chunked_linear_attention},
                 {"the state holds the last chunk only", "across chunks", state_overwritten::chunked_linear_attention},
                 {"the rest after the last full chunk is 0", "a last chunk that is not full",
                  full_chunks_only::chunked_linear_attention},
                 {"one matrix of all pairs", "memory", all_pairs_at_once::chunked_linear_attention}}});
}
