// Retention, the layer of RetNet (Sun et al. 2023): linear attention whose sum fades by a fixed factor per head,
//
//   S_n = gamma S_{n-1} + k_n^T v_n,   o_n = q_n S_n.
#pragma once
#include <vector>

#include "nn/layers/linear.h"
#include "nn/ssm/matrix_state.h"

namespace ink {

struct RetentionOptions {
  int64_t dim, heads;
  int64_t value_dim = 0;           // of all heads together; 0: 2 dim
  std::vector<double> gamma = {};  // the factor of each head, in (0, 1]; empty: 1 - 2^{-5-h}
  bool rotary = true;  // q and k turned by their positions, angles 10000^{-i / (pairs - 1)}; needs an even head size
  // o divided by sqrt(sum of the decays) and then by max(|sum of its weights|, 1), as torchscale does. Only the scale
  // of o changes, which the norm takes out but for its eps.
  bool rescale = false;
  double eps = 1e-6;  // of the norm per head
  MatrixStateOptions state = {};
};

// out((silu(x W_g) o norm(o)): a norm per head without weights. ValueError for sizes that do not fit, factors outside
// (0, 1].
struct Retention : Module {
  struct State {
    int64_t time = 0;
    Tensor memory;  // S, [batch, heads, key size, value size]
    std::vector<Tensor*> tensors() { return {&memory}; }
  };
  RetentionOptions options;
  Linear q, k, v, gate, out;
  explicit Retention(const RetentionOptions& options);
  Tensor forward(const Tensor& x) const;                 // [batch, time, dim] -> the same
  Tensor step(const Tensor& x, State& state) const;      // the next tokens: the last rows of forward() over all of them
  Tensor retained(const Tensor& x, State& state) const;  // o before the norm, [batch, heads, time, value size]
  void fields(Fields& f) override { f("q", q)("k", k)("v", v)("gate", gate)("out", out); }
};

// 1 - 2^{-5-h} for head h = 0, 1, ...: a memory of 32, 64, 128, ... steps.
std::vector<double> retention_decays(int64_t heads);

}  // namespace ink
