// Exercise: attention's gradients from the log-sum-exp, without an n x n matrix.
// Note: docs/notes/04_flash_attention.md, exercise 3
//
// O = P V with P = softmax(S), row by row, and S = Q K^T / sqrt(d). From dO = dL/dO:
//
//   dV = P^T dO
//   dP = dO V^T
//   dS_ij = P_ij (dP_ij - D_i),   D_i = sum_j P_ij dP_ij         softmax's rule: from dP goes its mean under P
//   dQ = dS K / sqrt(d)           dK = dS^T Q / sqrt(d)
//
// The forward pass of FlashAttention did not keep P; it kept O and one number a row, lse_i = log sum_j e^{S_ij}. With
// it any entry comes back, without a second softmax: P_ij = e^{S_ij - lse_i}. And D needs no row of P: sum_j P_ij (dO_i
// . V_j) = dO_i . sum_j P_ij V_j = dO_i . O_i. So the queries may pass in blocks of, say, 32 rows: each block gives its
// rows of dQ, and adds its share to dK and dV (Dao et al. 2022, algorithm 4; Dao 2023, section 3.1).
//
// One query, two keys, d = 1, Q = 1, K = 0, ln 3: S = 0, ln 3, lse = ln 4, P = 1/4, 3/4. With V = 0, 4 and dO = 1:
//
//   O = 3      D = 3      dP = 0, 4      dS = 1/4 (0 - 3), 3/4 (4 - 3) = -0.75, 0.75      dV = 1/4, 3/4
//
// What the checks look at: one query; values; the scale; large scores; memory (no n x n matrix is held).
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// What the forward pass leaves: q, k [n, d], v and o [n, dv], lse [n]; and the gradient of o.
struct Forward {
  Tensor q, k, v, o, lse, grad_o;
};
struct AttentionGradients {
  Tensor q, k, v;
};

AttentionGradients attention_gradients(const Forward& forward) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// Write it for all rows at once first; only "memory" will fail. exp(s - lse.unsqueeze(1)) is P, sum(grad_o * o, {1},
// true) is D.
//]
//[ hint
// x.narrow(0, start, length) are some rows of x. Let the loop run over the queries' rows: of q, o, lse and grad_o take
// the block, of k and v all. length = std::min(block, n - start).
//]
//[ hint
// dK and dV begin as zeros_like and grow by `+=`. The blocks of dQ are collected in a std::vector<Tensor> and joined by
// cat(blocks, 0).
//]

namespace solution {
//[ solution
AttentionGradients attention_gradients(const Forward& forward) {
  const auto& [q, k, v, o, lse, grad_o] = forward;
  const int64_t n = q.size(0), block = 32;
  const double scale = 1 / std::sqrt(double(q.size(1)));
  Tensor dk = zeros_like(k), dv = zeros_like(v);
  std::vector<Tensor> dq;
  for (int64_t start = 0; start < n; start += block) {
    auto rows = [&](const Tensor& x) { return x.narrow(0, start, std::min(block, n - start)); };
    Tensor p = exp(matmul(rows(q), k.t()) * scale - rows(lse).unsqueeze(1));
    Tensor d = sum(rows(grad_o) * rows(o), {1}, true);
    Tensor ds = p * (matmul(rows(grad_o), v.t()) - d);
    dq.push_back(matmul(ds, k) * scale);
    dk += matmul(ds.t(), rows(q)) * scale;
    dv += matmul(p.t(), rows(grad_o));
  }
  return {cat(dq, 0), dk, dv};
}
//]
}  // namespace solution

