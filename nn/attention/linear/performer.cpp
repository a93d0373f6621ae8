// Random features, and attention with them whose exponentials stay in range.
#include "nn/attention/linear/performer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink {

int64_t favor_feature_count(int64_t d) {
  return std::max<int64_t>(1, std::llround(double(d) * std::log(double(std::max<int64_t>(d, 1)))));
}

Tensor random_projection(int64_t features, int64_t d, const ProjectionOptions& o, const Options& tensor,
                         Generator* generator) {
  if (features < 1 || d < 1)
    throw ValueError(
        fmt::format("random_projection: got {} features of width {}; expected both at least 1", features, d));
  NoGrad guard;
  if (!o.orthogonal) return randn({features, d}, tensor, generator);
  std::vector<Tensor> blocks;
  for (int64_t made = 0; made < features; made += d) {
    // Q of a Gaussian matrix is uniform over rotations only if R's diagonal is positive, which LAPACK does not promise;
    // Mezzadri 2007.
    auto [q, r] = qr(randn({d, d}, {f64, tensor.device}, generator));
    blocks.push_back(transpose(q * sign(diagonal(r)), 0, 1).narrow(0, 0, std::min(d, features - made)));
  }
  Tensor rows = cat(blocks);  // of length 1
  if (o.fixed_norm) return (rows * std::sqrt(double(d))).to(tensor.dtype);
  return (rows * norm(randn({features, d}, {f64, tensor.device}, generator), {-1}, true)).to(tensor.dtype);
}

namespace {
void check_projection(const char* op, const Tensor& x, const Tensor& w) {
  if (w.dim() != 2 || x.dim() < 1 || x.size(-1) != w.size(1))
    throw ShapeError(
        fmt::format("{}: the projection does not fit; got x {}, projection {}; expected [..., d] and [features, d]", op,
                    x.shape().str(), w.shape().str()));
}
Tensor scaled(const Tensor& x) { return x * std::pow(double(x.size(-1)), -0.25); }
Tensor half_square(const Tensor& x) { return sum(square(x), {-1}, true) * 0.5; }
// log phi_w(x) = w . x' - |x'|^2 / 2, [..., m].
Tensor log_features(const Tensor& x, const Tensor& w) {
  Tensor s = scaled(x);
  return linear(s, w) - half_square(s);
}
Tensor relu_features(const Tensor& x, const Tensor& w) { return relu(linear(scaled(x), w)) + 1e-3; }
}  // namespace

Tensor random_features(RandomFeatures kind, const Tensor& x, const Tensor& w) {
  check_projection("random_features", x, w);
  const double share = 1 / std::sqrt(double(w.size(0)));
  switch (kind) {
    case RandomFeatures::positive:
      return exp(log_features(x, w)) * share;  // (6.7)
    case RandomFeatures::trigonometric: {      // e^{q'.k'} = e^{|q'|^2/2 + |k'|^2/2} E cos(w . (q' - k'))
      Tensor s = scaled(x), angle = linear(s, w);
      return cat({cos(angle), sin(angle)}, -1) * exp(half_square(s)) * share;
    }
    case RandomFeatures::relu:
      return relu_features(x, w) * share;
  }
  throw ValueError(fmt::format("random_features: no such kind; got {}", int(kind)));
}

namespace {
// The keys' features below their maximum, and -M [..., n] if causal. `past` is the state's -M.
struct Keys {
  Tensor features, decay;
};
Keys stable_keys(const Tensor& log_k, const PerformerAttentionOptions& o, const Tensor& past) {
  // A hidden key has the feature 0. While no other has been seen the maximum is -inf, and -inf - -inf would not be a
  // number.
  Tensor hidden = o.key_mask.defined() ? unsqueeze(logical_not(o.key_mask), -1) : Tensor();
  Tensor shown = hidden.defined() ? masked_fill(log_k, hidden, -1e30) : log_k, top;
  if (log_k.size(-2) == 0) return {shown, o.causal ? sum(shown, {-1}) : Tensor()};
  {
    NoGrad guard;
    if (!o.causal) {
      top = max(shown, {-2, -1}, true);  // [..., 1, 1]
    } else {
      top = std::get<0>(cummax(max(shown, {-1}), -1));               // M [..., n]
      if (past.defined()) top = maximum(top, unsqueeze(-past, -1));  // (6.10)
    }
  }
  Tensor features = exp(shown - (o.causal ? unsqueeze(top, -1) : top)) + o.eps;
  if (hidden.defined()) features = masked_fill(features, hidden, 0);
  return {features, o.causal ? -top : Tensor()};
}
}  // namespace

Tensor performer_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& projection,
                           const PerformerAttentionOptions& o, LinearState* state) {
  check_projection("performer_attention", q, projection), check_projection("performer_attention", k, projection);
  if (o.kind == RandomFeatures::trigonometric)
    throw ValueError(
        "performer_attention: trigonometric features give weights of both signs, whose sum may be 0; expected positive "
        "or relu");
  if (o.eps < 0) throw ValueError(fmt::format("performer_attention: got eps {}; expected at least 0", o.eps));
  LinearFeatures f;
  if (o.kind == RandomFeatures::relu) {
    f.q = relu_features(q, projection), f.k = relu_features(k, projection);
    if (o.key_mask.defined()) f.k = masked_fill(f.k, unsqueeze(logical_not(o.key_mask), -1), 0);
  } else {
    Tensor log_q = log_features(q, projection);
    f.q = exp(log_q - max(log_q.detach(), {-1}, true)) + o.eps;
    Keys keys = stable_keys(log_features(k, projection), o, state ? state->decay : Tensor());
    f.k = keys.features, f.decay = keys.decay;
  }
  // 1 / sqrt(m) cancels. With o.eps the denominator is positive already; the 1e-16 is for rows that see no key and for
  // o.eps = 0.
  return linear_attention(f, v, {.causal = o.causal, .form = o.form, .chunk = o.chunk, .eps = 1e-16}, state);
}

}  // namespace ink
