#include "nn/attention/multihead.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/ops.h"
#include "nn/attention/position.h"

namespace ink {

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, bool causal, const Tensor& mask, double dropout_p) {
  if (mask.defined() && mask.dtype() != boolean)
    throw DTypeError(
        fmt::format("attention: the mask must be bool; got {}; expected true where a key may be seen; hint: mask == 0 "
                    "if it is added to scores",
                    name_of(mask.dtype())));
  Tensor scores = matmul(q * (1 / std::sqrt(double(q.size(-1)))), transpose(k, -2, -1));  // [..., n, m]
  if (!mask.defined())
    return matmul(dropout(causal ? causal_softmax(scores) : softmax(scores, -1), dropout_p, dropout_p > 0), v);
  // A query that sees no key keeps its scores: a softmax over -inf alone is NaN. Its weights are cleared afterwards.
  int64_t n = scores.size(-2), m = scores.size(-1);
  Tensor hidden = logical_not(mask), seen = causal ? mask & tri(n, m, m - n).to(mask.device()) : mask;
  scores = masked_fill(scores, hidden & any(seen, -1, true), -INFINITY);
  Tensor weights = masked_fill(causal ? causal_softmax(scores) : softmax(scores, -1), hidden, 0.0);
  return matmul(dropout(weights, dropout_p, dropout_p > 0), v);
}

MultiHeadAttention::MultiHeadAttention(const MultiHeadAttentionOptions& o)
    : options(o), qkv(o.dim, 3 * o.dim, {.bias = o.bias}), out(o.dim, o.dim, {.bias = o.bias}) {
  if (o.heads < 1 || o.dim % o.heads)
    throw ValueError(
        fmt::format("MultiHeadAttention: dim must be a multiple of heads; got dim {}, heads {}", o.dim, o.heads));
}

Tensor MultiHeadAttention::attend(const Tensor& x, const Tensor& mask, KeyValueCache* cache) const {
  if (x.dim() != 3 || x.size(2) != options.dim)
    throw ShapeError(fmt::format("MultiHeadAttention: wrong input; got {}; expected [batch, time, {}]", x.shape().str(),
                                 options.dim));
  int64_t batch = x.size(0), time = x.size(1), width = options.dim / options.heads;
  auto parts = unbind(reshape(qkv.forward(x), {batch, time, 3, options.heads, width}), 2);
  for (Tensor& part : parts) part = permute(part, {0, 2, 1, 3});  // [batch, heads, time, width]
  Tensor &q = parts[0], &k = parts[1], &v = parts[2];
  int64_t past = cache && cache->key.defined() ? cache->key.size(2) : 0;
  if (options.rotary) {
    q = rotary(q, past);
    k = rotary(k, past);
  }
  if (cache) {
    cache->key = k = past ? cat({cache->key, k}, 2) : k;
    cache->value = v = past ? cat({cache->value, v}, 2) : v;
  }
  Tensor y = attention(q, k, v, options.causal, mask, is_training() ? options.dropout : 0);
  return out.forward(reshape(permute(y, {0, 2, 1, 3}), {batch, time, options.dim}));
}
Tensor MultiHeadAttention::forward(const Tensor& x, const Tensor& mask) const { return attend(x, mask, nullptr); }
Tensor MultiHeadAttention::step(const Tensor& x, KeyValueCache& cache) const { return attend(x, {}, &cache); }

}  // namespace ink
