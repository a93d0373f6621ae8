// Exercise: retention in chunks, pairs inside and a fading state between.
// Note: docs/notes/09d_linear_rnn.md, exercise 3
//
// Retention (Sun et al. 2023) is linear attention in which a pair of tokens fades with its distance,
//
//   o_i = sum over j <= i of gamma^{i-j} (q_i . k_j) v_j,
//
// as a recurrent net S_t = gamma S_{t-1} + k_t v_t^T, o_t = S_t^T q_t. In chunks of B tokens (their eq. 7), rows
// counted j = 0 .. B - 1 within the chunk:
//
//   O_j = (pairs inside, with gamma^{i-j}) + gamma^{j+1} S^T q_j
//   S  <- gamma^B S + sum over j of gamma^{B-1-j} k_j v_j^T
//
// A token fades gamma^{j+1} from the end of the chunk before to row j, and gamma^{B-1-j} from row j to the chunk's end.
// The last chunk may be shorter: then B is its own length.
//
// With d = dv = 1, all q = k = v = 1, gamma = 1/2 and chunks of 2: o = 1, 1.5, 1.75, 1.875.
//
//   chunk 0    inside 1, 1 + 1/2            S = 0            afterwards S = 1/2 + 1 = 1.5
//   chunk 1    inside 1, 1 + 1/2    plus 1/2 * 1.5, 1/4 * 1.5
//
// What the checks look at: one chunk; across chunks; a last chunk that is not full; long sequences; causality; memory.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// q, k [n, d], v [n, dv], 0 < gamma <= 1, chunk >= 1 -> o [n, dv]. chunk may be larger than n, and need not divide it.
Tensor retention_in_chunks(const Tensor& q, const Tensor& k, const Tensor& v, double gamma, int64_t chunk) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// Rows of a chunk are x.narrow(0, start, length) with length = std::min(chunk, n - start). With j = arange(0, length,
// 1, f64), the factors gamma^j are exp(j * std::log(gamma)).
//]
//[ hint
// gamma^{i-j} for all pairs: exp((j.unsqueeze(1) - j.unsqueeze(0)) * std::log(gamma)), of which tril keeps i >= j.
// Above the diagonal the exponent is positive: it is multiplied by nothing, so cut it before it overflows, e.g. by tril
// on the exponent too.
//]
//[ hint
// Factors of rows stand as columns: (rows).unsqueeze(1) * x. Read S before this chunk enters it.
//]

namespace solution {
//[ solution
Tensor retention_in_chunks(const Tensor& q, const Tensor& k, const Tensor& v, double gamma, int64_t chunk) {
  const int64_t n = q.size(0);
  const double log_gamma = std::log(gamma);
  Tensor s = zeros({k.size(1), v.size(1)}, v.options());
  std::vector<Tensor> out;
  for (int64_t start = 0; start < n; start += chunk) {
    const int64_t length = std::min(chunk, n - start);
    const Tensor Q = q.narrow(0, start, length), K = k.narrow(0, start, length), V = v.narrow(0, start, length);
    const Tensor j = arange(0, length, 1, v.options()).unsqueeze(1);
    const Tensor fade = tril(exp(tril(j - j.t()) * log_gamma));
    const Tensor from_before = exp((j + 1) * log_gamma), to_end = exp((double(length - 1) - j) * log_gamma);
    out.push_back(matmul(matmul(Q, K.t()) * fade, V) + from_before * matmul(Q, s));
    s = std::pow(gamma, double(length)) * s + matmul((to_end * K).t(), V);
  }
  return cat(out, 0);
}
//]
}  // namespace solution

//[ wrong
namespace without_fading_state {
Tensor retention_in_chunks(const Tensor& q, const Tensor& k, const Tensor& v, double gamma, int64_t chunk) {
  const int64_t n = q.size(0);
  Tensor s = zeros({k.size(1), v.size(1)}, v.options());
  std::vector<Tensor> out;
  for (int64_t start = 0; start < n; start += chunk) {
    const int64_t length = std::min(chunk, n - start);
    const Tensor Q = q.narrow(0, start, length), K = k.narrow(0, start, length), V = v.narrow(0, start, length);
    const Tensor j = arange(0, length, 1, v.options()).unsqueeze(1);
    const Tensor inside = solution::retention_in_chunks(Q, K, V, gamma, length);
    out.push_back(inside + exp((j + 1) * std::log(gamma)) * matmul(Q, s));
    s = s + matmul((exp((double(length - 1) - j) * std::log(gamma)) * K).t(), V);
  }
  return cat(out, 0);
}
}  // namespace without_fading_state
namespace row_off_by_one {
Tensor retention_in_chunks(const Tensor& q, const Tensor& k, const Tensor& v, double gamma, int64_t chunk) {
  const int64_t n = q.size(0);
  Tensor s = zeros({k.size(1), v.size(1)}, v.options());
  std::vector<Tensor> out;
  for (int64_t start = 0; start < n; start += chunk) {
    const int64_t length = std::min(chunk, n - start);
    const Tensor Q = q.narrow(0, start, length), K = k.narrow(0, start, length), V = v.narrow(0, start, length);
    const Tensor j = arange(0, length, 1, v.options()).unsqueeze(1);
    const Tensor inside = solution::retention_in_chunks(Q, K, V, gamma, length);
    out.push_back(inside + exp(j * std::log(gamma)) * matmul(Q, s));
    s = std::pow(gamma, double(length)) * s + matmul((exp((double(length - 1) - j) * std::log(gamma)) * K).t(), V);
  }
  return cat(out, 0);
}
}  // namespace row_off_by_one
namespace full_length_assumed {
Tensor retention_in_chunks(const Tensor& q, const Tensor& k, const Tensor& v, double gamma, int64_t chunk) {
  const int64_t full = q.size(0) / chunk * chunk, rest = q.size(0) - full;
  if (full == 0) return solution::retention_in_chunks(q, k, v, std::pow(gamma, 0.5), chunk);
  Tensor head =
      solution::retention_in_chunks(q.narrow(0, 0, full), k.narrow(0, 0, full), v.narrow(0, 0, full), gamma, chunk);
  return cat({head, zeros({rest, v.size(1)}, v.options())}, 0);
}
}  // namespace full_length_assumed
namespace no_decay_inside {
Tensor retention_in_chunks(const Tensor& q, const Tensor& k, const Tensor& v, double, int64_t chunk) {
  return solution::retention_in_chunks(q, k, v, 1, chunk);
}
}  // namespace no_decay_inside
namespace divided_by_powers {
Tensor retention_in_chunks(const Tensor& q, const Tensor& k, const Tensor& v, double gamma, int64_t) {
  const Tensor t = arange(0, q.size(0), 1, v.options()).unsqueeze(1) * std::log(gamma);
  const Tensor s = cumsum((exp(-t) * k).unsqueeze(2) * v.unsqueeze(1), 0);
  return exp(t) * matmul(q.unsqueeze(1), s).squeeze(1);
}
}  // namespace divided_by_powers
namespace all_pairs_at_once {
Tensor retention_in_chunks(const Tensor& q, const Tensor& k, const Tensor& v, double gamma, int64_t) {
  return solution::retention_in_chunks(q, k, v, gamma, q.size(0));
}
}  // namespace all_pairs_at_once
//]

