// FLASH: a gated attention unit of linear cost, by mixed chunk attention; Hua et al. 2022, "Transformer quality in
// linear time", section 3. Within a chunk of c tokens every pair is weighed; across chunks keys and values are summed
// up:
//
//   quadratic   relu(Q K^T)^2 / (c s) V        inside each chunk; causal: its lower triangle
//   linear      Q' (sum of K'^T V) / tokens    over all tokens; causal: over the chunks before
//
// and O = (U o (quadratic + linear)) W_o. Four affine pairs make Q, K, Q', K' from one Z.
#pragma once
#include "nn/attention/gated/gau.h"

namespace ink {

struct FlashGauOptions {
  int64_t dim;
  int64_t expansion = 0;  // e; 0: 2 dim
  int64_t s = 128;
  int64_t chunk = 256;  // c; as long as the sequence or longer: one chunk, which the paper calls FLASH-Quad
  bool causal = false;
  bool bias = true;
  bool rotary = false;  // rotate all four by their positions; needs an even s
  GauInit init = GauInit::ones;
};

// 3 dim e + dim s + 8 s parameters, and biases. Time O(n c e + n s e). Causal sums take n/c s e numbers, where a sum
// for every token would take n s e.
struct FlashGau : GatedUnit {
  FlashGauOptions options;
  explicit FlashGau(const FlashGauOptions& options);
  // x [batch, time, dim] -> the same, for any time. `mask` (bool, broadcast to [batch, 1, time]) is false for padding,
  // whose values enter no sum and whose tokens no count. ShapeError for a mask that tells queries apart: a sum serves
  // them all.
  Tensor forward(const Tensor& x, const Tensor& mask = {}) const;
  // The next tokens of a sequence, any number: the same as the last rows of forward() over all of it. The state is the
  // keys and values of the unfinished chunk and one sum [s, e]: it does not grow with the sequence. NotSupported unless
  // causal.
  Tensor step(const Tensor& x, AttentionState& state) const;
};

}  // namespace ink
