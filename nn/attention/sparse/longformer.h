// Longformer's attention layer (Beltagy et al. 2020, section 3): a window for most tokens, and a few global tokens that
// see all and are seen by all, with projections of their own.
#pragma once
#include "nn/attention/sparse/sparse.h"
#include "nn/layers/linear.h"

namespace ink {

struct LongformerOptions {
  int64_t dim, heads;
  int64_t window;  // keys to either side; the paper counts both sides: its 512 is 256 here
  bool causal = false, bias = true;
  double dropout = 0;  // on the attention weights, while training
};

struct LongformerAttention : Module {
  LongformerOptions options;
  Linear query, key, value;
  Linear global_query, global_key, global_value;  // of what global tokens see; begin as copies of the three above
  Linear out;
  explicit LongformerAttention(const LongformerOptions& options);
  // x [batch, time, dim] -> the same, for any time: tiles that the window does not reach are skipped, so nothing need
  // be padded to a multiple of it. `global`: positions, the same in every sample; IndexError beyond time. `keep`: bool
  // [batch, time], false for padding, which nobody sees (its own outputs mean nothing). A token sees global keys
  // through `key` and `value`, once, in one softmax with its window.
  Tensor forward(const Tensor& x, const std::vector<int64_t>& global = {}, const Tensor& keep = {}) const;
  void fields(Fields& f) override {
    f("query", query)("key", key)("value", value)("global_query", global_query)("global_key", global_key);
    f("global_value", global_value)("out", out);
  }

 private:
  Tensor heads(const Tensor& x) const;  // [batch, time, dim] -> [batch, heads, time, dim / heads]
  PatternCache patterns_;
};

}  // namespace ink