//[ wrong
namespace without_d {
AttentionGradients attention_gradients(const Forward& f) {
  const double scale = 1 / std::sqrt(double(f.q.size(1)));
  Tensor p = exp(matmul(f.q, f.k.t()) * scale - f.lse.unsqueeze(1)), ds = p * matmul(f.grad_o, f.v.t());
  return {matmul(ds, f.k) * scale, matmul(ds.t(), f.q) * scale, matmul(p.t(), f.grad_o)};
}
}  // namespace without_d
namespace scale_once {
AttentionGradients attention_gradients(const Forward& f) {
  AttentionGradients g = solution::attention_gradients(f);
  const double root = std::sqrt(double(f.q.size(1)));
  return {g.q * root, g.k * root, g.v};
}
}  // namespace scale_once
namespace softmax_again {
AttentionGradients attention_gradients(const Forward& f) {
  const double scale = 1 / std::sqrt(double(f.q.size(1)));
  Tensor e = exp(matmul(f.q, f.k.t()) * scale), p = e / sum(e, {1}, true);
  Tensor ds = p * (matmul(f.grad_o, f.v.t()) - sum(f.grad_o * f.o, {1}, true));
  return {matmul(ds, f.k) * scale, matmul(ds.t(), f.q) * scale, matmul(p.t(), f.grad_o)};
}
}  // namespace softmax_again
namespace all_at_once {
AttentionGradients attention_gradients(const Forward& f) {
  const double scale = 1 / std::sqrt(double(f.q.size(1)));
  Tensor p = exp(matmul(f.q, f.k.t()) * scale - f.lse.unsqueeze(1));
  Tensor ds = p * (matmul(f.grad_o, f.v.t()) - sum(f.grad_o * f.o, {1}, true));
  return {matmul(ds, f.k) * scale, matmul(ds.t(), f.q) * scale, matmul(p.t(), f.grad_o)};
}
}  // namespace all_at_once
//]

namespace {

using Function = decltype(&attention_gradients);

// O and lse by the formula, with all scores.
Forward forward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& grad_o) {
  Tensor s = matmul(q, k.t()) / std::sqrt(double(q.size(1)));
  return {q, k, v, matmul(softmax(s, 1), v), logsumexp(s, {1}), grad_o};
}

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Forward& in) {
    check.on(property, {{"q", in.q}, {"k", in.k}, {"v", in.v}, {"o", in.o}, {"lse", in.lse}, {"grad_o", in.grad_o}});
    AttentionGradients got = f(in);
    Tensor q = in.q.clone().requires_grad_(), k = in.k.clone().requires_grad_(), v = in.v.clone().requires_grad_();
    (forward(q, k, v, in.grad_o).o * in.grad_o).sum().backward();
    const verify::Tolerance tolerance{1e-9, 1e-9};
    check.close(got.v, v.grad(), tolerance, "dv");
    check.close(got.q, q.grad(), tolerance, "dq");
    check.close(got.k, k.grad(), tolerance, "dk");
  };
  auto random = [](int64_t n, int64_t d, int64_t dv) {
    return forward(randn({n, d}, f64), randn({n, d}, f64), randn({n, dv}, f64), randn({n, dv}, f64));
  };
  on("one query", forward(matrix({{1}}), matrix({{0}, {std::log(3.0)}}), matrix({{0}, {4}}), matrix({{1}})));
  on("values", forward(matrix({{1}, {2}}), matrix({{0}, {1}}), matrix({{1, 0}, {0, 1}}), matrix({{1, 0}, {0, 2}})));
  on("values", random(70, 1, 3));
  on("the scale",
     forward(matrix({{1, 0, 1, 0}}), matrix({{1, 2, 0, 0}, {0, 0, 0, 2}}), matrix({{1}, {3}}), matrix({{1}})));
  on("the scale", random(33, 16, 4));
  on("large scores", forward(matrix({{1000}}), matrix({{1}, {1.001}}), matrix({{1}, {2}}), matrix({{1}})));

  NoGrad guard;
  const int64_t n = 2048, n_by_n = n * n * 8;
  Forward in = random(n, 8, 8);
  check.on("memory", {{"q, k, v", std::to_string(n) + " rows of 8 numbers in f64"}});
  const int64_t bytes = peak_bytes([&] { check.holds(f(in).q.defined(), "no gradient of q", "a gradient of q"); });
  check.holds(bytes < n_by_n / 2, std::to_string(bytes) + " bytes at the peak",
              "less than half of one n x n matrix, " + std::to_string(n_by_n / 2) + " bytes");
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = attention_gradients,
              .solution = solution::attention_gradients,
              .wrong = {{"dS = P dP, without D", "one query", without_d::attention_gradients},
                        {"1 / sqrt(d) in the scores only", "the scale", scale_once::attention_gradients},
                        {"e^S instead of e^{S - lse}", "large scores", softmax_again::attention_gradients},
                        {"all rows at once", "memory", all_at_once::attention_gradients}}});
}
