// The delta rule as a layer: what stands under a key is read first, and only the difference to the new value is
// written.
//
//   S_t = A_t S_{t-1} + beta_t k_t (v_t - (A_t S_{t-1})^T k_t)^T,   o_t = S_t^T q_t
//
//   A = 1                 DeltaNet, Yang et al. 2024b
//   A = alpha_t           Gated DeltaNet, Yang et al. 2025: a factor per head
//   A = diag(alpha_t)     Kimi Delta Attention, Kimi Team 2025: a factor per key channel
#pragma once
#include <optional>

#include "nn/layers/linear.h"
#include "nn/ssm/causal_conv.h"
#include "nn/ssm/linear/heads.h"
#include "nn/ssm/matrix_state.h"

namespace ink {

enum class DeltaDecay {
  none,         // nothing fades by itself
  per_head,     // log alpha = -e^{A} softplus(x W + b), one number for a head
  per_channel,  // the same for each key channel, by a map of low rank
};
enum class DeltaGate {
  none,     // out(norm(o))
  silu,     // out(norm(o) o silu(x W))
  sigmoid,  // out(norm(o) o sigmoid(x A B)), a map of low rank
};
enum class WriteRule {
  delta,  // beta k (v - S^T k)^T: what stands under k is replaced
  add,    // beta k v^T: linear attention in the same layer, for comparisons
};

struct DeltaNetOptions {
  int64_t dim, heads;
  int64_t key_dim = 0;    // of all heads together; 0: dim
  int64_t value_dim = 0;  // 0: dim
  DeltaDecay decay = DeltaDecay::none;
  DeltaGate gate = DeltaGate::none;
  WriteRule rule = WriteRule::delta;
  bool reflections = false;  // beta in (0, 2) instead of (0, 1): 1 - beta may be negative. Grazzi et al. 2025
  int64_t conv = 4;          // width of the causal convolution on q, k and v, with silu behind; 0: none
  double eps = 1e-5;         // of the norm per head
  MatrixStateOptions state = {};
};

// q and k have length 1, q / sqrt(key size); the norm is per head with one weight for all.
struct DeltaNet : Module {
  struct State {
    int64_t time = 0;
    Tensor memory;                  // S, [batch, heads, key size, value size]
    Tensor q_tail, k_tail, v_tail;  // of the convolutions
    std::vector<Tensor*> tensors() { return {&memory, &q_tail, &k_tail, &v_tail}; }
  };
  DeltaNetOptions options;
  Linear q, k, v, beta, out;
  std::optional<CausalConv> q_conv, k_conv, v_conv;
  // of the decay: e^{rate} and b, [heads], or [heads] and [key dim]; the map of x
  Param rate, bias;
  std::optional<Linear> decay;
  std::optional<LowRank> decay_by_channel;
  std::optional<Linear> gate;
  std::optional<LowRank> gate_low_rank;
  Param norm;  // [value size]
  explicit DeltaNet(const DeltaNetOptions& options);
  Tensor forward(const Tensor& x) const;  // [batch, time, dim] -> the same
  Tensor step(const Tensor& x, State& state) const;
  // log alpha of these tokens, [batch, heads, time] or [.., key size]; undefined without a decay.
  Tensor log_decay(const Tensor& x) const;
  void fields(Fields& f) override;
};

}  // namespace ink
