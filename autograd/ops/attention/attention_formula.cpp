#include "autograd/ops/attention/attention_formula.h"

#include <limits>

#include "autograd/attention.h"
#include "autograd/ops/random/dropout.h"
#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink {

using raw::AttentionMasks;

Tensor seen_by(const AttentionArgs& a, const AttentionMasks& m, int64_t nq, int64_t nk, Device device) {
  NoGrad guard;
  Tensor seen;
  auto also = [&](const Tensor& x) { seen = seen.defined() ? logical_and(seen, x) : x; };
  if (a.high < kNoBound) also(tri(nq, nk, a.high).to(device));
  if (a.low > -kNoBound) also(logical_not(tri(nq, nk, a.low - 1).to(device)));
  if (m.mask.defined()) also(m.mask);
  if (m.tiles.defined()) also(BlockMask{nq, nk, m.tiles, m.bits}.dense());
  return seen;
}

namespace {

// Keys and values as every query head reads them.
Tensor for_heads(const Tensor& x, const AttentionArgs& a) {
  return a.heads == a.kv_heads ? x : repeat_interleave(x, a.heads / a.kv_heads, 1);
}
// The gradient of for_heads: summed over the query heads of each key head.
Tensor from_heads(const Tensor& g, const AttentionArgs& a) {
  if (a.heads == a.kv_heads) return g;
  return sum(reshape(g, {g.size(0), a.kv_heads, a.heads / a.kv_heads, g.size(2), g.size(3)}), {2});
}
// A key that no query sees may hold anything: 0 times NaN would spoil the rest.
Tensor cleared(const Tensor& x, const Tensor& seen) {
  return seen.defined() ? masked_fill(x, unsqueeze(logical_not(any(seen, -2)), -1), 0) : x;
}

struct Weights {
  Tensor capped, p, lse;  // capped: the scores before ALiBi and masks
};
Weights weights(const AttentionArgs& a, const Tensor& q, const Tensor& k, const Tensor& slopes, const Tensor& seen) {
  const int64_t nq = q.size(-2), nk = k.size(-2);
  Weights w;
  w.capped = matmul(q * a.scale, transpose(k, -2, -1));
  if (a.softcap > 0) w.capped = tanh(w.capped / a.softcap) * a.softcap;
  Tensor s = w.capped;
  if (slopes.defined()) {
    const Options o{q.dtype(), q.device()};
    Tensor distance = abs(unsqueeze(arange(0, nk, 1, o), 0) - unsqueeze(arange(0, nq, 1, o), 1) - double(a.diagonal));
    s = s - reshape(to(slopes, q.dtype()), {-1, 1, 1}) * distance;
  }
  if (seen.defined()) s = masked_fill(s, logical_not(seen), -std::numeric_limits<double>::infinity());
  w.lse = logsumexp(s, -1);
  Tensor shift = where(w.lse == -std::numeric_limits<double>::infinity(), zeros_like(w.lse), w.lse);
  w.p = exp(s - unsqueeze(shift, -1));
  return w;
}

Tensor dropped(const AttentionArgs& a, const Tensor& x) {
  return a.dropout > 0 ? dropout_by_key(x, a.key, a.dropout) : x;
}
Tensor raised(const Tensor& x) { return is_half(x.dtype()) ? to(x, f32) : x; }

}  // namespace

std::array<Tensor, 2> attention_formula(const AttentionArgs& a, const Tensor& q, const Tensor& k, const Tensor& v,
                                        const AttentionMasks& masks) {
  Tensor seen = seen_by(a, masks, q.size(-2), k.size(-2), q.device());
  Tensor keys = cleared(for_heads(raised(k), a), seen), values = cleared(for_heads(raised(v), a), seen);
  Weights w = weights(a, raised(q), keys, masks.slopes, seen);
  return {to(matmul(dropped(a, w.p), values), q.dtype()), w.lse};
}

std::array<Tensor, 3> attention_formula_backward(const AttentionArgs& a, const Tensor& dout, const Tensor& dlse,
                                                 const Tensor& q, const Tensor& k, const Tensor& v,
                                                 const AttentionMasks& masks) {
  Tensor seen = seen_by(a, masks, q.size(-2), k.size(-2), q.device());
  Tensor queries = raised(q), g = raised(dout);
  Tensor keys = cleared(for_heads(raised(k), a), seen), values = cleared(for_heads(raised(v), a), seen);
  Weights w = weights(a, queries, keys, masks.slopes, seen);
  Tensor dv = matmul(transpose(dropped(a, w.p), -2, -1), g);
  Tensor dp = dropped(a, matmul(g, transpose(values, -2, -1)));
  Tensor inner = dp - sum(w.p * dp, -1, true);
  if (dlse.defined()) inner = inner + unsqueeze(dlse, -1);
  Tensor ds = w.p * inner * a.scale;
  if (a.softcap > 0) ds = ds * (1 - square(w.capped / a.softcap));
  auto result = [&](const Tensor& x, const Tensor& like) { return to(x, like.dtype()); };
  return {result(matmul(ds, keys), q), result(from_heads(matmul(transpose(ds, -2, -1), queries), a), k),
          result(from_heads(dv, a), v)};
}

}  // namespace ink
