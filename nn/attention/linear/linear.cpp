// Linear attention in its forms: all pairs, token by token, in chunks; and the feature maps.
#include "nn/attention/linear/linear.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autograd/attention.h"
#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "nn/attention/position.h"

namespace ink {

// ------------------------------------------------------------------------------------------------ feature maps
namespace {
// x / |x|, and 0 for a vector of length 0: the 1e-12 keeps value and gradient finite there, and |result| <= 1
// everywhere.
Tensor l2_normalised(const Tensor& x) { return x * rsqrt(sum(square(x), {-1}, true) + 1e-12); }

// 1, x / d^{1/4}, x_i x_j / sqrt(d) for i < j, x_i^2 / sqrt(2d): the products of these sum to 1 + s + s^2 / 2.
Tensor second_order(const Tensor& x) {
  const int64_t d = x.size(-1);
  std::vector<int64_t> rows, columns;
  std::vector<double> weights;
  for (int64_t i = 0; i < d; ++i)
    for (int64_t j = i; j < d; ++j) {
      rows.push_back(i), columns.push_back(j);
      weights.push_back(1 / std::sqrt(i == j ? 2. * double(d) : double(d)));
    }
  auto pick = [&](const std::vector<int64_t>& which) {
    return index_select(x, -1, from_data(std::span<const int64_t>(which), {int64_t(which.size())}).to(x.device()));
  };
  Tensor weight = from_data(std::span<const double>(weights), {int64_t(weights.size())}).to(x.options());
  Tensor one = ones_like(x.narrow(-1, 0, 1));
  return cat({one, x * std::pow(double(d), -0.25), pick(rows) * pick(columns) * weight}, -1);
}
}  // namespace

Tensor feature_map(FeatureMap map, const Tensor& x) {
  switch (map) {
    case FeatureMap::elu_plus_one:  // as e^x for x < 0, which loses no digits: elu(x) + 1 is 0 in f32 from -17 on
      return exp(clamp(x, std::nullopt, 0)) + relu(x);
    case FeatureMap::taylor:
      return cat({ones_like(x.narrow(-1, 0, 1)), l2_normalised(x)}, -1);
    case FeatureMap::taylor2:
      return second_order(x);
    case FeatureMap::identity:
      return x;
  }
  throw ValueError(fmt::format("feature_map: no such map; got {}", int(map)));
}
int64_t feature_count(FeatureMap map, int64_t d) {
  return map == FeatureMap::taylor2 ? 1 + d + d * (d + 1) / 2 : map == FeatureMap::taylor ? d + 1 : d;
}

// ------------------------------------------------------------------------------------------------ the three forms
namespace {
// The sums a causal row is made of, before the division.
struct Sums {
  Tensor numerator, denominator;  // [..., n, dv], [..., n, 1]
};
Sums operator+(const Sums& a, const Sums& b) {
  return {a.numerator + b.numerator, a.denominator.defined() ? a.denominator + b.denominator : Tensor()};
}

struct Rows {
  Tensor q, k, own_norm_q, own_norm_k, decay, v;
  bool normalised;
  int64_t n() const { return v.size(-2); }
  const Tensor& norm_q() const { return own_norm_q.defined() ? own_norm_q : q; }
  const Tensor& norm_k() const { return own_norm_k.defined() ? own_norm_k : k; }
  Rows slice(int64_t start, int64_t length) const {
    auto cut = [&](const Tensor& x, int64_t dim) { return x.defined() ? x.narrow(dim, start, length) : x; };
    return {cut(q, -2), cut(k, -2), cut(own_norm_q, -2), cut(own_norm_k, -2), cut(decay, -1), cut(v, -2), normalised};
  }
};

Tensor dot_rows(const Tensor& a, const Tensor& b) { return sum(a * b, {-1}, true); }

// What the tokens before contribute: e^{decay_i - decay} q_i^T S and the same with z.
Sums of_state(const Rows& r, const LinearState& s) {
  Tensor numerator = matmul(r.q, s.sum);
  Tensor denominator = r.normalised ? matmul(r.norm_q(), unsqueeze(s.norm, -1)) : Tensor();
  if (!r.decay.defined()) return {numerator, denominator};
  Tensor fade = unsqueeze(exp(r.decay - unsqueeze(s.decay, -1)), -1);  // [..., n, 1], at most 1
  return {fade * numerator, r.normalised ? fade * denominator : Tensor()};
}

// The state after these rows: S <- e^{decay_n - decay} S + sum_j e^{decay_n - decay_j} k_j v_j^T.
void advance(const Rows& r, LinearState& s) {
  if (r.n() == 0) return;
  Tensor k = r.k, norm_k = r.norm_k(), last;
  if (r.decay.defined()) {
    last = select(r.decay, -1, -1);
    Tensor fade = unsqueeze(exp(unsqueeze(last, -1) - r.decay), -1);
    k = k * fade;
    if (r.normalised) norm_k = norm_k * fade;
  }
  Tensor add_sum = matmul(transpose(k, -2, -1), r.v), add_norm = r.normalised ? sum(norm_k, {-2}) : Tensor();  // (6.4)
  if (s.sum.defined()) {
    Tensor fade = last.defined() ? unsqueeze(exp(last - s.decay), -1) : Tensor();
    auto faded = [&](const Tensor& x) {
      return fade.defined() ? x * (x.dim() > fade.dim() ? unsqueeze(fade, -1) : fade) : x;
    };
    add_sum = faded(s.sum) + add_sum;
    if (r.normalised) add_norm = faded(s.norm) + add_norm;
  }
  s = {add_sum, add_norm, last, s.time + r.n()};  // (6.4)
}

// All pairs of rows and keys, [..., nq, nk].
Sums all_pairs(const Rows& r, bool causal) {
  auto weights = [&](const Tensor& q, const Tensor& k) {
    Tensor w = matmul(q, transpose(k, -2, -1));
    if (!causal) return w;
    if (r.decay.defined()) {
      Tensor hidden = logical_not(tri(w.size(-2), w.size(-1))).to(w.device());
      w = w * exp(masked_fill(unsqueeze(r.decay, -1) - unsqueeze(r.decay, -2), hidden, -INFINITY));
    }
    return tril(w);
  };
  Tensor w = weights(r.q, r.k);  // (6.2)
  if (!r.normalised) return {matmul(w, r.v), {}};
  bool same = !r.own_norm_q.defined() && !r.own_norm_k.defined();
  return {matmul(w, r.v), sum(same ? w : weights(r.norm_q(), r.norm_k()), {-1}, true)};  // (6.2)
}

// The kernel: O(n d dv) time, O(d dv) working memory.
Sums by_kernel(const Rows& r) {
  Tensor numerator = causal_linear_attention(r.q, r.k, r.v, r.decay);
  if (!r.normalised) return {numerator, {}};
  if (r.decay.defined()) {
    Tensor one = ones_like(r.v.narrow(-1, 0, 1));
    return {numerator, causal_linear_attention(r.norm_q(), r.norm_k(), one, r.decay)};
  }
  return {numerator, dot_rows(r.norm_q(), cumsum(r.norm_k(), -2))};  // phi(q_i) . z_i; its gradient reaches every key
}

Tensor divided(const Sums& s, double eps) {
  return s.denominator.defined() ? s.numerator / (s.denominator + eps) : s.numerator;  // (6.2)
}

Tensor causal_rows(const Rows& r, LinearForm form, double eps, LinearState* state) {
  Sums sums = form == LinearForm::parallel ? all_pairs(r, true) : by_kernel(r);
  if (state && state->sum.defined()) sums = sums + of_state(r, *state);
  if (state) advance(r, *state);
  return divided(sums, eps);
}

// S_i = S_{i-1} + k_i v_i^T,  z_i = z_{i-1} + k_i,  o_i = q_i^T S_i / (q_i^T z_i); Katharopoulos et al. 2020, eq.
// 18-20.
Tensor recurrent_rows(const Rows& r, double eps, LinearState& state) {
  std::vector<Tensor> out;
  for (int64_t i = 0; i < r.n(); ++i) {
    Rows row = r.slice(i, 1);
    advance(row, state);
    Tensor numerator = matmul(row.q, state.sum);  // (6.5)
    Tensor denominator = r.normalised ? dot_rows(row.norm_q(), unsqueeze(state.norm, -2)) : Tensor();
    out.push_back(divided({numerator, denominator}, eps));  // (6.5)
  }
  return cat(out, -2);
}

void check(const LinearFeatures& f, const Tensor& v, const LinearAttentionOptions& o, const LinearState* state) {
  auto dims = [](const Tensor& t) { return t.shape().str(); };
  if (f.q.dim() < 2 || f.q.dim() != f.k.dim() || f.k.dim() != v.dim() || f.q.size(-1) != f.k.size(-1) ||
      f.k.size(-2) != v.size(-2))
    throw ShapeError(
        fmt::format("linear_attention: sizes do not fit; got q {}, k {}, v {}; expected [..., nq, d], [..., nk, d], "
                    "[..., nk, dv]",
                    dims(f.q), dims(f.k), dims(v)));
  for (int i = 0; i < v.dim() - 2; ++i)
    if (f.q.size(i) != v.size(i) || f.k.size(i) != v.size(i))
      throw ShapeError(fmt::format("linear_attention: batch dims must be equal; got q {}, k {}, v {}", dims(f.q),
                                   dims(f.k), dims(v)));
  if (o.causal && f.q.size(-2) != f.k.size(-2))
    throw ShapeError(fmt::format(
        "linear_attention: a causal row i sees the keys 0 .. i; got {} queries and {} keys; expected as many",
        f.q.size(-2), f.k.size(-2)));
  if (!o.causal && state)
    throw ValueError(
        "linear_attention: a state is of the tokens before; got a state without causal; expected causal = true");
  if (!o.causal && o.form == LinearForm::recurrent)
    throw ValueError(
        "linear_attention: the recurrent form sees only tokens before; got causal = false; expected form parallel or "
        "chunked");
  if (o.chunk < 0 || o.eps < 0)
    throw ValueError(fmt::format("linear_attention: got chunk {}, eps {}; expected both at least 0", o.chunk, o.eps));
  if (!o.causal && f.decay.defined())
    throw ValueError("linear_attention: a decay goes along time; got one without causal; expected causal = true");
  if (!state || !state->sum.defined()) return;
  Shape expected = v.shape();
  expected[v.dim() - 2] = f.k.size(-1);
  if (!(state->sum.shape() == expected))
    throw ShapeError(
        fmt::format("linear_attention: wrong state; got S {}; expected {}", dims(state->sum), expected.str()));
}
}  // namespace

Tensor linear_attention(const LinearFeatures& f, const Tensor& v, const LinearAttentionOptions& o, LinearState* state) {
  // Sums over all tokens outgrow f16, and lose small terms in bf16: sums, state and quotient are f32, the result is
  // rounded once.
  auto half = [](const Tensor& t) { return t.defined() && is_half(t.dtype()); };
  if (half(f.q) || half(f.k) || half(f.norm_q) || half(f.norm_k) || half(f.decay) || half(v)) {
    LinearFeatures in = f;
    for (Tensor* t : {&in.q, &in.k, &in.norm_q, &in.norm_k, &in.decay}) *t = widened(*t);
    return linear_attention(in, widened(v), o, state).to(v.dtype());
  }
  check(f, v, o, state);
  Rows r{f.q, f.k, f.norm_q, f.norm_k, f.decay, v, f.normalised};
  if (!o.causal) {
    if (o.form == LinearForm::parallel) return divided(all_pairs(r, false), o.eps);
    Tensor s = matmul(transpose(r.k, -2, -1), v);  // [..., features, dv]: the order of the products is all
    Tensor z = f.normalised ? matmul(r.norm_q(), transpose(sum(r.norm_k(), {-2}, true), -2, -1)) : Tensor();
    return divided({matmul(r.q, s), z}, o.eps);  // (6.3)
  }
  if (o.form == LinearForm::parallel || r.n() == 0) return causal_rows(r, LinearForm::parallel, o.eps, state);
  if (o.form == LinearForm::chunked && o.chunk == 0) return causal_rows(r, LinearForm::chunked, o.eps, state);
  LinearState fresh;
  LinearState& s = state ? *state : fresh;
  if (o.form == LinearForm::recurrent) return recurrent_rows(r, o.eps, s);
  std::vector<Tensor> out;  // parallel inside a chunk, recurrent between chunks; Hua et al. 2022, section 3.2
  for (int64_t i = 0; i < r.n(); i += o.chunk)
    out.push_back(causal_rows(r.slice(i, std::min(o.chunk, r.n() - i)), LinearForm::parallel, o.eps, &s));
  return cat(out, -2);
}

Tensor linear_attention(const Tensor& q, const Tensor& k, const Tensor& v, const LinearAttentionOptions& o,
                        LinearState* state) {
  if (is_half(q.dtype()) || is_half(k.dtype()))  // features too are made in f32
    return linear_attention(widened(q), widened(k), widened(v), o, state).to(v.dtype());
  const bool positive_anyhow = o.feature == FeatureMap::taylor || o.feature == FeatureMap::taylor2;
  const int64_t past = state ? state->time : 0;
  auto turn = [&](const Tensor& x) { return rotary(x, past); };
  LinearFeatures f;
  f.normalised = o.feature != FeatureMap::identity;
  if (o.rotary && positive_anyhow) {
    f.q = feature_map(o.feature, turn(q)), f.k = feature_map(o.feature, turn(k));
  } else {
    f.q = feature_map(o.feature, q), f.k = feature_map(o.feature, k);
  }
  if (o.key_mask.defined()) f.k = masked_fill(f.k, unsqueeze(logical_not(o.key_mask), -1), 0);
  if (o.rotary && !positive_anyhow) {
    f.norm_q = f.q, f.norm_k = f.k;
    f.q = turn(f.q), f.k = turn(f.k);
  }
  return linear_attention(f, v, o, state);
}

}  // namespace ink
