// Gated linear attention (Yang et al. 2024): a matrix per head that fades by a factor per key channel, which follows
// from the token:
//
//   S_t = diag(alpha_t) S_{t-1} + k_t v_t^T,   o_t = S_t^T q_t,   alpha = sigmoid(x A B + b)^{1/16}.
#pragma once
#include "nn/layers/linear.h"
#include "nn/ssm/linear/heads.h"
#include "nn/ssm/matrix_state.h"

namespace ink {

struct GlaOptions {
  int64_t dim, heads;
  int64_t key_dim = 0;      // of all heads together; 0: dim / 2
  int64_t value_dim = 0;    // 0: dim
  int64_t rank = 16;        // of the map that makes the decays
  double temperature = 16;  // log alpha = log sigmoid(..) / temperature: slow at first
  double eps = 1e-5;        // of the norm per head
  MatrixStateOptions state = {};
};

// out(rms_norm(o) o silu(gate)), the norm per head with one weight for all.
struct GatedLinearAttention : Module {
  struct State {
    int64_t time = 0;
    Tensor memory;  // S, [batch, heads, key size, value size]
    std::vector<Tensor*> tensors() { return {&memory}; }
  };
  GlaOptions options;
  Linear q, k, v, gate, out;
  LowRank decay;
  Param norm;  // [value size]
  explicit GatedLinearAttention(const GlaOptions& options);
  Tensor forward(const Tensor& x) const;  // [batch, time, dim] -> the same
  Tensor step(const Tensor& x, State& state) const;
  void fields(Fields& f) override { f("q", q)("k", k)("v", v)("gate", gate)("out", out)("decay", decay)("norm", norm); }
};

}  // namespace ink
