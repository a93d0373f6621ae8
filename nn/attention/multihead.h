// Multi-head attention (Vaswani et al. 2017, section 3.2): projections of the input to heads, any kind of attention
// between them, and a projection back.
#pragma once
#include "nn/attention/kinds.h"
#include "nn/layers/linear.h"
#include "nn/step_places.h"

namespace ink {

// ValueError unless dim is a multiple of heads and heads of kv_heads; and what the kind refuses (kinds.h).
struct MultiHeadAttention : Module {
  using State = AttentionState;
  MultiHeadAttentionOptions options;
  Linear qkv, out;  // qkv holds the query, key and value projections side by side; with lsh those of queries and values
  AnyCore core;
  explicit MultiHeadAttention(const MultiHeadAttentionOptions& options);
  // x [batch, time, dim] -> [batch, time, dim]; mask (bool, broadcast to [batch, heads, time, time]) is true where a
  // key may be seen.
  Tensor forward(const Tensor& x, const Tensor& mask = {}) const;
  // Continues a sequence: x holds the new tokens only, state what is kept of those before. NotSupported unless causal,
  // and by kinds without a form that goes token by token.
  Tensor step(const Tensor& x, AttentionState& state) const;
  // The same for tokens that stand where `places` says. NotSupported by kinds that are not softmax over all keys.
  Tensor step(const Tensor& x, AttentionState& state, const StepPlaces& places) const;
  bool takes_places() const { return options.causal && core->takes_step_mask(); }
  void fields(Fields& f) override { f("qkv", qkv)("out", out)("core", *core); }

 private:
  struct Heads {
    Tensor q, k, v;
  };
  MultiHeadAttention(const MultiHeadAttentionOptions& options, AnyCore core);
  // Turned by positions past, past + 1, .., or by those of `places`.
  Heads project(const Tensor& x, int64_t past, const StepPlaces* places = nullptr) const;
  Tensor join(const Tensor& y) const;
};

}  // namespace ink
