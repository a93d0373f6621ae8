// The recurrence over a matrix on which most linear RNNs are built. A state S [dk, dv] holds values by keys; each step
// fades it, may rewrite what stands under one direction, adds a pair, and is read by a query:
//
//   S_t = diag(w_t) S_{t-1} + p_t (r_t^T S_{t-1}) + k_t v_t^T,   o_t = S_t^T q_t.
//
//   RetNet, SSD (Mamba-2), Mamba-3   w a number per head or step              Sun et al. 2023; Dao & Gu 2024
//   GLA, RWKV-5, RWKV-6              w a number per key                       Yang et al. 2024; Peng et al. 2024
//   DeltaNet                         w = 1, p = -beta k, r = k, k <- beta k   Yang et al. 2024b
//   Gated DeltaNet                   the same under w = alpha per step        Yang et al. 2025
//   Kimi Delta Attention             w = alpha per key, r = alpha k           Kimi Team 2025
//   RWKV-7                           w per key, p = -a kappa, r = kappa       Peng et al. 2025
#pragma once
#include <cstdint>

#include "tensor/tensor.h"

namespace ink {

// How the recurrence is computed. All agree to rounding.
enum class StateForm {
  recurrent,  // step by step: n steps of dk dv work each, state only
  parallel,   // all pairs of steps at once: n^2, no state but the one at the start
  chunked,    // all pairs within a chunk, the state from chunk to chunk: n chunk + n dk dv / chunk
};

struct MatrixStateInputs {
  Tensor q, k, v;  // [batch, heads, n, dk], the same, [batch, heads, n, dv]
  // log w, at most 0: [batch, heads, n] per step, [batch, heads, n, dk] per key, or undefined (w = 1)
  Tensor log_decay = {};
  Tensor erase = {}, read = {};  // p and r, [batch, heads, n, dk]; both or neither
};
struct MatrixStateOptions {
  StateForm form = StateForm::chunked;
  int64_t chunk = 16;  // steps
};

// o [batch, heads, n, dv]. `state` [batch, heads, dk, dv] is S before the first step (undefined: 0) and becomes S after
// the last. Differentiable any number of times. Halves are computed in f32. ShapeError if shapes do not fit; ValueError
// for a chunk below 1 or one of erase and read alone.
Tensor matrix_state(const MatrixStateInputs& in, Tensor& state, const MatrixStateOptions& options = {});

}  // namespace ink
