// The block that transformers repeat, with any kind of attention.
#pragma once
#include <optional>

#include "nn/layers/activation.h"
#include "nn/attention/gated/flash_gau.h"
#include "nn/attention/multihead.h"
#include "nn/layers/norm.h"

namespace ink {

// What a block remembers of the tokens before; empty at the start.
struct BlockState {
  AttentionState first, second;  // second: of the second gated unit, with gau and flash
  int64_t time() const { return first.time; }
  int64_t bytes() const { return first.bytes() + second.bytes(); }
};

// x + Attention(LayerNorm(x)), then x + MLP(LayerNorm(x)) with a hidden layer of 4 dim; with kind gau or flash two
// gated attention units in the place of these two, which weigh about as much. dropout: on what is added to x, and on
// the attention weights of kinds that have some.
struct TransformerBlock : Module {
  LayerNorm norm1, norm2;
  std::optional<MultiHeadAttention> attention;
  std::optional<Linear> up, down;
  std::vector<GatedAttentionUnit> gau;
  std::vector<FlashGau> flash;
  Dropout drop;
  explicit TransformerBlock(const MultiHeadAttentionOptions& options);
  Tensor forward(const Tensor& x, const Tensor& mask = {}) const;  // [batch, time, dim]; mask as the kind takes it
  Tensor step(const Tensor& x, BlockState& state) const;           // the new tokens only
  void fields(Fields& f) override;

 private:
  // x + first(norm1 x), then + second(norm2 ..)
  template <class First, class Second>
  Tensor residual(const Tensor& x, First first, Second second) const;
  Tensor mlp(const Tensor& x) const;
};

}  // namespace ink
