// FLASH: pairs inside a chunk, sums across chunks, and the same token by token.
#include "nn/attention/gated/flash_gau.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autograd/ops.h"

namespace ink {

namespace {
// The affine pairs, in the order of their rows in gain and offset.
enum Pair {
  kQuadQuery,    // queries inside a chunk
  kQuadKey,      // keys inside a chunk
  kLinearQuery,  // queries of the sums across chunks
  kLinearKey,    // keys of the sums across chunks
  kPairs,        // how many there are
};

// relu(q k^T)^2 / (c s), [.., rows, keys]; as relu((q / sqrt(c s)) k^T)^2.
Tensor quadratic(const FlashGauOptions& o, const Tensor& q, const Tensor& k) {
  Tensor a = square(relu(matmul(q * (1 / std::sqrt(double(o.chunk * o.s))), transpose(k, -2, -1))));  // (8.9)
  return o.causal ? tril(a, k.size(-2) - q.size(-2)) : a;  // a query is one of the last keys
}

// Along dim 1 the sum of all before: y_g = x_0 + ... + x_{g-1}.
Tensor sum_before(const Tensor& x) {
  Tensor none = zeros_like(x.slice(1, 0, 1));
  return cumsum(cat({none, x.slice(1, 0, x.size(1) - 1)}, 1), 1);  // (8.10)
}
}  // namespace

FlashGau::FlashGau(const FlashGauOptions& o)
    : GatedUnit("FlashGau", {o.dim, o.expansion, o.s, o.bias, o.rotary, o.init}, kPairs), options(o) {
  if (o.chunk < 1) throw ValueError(fmt::format("FlashGau: got chunk {}; expected at least 1", o.chunk));
}

Tensor FlashGau::forward(const Tensor& x, const Tensor& mask) const {
  Parts p = project(x, 0);
  const int64_t batch = x.size(0), n = x.size(1);
  Tensor real = checked_mask(mask, batch, 1, n);  // [batch or 1, 1, time]
  if (real.defined()) real = transpose(real, 1, 2);
  if (n == 0) return out.forward(p.u * p.v);
  // Padding, ours and the caller's, has the value 0: it adds nothing to A V nor to K'^T V.
  Tensor v = real.defined() ? masked_fill(p.v, logical_not(real), 0) : p.v;
  const int64_t c = std::min(options.chunk, n), chunks = (n + c - 1) / c, tail = chunks * c - n;
  auto cut = [&](const Tensor& t) {  // [b, time, width] -> [b, chunks, c, width]
    return (tail ? pad(t, {0, 0, 0, tail}) : t).reshape({t.size(0), chunks, c, t.size(2)});
  };
  auto joined = [&](const Tensor& t) { return t.reshape({batch, chunks * c, e}).slice(1, 0, n); };

  Tensor vc = cut(v);
  Tensor y = joined(matmul(quadratic(options, cut(p.affine[kQuadQuery]), cut(p.affine[kQuadKey])), vc));
  const Tensor &q = p.affine[kLinearQuery], &k = p.affine[kLinearKey];
  if (!options.causal) {
    Tensor count = real.defined() ? clamp(sum(real.to(f64), {1}, true), 1) : full({1, 1, 1}, n, {f64, x.device()});
    return out.forward(p.u * (y + matmul(q, matmul(transpose(k, 1, 2), v) * reciprocal(count).to(v.dtype()))));
  }
  // Chunk g reads what the chunks before it have summed up, divided by the number of tokens in them, g c. Dividing by n
  // would need the length beforehand; dividing by c alone would let the sum grow with g.
  Tensor sums = sum_before(matmul(transpose(cut(k), -2, -1), vc));  // [batch, chunks, s, e]
  Tensor tokens = real.defined() ? sum_before(sum(cut(real.to(f64)), {2}, true))
                                 : (arange(0, chunks, 1, {f64, x.device()}) * double(c)).reshape({1, chunks, 1, 1});
  Tensor before = sums * reciprocal(clamp(tokens, 1)).to(v.dtype());
  return out.forward(p.u * (y + joined(matmul(cut(q), before))));  // (8.11)
}

Tensor FlashGau::step(const Tensor& x, AttentionState& state) const {
  if (!options.causal)
    throw NotSupported("FlashGau::step: later tokens would change earlier rows; expected causal = true");
  check_state(state.key.defined() ? state.key : state.sum, x);
  Parts p = project(x, state.time);
  std::vector<Tensor> rows{p.v.slice(1, 0, 0).unsqueeze(1)};  // nothing yet: for no tokens
  for (int64_t i = 0; i < x.size(1);) {                       // up to the end of the tokens or of a chunk
    const int64_t done = state.time % options.chunk, earlier = state.time - done;
    const int64_t j = std::min(x.size(1), i + options.chunk - done);
    auto part = [&](const Tensor& t) { return t.slice(1, i, j).unsqueeze(1); };  // [batch, 1, j - i, width]
    // A copy even of new tokens alone: a view of them would keep all of t alive.
    auto kept_and_new = [&](const Tensor& kept, const Tensor& t) {
      return kept.defined() ? cat({kept, part(t)}, 2) : cat({part(t)}, 2);
    };
    Tensor key = kept_and_new(state.key, p.affine[kQuadKey]),
           linear_key = kept_and_new(state.extra, p.affine[kLinearKey]), value = kept_and_new(state.value, p.v);
    Tensor y = matmul(quadratic(options, part(p.affine[kQuadQuery]), key), value);
    if (earlier) y = y + matmul(part(p.affine[kLinearQuery]), state.sum * (1 / double(earlier)));  // (8.11)
    rows.push_back(y);
    if (done + j - i == options.chunk) {                          // the chunk is full: only its sum is read from now on
      Tensor sum = matmul(transpose(linear_key, -2, -1), value);  // [batch, 1, s, e]
      state.sum = earlier ? state.sum + sum : sum;                // (8.10)
      key = linear_key = value = Tensor();
    }
    state.key = key, state.extra = linear_key, state.value = value;
    state.time += j - i, i = j;
  }
  return out.forward(p.u * cat(rows, 2).select(1, 0));
}

}  // namespace ink