namespace {

using Function = decltype(&retention_in_chunks);

// The recurrent net, step by step.
Tensor step_by_step(const Tensor& q, const Tensor& k, const Tensor& v, double gamma) {
  Tensor s = zeros({k.size(1), v.size(1)}, v.options());
  std::vector<Tensor> out;
  for (int64_t t = 0; t < q.size(0); ++t) {
    s = gamma * s + outer(k[t], v[t]);
    out.push_back(matmul(q[t], s));
  }
  return stack(out, 0);
}

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Tensor& q, const Tensor& k, const Tensor& v, double gamma, int64_t chunk) {
    check.on(property, {{"q", q}, {"k", k}, {"v", v}, {"gamma", gamma}, {"chunk", double(chunk)}});
    check.close(f(q, k, v, gamma, chunk), step_by_step(q, k, v, gamma), {1e-9, 1e-9}, "o");
  };
  const auto ones_of = [](int64_t n) { return ones({n, 1}, f64); };
  const auto count = [](int64_t n) { return arange(1, n + 1, 1, f64).unsqueeze(1); };
  on("one chunk", ones_of(1), ones_of(1), ones_of(1), 0.5, 1);
  on("one chunk", ones_of(3), ones_of(3), count(3), 0.5, 3);
  on("across chunks", ones_of(4), ones_of(4), ones_of(4), 0.5, 2);
  on("across chunks", count(6), ones_of(6), count(6), 0.5, 2);
  on("across chunks", count(3), count(3), count(3), 0.25, 1);
  on("across chunks", count(4), ones_of(4), count(4), 1, 2);
  on("a last chunk that is not full", ones_of(3), ones_of(3), count(3), 0.5, 2);
  on("a last chunk that is not full", ones_of(2), ones_of(2), count(2), 0.5, 5);
  on("a last chunk that is not full", randn({37, 4}, f64), randn({37, 4}, f64), randn({37, 3}, f64), 0.9, 8);
  on("long sequences", ones_of(1200), ones_of(1200), ones_of(1200), 0.5, 16);

  const Tensor x = randn({7, 2}, f64);
  check.on("causality", {{"q = k = v", x}, {"gamma", 0.8}, {"chunk", 3}});
  check.holds(verify::causality([&](const Tensor& in) { return f(in, in, in, 0.8, 3); }, x, 0),
              "row t depends on tokens 0 .. t only");

  NoGrad guard;
  const int64_t n = 1024, n_by_n = n * n * 8;
  const Tensor q = randn({n, 4}, f64), k = randn({n, 4}, f64), v = randn({n, 4}, f64);
  check.on("memory", {{"q, k, v", "1024 rows of 4 numbers in f64"}, {"gamma", 0.99}, {"chunk", 32}});
  const int64_t bytes = peak_bytes([&] { f(q, k, v, 0.99, 32); });
  check.holds(bytes < n_by_n / 8, std::to_string(bytes) + " bytes at the peak",
              "less than an eighth of an n x n matrix, " + std::to_string(n_by_n / 8) + " bytes");
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = retention_in_chunks,
              .solution = solution::retention_in_chunks,
              .wrong = {{"nothing fades", "one chunk", no_decay_inside::retention_in_chunks},
                        {"the state does not fade", "across chunks", without_fading_state::retention_in_chunks},
                        {"gamma^j instead of gamma^{j+1}", "across chunks", row_off_by_one::retention_in_chunks},
                        {"the rest after the last full chunk is 0", "a last chunk that is not full",
                         full_length_assumed::retention_in_chunks},
                        {"a running sum of k / gamma^t", "long sequences", divided_by_powers::retention_in_chunks},
                        {"one matrix of all pairs", "memory", all_pairs_at_once::retention_in_chunks}}});
}
