// Efficient attention in its forms: all weights, token by token, in chunks.
#include "nn/attention/linear/efficient.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autograd/ops.h"

namespace ink {

namespace {
// Rows of p, k, v whose weights are all written out, with the state before them (undefined: nothing) replaced by that
// after. e^{k_jc - L_ic} <= 1 for j <= i, and so is e^{L_before - L_ic}: nothing overflows, and L_ic is never below its
// own k_ic.
Tensor rows(const Tensor& p, const Tensor& k, const Tensor& v, EfficientState& s) {
  const int64_t n = k.size(-2);
  Tensor lse = logcumsumexp(k, -2);  // L [..., n, d] of these tokens alone
  if (s.lse.defined()) {             // log(e^{L_before} + e^L)
    Tensor before = unsqueeze(s.lse, -2).expand(lse.shape());
    lse = logsumexp(stack({before, lse}), {0});
  }
  Tensor hidden = logical_not(tri(n, n)).to(k.device()).unsqueeze(-1);
  Tensor weight = exp(masked_fill(unsqueeze(k, -3) - unsqueeze(lse, -2), hidden, -INFINITY));  // [..., i, j, c]
  Tensor out = matmul(sum(weight * unsqueeze(p, -2), {-1}), v);
  if (s.lse.defined()) out = out + matmul(p * exp(unsqueeze(s.lse, -2) - lse), s.mean);
  if (n > 0) {
    Tensor last = select(lse, -2, -1);  // [..., d]
    Tensor mean = matmul(transpose(exp(k - unsqueeze(last, -2)), -2, -1), v);
    if (s.lse.defined()) mean = mean + unsqueeze(exp(s.lse - last), -1) * s.mean;
    s = {mean, last};
  }
  return out;
}

// L <- log(e^L + e^{k_i}),  G_c <- G_c e^{L_before - L} + e^{k_ic - L} v_i,  o_i = p_i^T G.
Tensor recurrent(const Tensor& p, const Tensor& k, const Tensor& v, EfficientState& s) {
  std::vector<Tensor> out;
  for (int64_t i = 0; i < k.size(-2); ++i) {
    Tensor ki = select(k, -2, i), vi = v.narrow(-2, i, 1);
    Tensor lse = s.lse.defined() ? logsumexp(stack({s.lse, ki}), {0}) : ki;
    Tensor mean = unsqueeze(exp(ki - lse), -1) * vi;
    if (s.lse.defined()) mean = unsqueeze(exp(s.lse - lse), -1) * s.mean + mean;
    s = {mean, lse};
    out.push_back(matmul(p.narrow(-2, i, 1), mean));
  }
  return cat(out, -2);
}

void check(const Tensor& q, const Tensor& k, const Tensor& v, const EfficientAttentionOptions& o,
           const EfficientState* state) {
  auto dims = [](const Tensor& t) { return t.shape().str(); };
  bool fit =
      q.dim() >= 2 && q.dim() == k.dim() && k.dim() == v.dim() && q.size(-1) == k.size(-1) && k.size(-2) == v.size(-2);
  for (int i = 0; fit && i < v.dim() - 2; ++i) fit = q.size(i) == v.size(i) && k.size(i) == v.size(i);
  if (!fit)
    throw ShapeError(
        fmt::format("efficient_attention: sizes do not fit; got q {}, k {}, v {}; expected [..., nq, d], [..., nk, d], "
                    "[..., nk, dv] with equal batch dims",
                    dims(q), dims(k), dims(v)));
  if (o.causal && q.size(-2) != k.size(-2))
    throw ShapeError(fmt::format(
        "efficient_attention: a causal row i sees the keys 0 .. i; got {} queries and {} keys; expected as many",
        q.size(-2), k.size(-2)));
  if (!o.causal && (state || o.form == LinearForm::recurrent))
    throw ValueError(
        "efficient_attention: a state is of the tokens before; got a state or the recurrent form without causal; "
        "expected causal = true");
  if (o.chunk < 1) throw ValueError(fmt::format("efficient_attention: got chunk {}; expected at least 1", o.chunk));
  if (!state || !state->lse.defined()) return;
  Shape expected = v.shape();
  expected[v.dim() - 2] = k.size(-1);
  if (!(state->mean.shape() == expected))
    throw ShapeError(
        fmt::format("efficient_attention: wrong state; got G {}; expected {}", dims(state->mean), expected.str()));
}
}  // namespace

Tensor efficient_attention(const Tensor& q, const Tensor& key, const Tensor& v, const EfficientAttentionOptions& o,
                           EfficientState* state) {
  check(q, key, v, o, state);
  Tensor k = key;
  // As far down as a hidden key need be: its weight is 0, and L of a row that has seen none yet stays a number.
  if (o.key_mask.defined()) k = masked_fill(k, unsqueeze(logical_not(o.key_mask), -1), -1e4);
  Tensor p = softmax(q, -1);
  if (!o.causal) {
    Tensor weight = softmax(k, -2);  // over the tokens
    if (o.form == LinearForm::parallel) return matmul(matmul(p, transpose(weight, -2, -1)), v);
    return matmul(p, matmul(transpose(weight, -2, -1), v));
  }
  EfficientState fresh;
  EfficientState& s = state ? *state : fresh;
  const int64_t n = k.size(-2);
  if (o.form == LinearForm::recurrent && n > 0) return recurrent(p, k, v, s);
  if (o.form == LinearForm::parallel || n <= o.chunk) return rows(p, k, v, s);
  std::vector<Tensor> out;
  for (int64_t i = 0; i < n; i += o.chunk) {
    int64_t c = std::min(o.chunk, n - i);
    out.push_back(rows(p.narrow(-2, i, c), k.narrow(-2, i, c), v.narrow(-2, i, c), s));
  }
  return cat(out, -2);
}

}  // namespace ink
