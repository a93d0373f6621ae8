// RWKV-6 "Finch" (Peng et al. 2024): a matrix per head whose decays, one per key channel, follow from the token, as
// does how much of the token before is mixed in:
//
//   y_t = (S_{t-1} + (u o k_t) v_t^T)^T r_t,   S_t = diag(w_t) S_{t-1} + k_t v_t^T.
#pragma once
#include "nn/ssm/linear/heads.h"
#include "nn/ssm/matrix_state.h"
#include "nn/ssm/rwkv/shift.h"

namespace ink {

struct Rwkv6Options {
  int64_t dim, heads;
  int64_t shift_rank = 32, decay_rank = 64;  // of the maps that make shifts and decays
  Depth depth = {};
  MatrixStateOptions state = {};
};

// out(norm(y) o silu(gate)), the norm per head with weights. A block is this layer and RwkvChannelMix.
struct Rwkv6TimeMix : Module {
  struct State {
    int64_t time = 0;
    Tensor last;    // the last token, [batch, 1, dim]
    Tensor memory;  // S, [batch, heads, size, size]
    std::vector<Tensor*> tensors() { return {&last, &memory}; }
  };
  Rwkv6Options options;
  Param shift_all, shift_each;  // [dim] and [5, dim]: what is mixed in before the token has its say
  Param shift_down, shift_up;   // [dim, 5 rank], [5, rank, dim]
  LowRank decay;                // log(-log w)
  Param first;                  // u, [heads, size]
  Linear receptance, key, value, gate, out;
  Param norm_weight, norm_bias;
  explicit Rwkv6TimeMix(const Rwkv6Options& options);
  Tensor forward(const Tensor& x) const;  // [batch, time, dim] -> the same
  Tensor step(const Tensor& x, State& state) const;
  void fields(Fields& f) override;
};

// The state is read before the pair of the same step is added: o_t = S_{t-1}^T q_t, and S after the last step in
// `state`. The other arguments as of matrix_state; log_decay per key, no erasing.
Tensor read_before_write(const MatrixStateInputs& in, Tensor& state, const MatrixStateOptions& options);

// Norm of each head by itself, then weight and bias over all: [batch, heads, time, size] -> [batch, time, heads size].
Tensor norm_of_heads(const Tensor& y, const Tensor& weight, const Tensor& bias);

}  // namespace ink
