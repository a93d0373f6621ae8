// Multi-head attention with plain softmax; Vaswani et al. 2017, section 3.2.
#pragma once
#include "nn/linear.h"

namespace ink {

// softmax(Q K^T / sqrt(d)) V for q [..., n, d], k [..., m, d], v [..., m, e] -> [..., n, e]. With `causal`, query i sees keys
// 0 .. i + m - n. `mask` (bool, broadcast to [..., n, m]) keeps the true entries; a row without any gives 0. DTypeError for another mask.
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, bool causal = false, const Tensor& mask = {}, double dropout_p = 0);

struct MultiHeadAttentionOptions {
  int64_t dim, heads;
  bool causal = false, bias = true;
  bool rotary = false;  // rotate q and k by their positions
  double dropout = 0;   // on the attention weights, while training
};

// Keys and values of the tokens seen so far, [batch, heads, time, dim / heads]; undefined at the start.
struct KeyValueCache { Tensor key, value; };

struct MultiHeadAttention : Module {
  MultiHeadAttentionOptions options;
  Linear qkv, out;  // qkv holds the query, key and value projections side by side
  explicit MultiHeadAttention(const MultiHeadAttentionOptions& options);
  // x [batch, time, dim] -> [batch, time, dim]; mask as in attention().
  Tensor forward(const Tensor& x, const Tensor& mask = {}) const;
  // Continues a sequence: x holds the new tokens only, cache those before it and is extended.
  Tensor step(const Tensor& x, KeyValueCache& cache) const;
  void fields(Fields& f) override { f("qkv", qkv)("out", out); }

 private:
  Tensor attend(const Tensor& x, const Tensor& mask, KeyValueCache* cache) const;
};

}  // namespace ink
