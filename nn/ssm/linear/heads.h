// Parts that layers over a matrix state share: heads, checks of what goes in, maps of low rank.
#pragma once
#include "nn/module.h"

namespace ink {

// ShapeError unless x is [batch, time, dim]. `layer` is named in the error.
void check_tokens(const char* layer, const Tensor& x, int64_t dim);
// ValueError unless all are positive and `heads` divides dim and value_dim.
void check_heads(const char* layer, int64_t dim, int64_t heads, int64_t value_dim);

Tensor to_heads(const Tensor& x, int64_t heads);  // [batch, time, heads d] -> [batch, heads, time, d]
Tensor from_heads(const Tensor& x);               // [batch, heads, time, d] -> [batch, time, heads d]
// Vectors along the last dim at length 1; 0 stays 0, with a finite gradient.
Tensor unit_length(const Tensor& x);

// bias + f(x A) B with A [dim, rank], B [rank, out]: what RWKV, GLA and KDA make their decays, gates and shifts with.
struct LowRank : Module {
  enum class Between {
    nothing,  // f(x) = x
    tanh,
    sigmoid,
  };
  Between between;
  Param down, up, bias;  // [dim, rank], [rank, out], [out] or absent
  // `start`: what the bias begins with; undefined: no bias. A begins as a linear layer does. B begins at 0 where
  // `from_zero`, so that the map is its bias at first.
  LowRank(int64_t dim, int64_t rank, int64_t out, Between between, const Tensor& start = {}, bool from_zero = false);
  Tensor forward(const Tensor& x) const;
  void fields(Fields& f) override { f("down", down)("up", up)("bias", bias); }
};

}  // namespace ink
