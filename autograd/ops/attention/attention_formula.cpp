// Attention in public ops, line by line as in attention.cpp. Pairs that are hidden have weight 0, and what stands there
// must not count: 0 times NaN is NaN. So where keys or values are not finite, sums over keys take care (`Careful`).
#include "autograd/ops/attention/attention_formula.h"

#include <limits>

#include "autograd/attention.h"
#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "autograd/ops/random/dropout.h"
#include "tensor/capture.h"

namespace ink {

using raw::AttentionMasks;

Tensor seen_by(const AttentionArgs& a, const AttentionMasks& m, Device device) {
  NoGrad guard;
  Tensor seen;
  auto also = [&](const Tensor& x) { seen = seen.defined() ? logical_and(seen, x) : x; };
  if (a.high < kNoBound) also(tri(a.nq, a.nk, a.high).to(device));
  if (a.low > -kNoBound) also(logical_not(tri(a.nq, a.nk, a.low - 1).to(device)));
  if (m.mask.defined()) also(m.mask);
  if (m.tiles.defined()) also(BlockMask{a.nq, a.nk, m.tiles, m.bits}.dense());
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
// Answered on the host; while a step is recorded nothing can be asked, so the answer is no.
bool surely_finite(const Tensor& x) {
  NoGrad guard;
  return !capture::active() && all(isfinite(x)).item<bool>();
}

// Sums over keys in which hidden pairs count for nothing, though a key that only some queries see may hold NaN or an
// infinity. A query that sees such a number gets what the plain formula gives, one that does not a finite result.
struct Careful {
  Tensor seen;  // as seen_by; undefined where nothing is hidden, or all numbers are finite: then all are plain products
  Careful(const Tensor& seen, const Tensor& keys, const Tensor& values)
      : seen(seen.defined() && !(surely_finite(keys) && surely_finite(values)) ? seen : Tensor()) {}

  Tensor hidden_as_zero(const Tensor& x) const { return seen.defined() ? masked_fill(x, logical_not(seen), 0) : x; }

  // w x, for w [.., nq, nk] that is 0 at hidden pairs and x [.., nk, width].
  Tensor weighted_sum(const Tensor& w, const Tensor& x) const {
    if (!seen.defined()) return matmul(w, x);
    const Tensor bad = logical_not(isfinite(x)), meets = matmul(to(seen, x.dtype()), to(bad, x.dtype())) > 0;
    return where(meets, matmul(w, x), matmul(w, masked_fill(x, bad, 0)));
  }
  // q k^T. The gradient of q passes by keys that are not finite: a query that sees one has no finite weights anyway.
  Tensor products(const Tensor& q, const Tensor& k) const {
    if (!seen.defined()) return matmul(q, transpose(k, -2, -1));
    const Tensor bad = any(logical_not(isfinite(k)), -1, true);  // [.., nk, 1]
    return where(transpose(bad, -2, -1), matmul(q.detach(), transpose(k.detach(), -2, -1)),
                 matmul(q, transpose(masked_fill(k, bad, 0), -2, -1)));
  }
};

struct Weights {
  Tensor capped, p, lse;  // capped: the scores before ALiBi and masks
};
Weights weights(const AttentionArgs& a, const Tensor& q, const Tensor& k, const Tensor& slopes, const Tensor& seen,
                const Careful& careful) {
  const int64_t nq = q.size(-2), nk = k.size(-2);
  Weights w;
  w.capped = careful.products(q * a.scale, k);
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
  w.p = careful.hidden_as_zero(exp(s - unsqueeze(shift, -1)));
  return w;
}

Tensor dropped(const AttentionArgs& a, const Tensor& x) {
  return a.dropout > 0 ? dropout_by_key(x, a.key, a.dropout) : x;
}
Tensor raised(const Tensor& x) { return is_half(x.dtype()) ? to(x, f32) : x; }

}  // namespace

std::array<Tensor, 2> attention_formula(const AttentionArgs& a, const Tensor& q, const Tensor& k, const Tensor& v,
                                        const AttentionMasks& masks) {
  Tensor seen = seen_by(a, masks, q.device());
  Tensor keys = cleared(for_heads(raised(k), a), seen), values = cleared(for_heads(raised(v), a), seen);
  const Careful careful(seen, keys, values);
  Weights w = weights(a, raised(q), keys, masks.slopes, seen, careful);
  return {to(careful.weighted_sum(dropped(a, w.p), values), q.dtype()), w.lse};
}

std::array<Tensor, 3> attention_formula_backward(const AttentionArgs& a, const raw::AttentionCall& call,
                                                 const AttentionMasks& masks) {
  const auto& [q, k, v, out, lse, dout, dlse] = call;
  Tensor seen = seen_by(a, masks, q.device());
  Tensor queries = raised(q), g = raised(dout);
  Tensor keys = cleared(for_heads(raised(k), a), seen), values = cleared(for_heads(raised(v), a), seen);
  const Careful careful(seen, keys, values);
  Weights w = weights(a, queries, keys, masks.slopes, seen, careful);
  Tensor dv = matmul(transpose(dropped(a, w.p), -2, -1), g);
  Tensor dp = careful.hidden_as_zero(dropped(a, matmul(g, transpose(values, -2, -1))));
  Tensor inner = dp - sum(w.p * dp, -1, true);
  if (dlse.defined()) inner = inner + unsqueeze(dlse, -1);
  Tensor ds = w.p * inner * a.scale;
  if (a.softcap > 0) ds = ds * (1 - square(w.capped / a.softcap));
  ds = careful.hidden_as_zero(ds);
  auto result = [&](const Tensor& x, const Tensor& like) { return to(x, like.dtype()); };
  return {result(careful.weighted_sum(ds, keys), q), result(from_heads(matmul(transpose(ds, -2, -1), queries), a), k),
          result(from_heads(dv, a), v)};
}

}  // namespace ink
