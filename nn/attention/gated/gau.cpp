// Gated linear units and the gated attention unit: projections, normalisers, weights by blocks of rows.
#include "nn/attention/gated/gau.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "autograd/attention.h"
#include "autograd/ops.h"
#include "nn/attention/position.h"
#include "nn/init.h"

namespace ink {

namespace {

Tensor activate(Gate gate, const Tensor& x) {
  switch (gate) {
    case Gate::none:
      return x;
    case Gate::sigmoid:
      return sigmoid(x);
    case Gate::silu:
      return silu(x);
    case Gate::gelu:
      return gelu(x);
    case Gate::relu:
      return relu(x);
  }
  throw ValueError("GatedLinearUnit: unknown gate");
}

// Meets relu(x)^2 at x = sqrt(1/2) in value and slope, and stays below 1 (Ma et al. 2022, Mega).
Tensor laplace(const Tensor& x) {
  const double mu = std::sqrt(0.5), sigma = std::sqrt(1 / (4 * std::numbers::pi));
  return 0.5 * (1 + erf((x - mu) * (1 / (sigma * std::sqrt(2.)))));  // (8.6)
}

// Causal weights are made for so many rows at a time: what lies right of a row block is neither computed nor stored.
constexpr int64_t kRows = 128;

int64_t checked_hidden(const GatedLinearUnitOptions& o) {
  if (o.dim < 1 || o.hidden < 0)
    throw ValueError(fmt::format(
        "GatedLinearUnit: got dim {}, hidden {}; expected positive sizes, or hidden 0 for 8/3 dim", o.dim, o.hidden));
  return o.hidden ? o.hidden : (8 * o.dim + 2) / 3;
}

}  // namespace

GatedLinearUnit::GatedLinearUnit(const GatedLinearUnitOptions& o)
    : options(o), uv(o.dim, 2 * checked_hidden(o), {.bias = o.bias}), out(checked_hidden(o), o.dim, {.bias = o.bias}) {}
Tensor GatedLinearUnit::forward(const Tensor& x) const {
  auto parts = chunk(uv.forward(x), 2, -1);
  return out.forward(activate(options.gate, parts[0]) * activate(options.value, parts[1]));  // (8.1)
}

GatedUnit::GatedUnit(const char* name, const Sizes& z, int64_t pairs)
    : e(z.e ? z.e : 2 * z.dim),
      s(z.s),
      // Sizes below 1 are refused in the body, under this layer's name.
      uvz(std::max<int64_t>(z.dim, 1), std::max<int64_t>(2 * e + s, 1), {.bias = z.bias}),
      out(std::max<int64_t>(e, 1), std::max<int64_t>(z.dim, 1), {.bias = z.bias}),
      name_(name),
      dim_(z.dim),
      rotary_(z.rotary) {
  if (dim_ < 1 || e < 1 || s < 1)
    throw ValueError(
        fmt::format("{}: got dim {}, expansion {}, s {}; expected positive sizes, or expansion 0 for 2 dim", name_,
                    z.dim, z.e, z.s));
  if (rotary_ && s % 2)
    throw ValueError(fmt::format("{}: rotary turns pairs; got s {}; expected an even number", name_, s));
  gain = z.init == GauInit::ones ? ones({pairs, s}) : init::normal({pairs, s}, 0.02);
  offset = zeros({pairs, s});
}

GatedUnit::Parts GatedUnit::project(const Tensor& x, int64_t past) const {
  if (x.dim() != 3 || x.size(2) != dim_)
    throw ShapeError(fmt::format("{}: wrong input; got {}; expected [batch, time, {}]", name_, x.shape().str(), dim_));
  auto uvz = split(silu(this->uvz.forward(x)), {e, e, s}, -1);  // (8.2)
  Parts parts{uvz[0], uvz[1], {}};
  for (int64_t pair = 0; pair < gain.size(0); ++pair) {
    // [batch, time, s]; under autocast Z is a half and the gains are not
    Tensor y = (uvz[2] * gain[pair] + offset[pair]).to(uvz[2].dtype());  // (8.3)
    parts.affine.push_back(rotary_ ? rotary(y, past) : y);
  }
  return parts;
}

Tensor GatedUnit::checked_mask(const Tensor& mask, int64_t batch, int64_t rows, int64_t keys) const {
  if (!mask.defined()) return mask;
  if (mask.dtype() != boolean)
    throw DTypeError(fmt::format("{}: the mask must be bool; got {}; expected true where a key may be seen", name_,
                                 name_of(mask.dtype())));
  const Shape full{batch, rows, keys};
  bool fits = mask.dim() <= 3;
  for (int d = 1; fits && d <= mask.dim(); ++d) fits = mask.size(-d) == 1 || mask.size(-d) == full[3 - d];
  if (!fits)
    throw ShapeError(
        fmt::format("{}: wrong mask; got {}; expected a shape that broadcasts to {}; hint: for padding, a mask [batch, "
                    "time] becomes [batch, 1, time] by unsqueeze(1)",
                    name_, mask.shape().str(), full.str()));
  Tensor m = mask;
  while (m.dim() < 3) m = m.unsqueeze(0);
  return m.expand({-1, rows, keys});
}

void GatedUnit::check_state(const Tensor& kept, const Tensor& x) const {
  if (kept.defined() && x.dim() == 3 && kept.size(0) != x.size(0))
    throw ShapeError(fmt::format("{}::step: wrong state; got a batch of {} in x and {} in the state", name_, x.size(0),
                                 kept.size(0)));
}

// ---------------------------------------------------------------------------------------- A
namespace {

bool is_softmax(const GauOptions& o) {
  return o.normaliser == GauNormaliser::softmax || o.normaliser == GauNormaliser::softmax_plus;
}

// Queries are the last `rows` of `keys` tokens. How many keys each of them sees, [.., rows or 1, 1], and how many are
// seen by any of them, [.., 1, 1]; at least 1, in f64: a half cannot count far.
struct Reach {
  Tensor visible, any;
};
Reach reach(const GauOptions& o, int64_t rows, int64_t keys, const Tensor& mask, Device device) {
  if (mask.defined()) {
    Tensor seen = o.causal ? mask & tri(rows, keys, keys - rows).to(device) : mask;
    return {clamp(sum(seen.to(f64), {-1}, true), 1), clamp(sum(any(seen, {-2}, true).to(f64), {-1}, true), 1)};
  }
  Tensor all = full({1, 1}, std::max<int64_t>(keys, 1), {f64, device});
  return {o.causal ? arange(keys - rows + 1, keys + 1, 1, {f64, device}).unsqueeze(1) : all, all};
}

// Queries q' such that A = f(q' k^T), for instance relu(q.k)^2 / (s c) = relu((q / sqrt(s c)).k)^2: the division is
// done on [time, s] instead of [time, time].
Tensor scaled(const GauOptions& o, const Tensor& q, const Reach& r) {
  const double rs = 1 / std::sqrt(double(o.s));
  Tensor factor;
  switch (o.normaliser) {
    case GauNormaliser::count:
      factor = rs * rsqrt(r.visible);
      break;
    case GauNormaliser::length:
      factor = rs * rsqrt(r.any);
      break;
    case GauNormaliser::square:
      factor = reciprocal(r.any);
      break;
    case GauNormaliser::softmax_plus:
      factor = rs / std::log(512.) * log(clamp(r.visible, 16));
      break;
    case GauNormaliser::softmax:
    case GauNormaliser::laplace:
      return q * rs;
  }
  return q * factor.to(q.dtype());
}

// f(q' k^T) with 0 where a key is not seen. mask [.., rows, keys] or undefined.
Tensor weights(const GauOptions& o, const Tensor& q, const Tensor& k, const Tensor& mask) {
  Tensor scores = matmul(q, transpose(k, -2, -1));
  Tensor a = o.normaliser == GauNormaliser::laplace ? laplace(scores) : square(relu(scores));  // (8.5)
  if (o.causal) a = tril(a, k.size(-2) - q.size(-2));
  return mask.defined() ? masked_fill(a, logical_not(mask), 0) : a;
}

// laplace cannot take its divisor into the scores: it is divided by at the end, per row.
Tensor finished(const GauOptions& o, const Tensor& y, const Reach& r) {
  return o.normaliser == GauNormaliser::laplace ? y * reciprocal(r.visible).to(y.dtype()) : y;
}

// softmax(q' k^T) v without the matrix in memory.
Tensor softmax_attention(const GauOptions& o, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) {
  AttentionOptions options{.causal = o.causal ? Causal::bottom_right : Causal::no, .scale = 1.0};
  if (mask.defined()) options.mask = mask.unsqueeze(1);
  return scaled_dot_product_attention(q.unsqueeze(1), k.unsqueeze(1), v.unsqueeze(1), options)
      .select(1, 0);  // one head
}

// A V for queries q [batch, rows, s], the last ones of k [batch, keys, s], v [batch, keys, e].
Tensor mix(const GauOptions& o, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) {
  const int64_t rows = q.size(1), keys = k.size(1), past = keys - rows;
  const Reach r = reach(o, rows, keys, mask, q.device());
  const Tensor queries = scaled(o, q, r);
  if (is_softmax(o)) return softmax_attention(o, queries, k, v, mask);
  if (!o.causal) return finished(o, matmul(weights(o, queries, k, mask), v), r);
  std::vector<Tensor> blocks{v.slice(1, 0, 0)};  // nothing yet: for a sequence without tokens
  for (int64_t i = 0; i < rows; i += kRows) {
    const int64_t j = std::min(rows, i + kRows), seen = past + j;
    Tensor part = mask.defined() ? mask.slice(1, i, j).slice(2, 0, seen) : mask;
    Tensor a = weights(o, queries.slice(1, i, j), k.slice(1, 0, seen), part);  // [batch, j - i, seen]
    blocks.push_back(matmul(a, v.slice(1, 0, seen)));
  }
  return finished(o, cat(blocks, 1), r);
}

}  // namespace

// ---------------------------------------------------------------------------------------- the layer
GatedAttentionUnit::GatedAttentionUnit(const GauOptions& o)
    : GatedUnit("GatedAttentionUnit", {o.dim, o.expansion, o.s, o.bias, o.rotary, o.init}, 2), options(o) {}

Tensor GatedAttentionUnit::forward(const Tensor& x, const Tensor& mask) const {
  Parts p = project(x, 0);
  Tensor seen = checked_mask(mask, x.size(0), x.size(1), x.size(1));
  return out.forward(p.u * mix(options, p.affine[0], p.affine[1], p.v, seen));  // (8.4)
}

Tensor GatedAttentionUnit::attention_matrix(const Tensor& x, const Tensor& mask) const {
  Parts p = project(x, 0);
  const int64_t n = x.size(1);
  Tensor seen = checked_mask(mask, x.size(0), n, n);
  const Reach r = reach(options, n, n, seen, x.device());
  Tensor q = scaled(options, p.affine[0], r), k = p.affine[1];
  if (is_softmax(options)) {  // attention to unit vectors is the matrix itself
    Tensor unit = eye(n, k.options()).expand({x.size(0), n, n});
    return softmax_attention(options, q, k, unit, seen);
  }
  return finished(options, weights(options, q, k, seen), r);
}

Tensor GatedAttentionUnit::step(const Tensor& x, AttentionState& state) const {
  if (!options.causal)
    throw NotSupported("GatedAttentionUnit::step: later tokens would change earlier rows; expected causal = true");
  if (options.normaliser == GauNormaliser::length || options.normaliser == GauNormaliser::square)
    throw NotSupported(
        "GatedAttentionUnit::step: the weights are divided by the length of the whole sequence, which is not known "
        "yet; expected count, softmax, softmax_plus or laplace");
  Parts p = project(x, state.time);
  check_state(state.key, x);
  state.append(p.affine[1].unsqueeze(1), p.v.unsqueeze(1));  // [batch, 1, time, ..]: one head
  return out.forward(p.u * mix(options, p.affine[0], state.key.select(1, 0), state.value.select(1, 0), {}));
}

// ---------------------------------------------------------------------------------------- small parts
ScaleNorm::ScaleNorm(double eps) : weight(ones({1})), eps(eps) {}
Tensor ScaleNorm::forward(const Tensor& x) const {
  Tensor length = norm(x, {-1}, true) * (1 / std::sqrt(double(x.size(-1))));
  return x / clamp(length, eps) * weight;
}

Tensor token_shift(const Tensor& x, const Tensor& before) {
  if (x.dim() != 3) throw ShapeError(fmt::format("token_shift: got {}; expected [batch, time, dim]", x.shape().str()));
  const int64_t half = x.size(2) / 2, time = x.size(1);
  Tensor first = before.defined() ? before.slice(2, 0, half) : zeros({x.size(0), 1, half}, x.options());
  return cat({cat({first, x.slice(2, 0, half)}, 1).slice(1, 0, time), x.slice(2, half, x.size(2))}, 2);
}

}  // namespace ink
