#include "nn/models/transformer.h"

#include <fmt/format.h>

namespace ink {
namespace {

bool is_gated(AttentionKind kind) { return kind == AttentionKind::gau || kind == AttentionKind::flash; }

MultiHeadAttentionOptions without_dropout(MultiHeadAttentionOptions o) {
  if (!has_weights(o.kind)) o.dropout = 0;
  return o;
}

}  // namespace

TransformerBlock::TransformerBlock(const MultiHeadAttentionOptions& o) : norm1(o.dim), norm2(o.dim), drop(o.dropout) {
  if (!is_gated(o.kind)) {
    attention.emplace(without_dropout(o));
    up.emplace(o.dim, 4 * o.dim);
    down.emplace(4 * o.dim, o.dim);
    return;
  }
  for (int i = 0; i < 2; ++i)
    if (o.kind == AttentionKind::gau)
      gau.emplace_back(GauOptions{.dim = o.dim, .causal = o.causal, .bias = o.bias, .rotary = o.rotary});
    else
      flash.emplace_back(FlashGauOptions{.dim = o.dim,
                                         .chunk = o.sizes.chunk ? o.sizes.chunk : 256,
                                         .causal = o.causal,
                                         .bias = o.bias,
                                         .rotary = o.rotary});
}

Tensor TransformerBlock::mlp(const Tensor& x) const { return down->forward(gelu(up->forward(x))); }

template <class First, class Second>
Tensor TransformerBlock::residual(const Tensor& x, First first, Second second) const {
  Tensor y = x + drop.forward(first(norm1.forward(x)));
  return y + drop.forward(second(norm2.forward(y)));
}

Tensor TransformerBlock::forward(const Tensor& x, const Tensor& mask) const {
  auto units = [&](const auto& list) {
    return residual(
        x, [&](const Tensor& h) { return list[0].forward(h, mask); },
        [&](const Tensor& h) { return list[1].forward(h, mask); });
  };
  if (!gau.empty()) return units(gau);
  if (!flash.empty()) return units(flash);
  return residual(
      x, [&](const Tensor& h) { return attention->forward(h, mask); }, [&](const Tensor& h) { return mlp(h); });
}

Tensor TransformerBlock::step(const Tensor& x, BlockState& state) const {
  auto units = [&](const auto& list) {
    return residual(
        x, [&](const Tensor& h) { return list[0].step(h, state.first); },
        [&](const Tensor& h) { return list[1].step(h, state.second); });
  };
  if (!gau.empty()) return units(gau);
  if (!flash.empty()) return units(flash);
  return residual(
      x, [&](const Tensor& h) { return attention->step(h, state.first); }, [&](const Tensor& h) { return mlp(h); });
}

void TransformerBlock::fields(Fields& f) {
  f("norm1", norm1)("attention", attention)("norm2", norm2)("up", up)("down", down)("gau", gau)("flash", flash)("drop",
                                                                                                                drop);
}

}  // namespace ink
