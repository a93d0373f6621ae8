// RWKV-7 "Goose" (Peng et al. 2025): the delta rule under a decay per key channel, with the strength a of erasing per
// channel too and a removal key kappa of its own:
//
//   S_t = diag(w_t) S_{t-1} - (a_t o kappa_t) (kappa_t^T S_{t-1}) + k_t v_t^T,   y_t = S_t^T r_t,
//   w = e^{-e^{-1/2} sigmoid(..)}: never below 0.545, so that what a step sees is not gone after the next.
#pragma once
#include "nn/ssm/linear/heads.h"
#include "nn/ssm/matrix_state.h"
#include "nn/ssm/rwkv/shift.h"

namespace ink {

struct Rwkv7Options {
  int64_t dim, heads;
  int64_t decay_rank = 64, erase_rank = 64, value_rank = 32, gate_rank = 128;  // of the maps that make them
  // Values are mixed with those of the first block. Not in a block of its own (TransformerBlock, GPT), which hands on
  // nothing but x: call step() with `first_value`.
  bool value_residual = false;
  Depth depth = {};
  MatrixStateOptions state = {};
};

// out((norm(y) + (sum of r o k o r_k) v) o gate), the norm per head with weights. A block is this layer and
// RwkvChannelMix without a gate.
struct Rwkv7TimeMix : Module {
  struct State {
    int64_t time = 0;
    Tensor last;    // the last token, [batch, 1, dim]
    Tensor memory;  // S, [batch, heads, size, size]
    std::vector<Tensor*> tensors() { return {&last, &memory}; }
  };
  Rwkv7Options options;
  Param shift;                       // [6, dim]: the share of the token before, for r, w, k, v, a and gate
  LowRank decay, erase, gate;        // the arguments of w's and a's sigmoids, and the gate
  std::optional<LowRank> value_mix;  // with value_residual, but in the first block
  Param erase_key, write_key;        // k_k and k_a, [dim]: kappa = k o k_k, k~ = k o (1 + (a - 1) o k_a)
  Param bonus;                       // r_k, [heads, size]
  Linear receptance, key, value, out;
  Param norm_weight, norm_bias;
  explicit Rwkv7TimeMix(const Rwkv7Options& options);
  Tensor forward(const Tensor& x) const;             // [batch, time, dim] -> the same
  Tensor step(const Tensor& x, State& state) const;  // NotSupported with value_residual
  // With value_residual: `first_value` [batch, time, dim] is made by the first block for these tokens and read by the
  // others.
  Tensor step(const Tensor& x, State& state, Tensor& first_value) const;
  void fields(Fields& f) override;

 private:
  Tensor mixed(const Tensor& x, State& state, Tensor* first_value) const;
};

// log w = -e^{-1/2} sigmoid(z), for any z in (-0.607, 0).
Tensor rwkv7_log_decay(const Tensor& z);

}  // namespace ink
