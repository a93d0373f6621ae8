// State space duality (Dao & Gu 2024): the selective state space model with one decay per head, in which case it is
// masked attention as well. Per head, with a_t = delta_t A,
//
//   S_t = e^{a_t} S_{t-1} + B_t (delta_t x_t)^T,   y_t = S_t^T C_t                 recurrent
//   Y = (L o C B^T) (delta X),   L_ij = e^{a_{j+1} + ... + a_i} for j <= i, else 0  parallel
//
// and, in between, pairs within a chunk and the state from chunk to chunk. It is the matrix state of
// nn/ssm/matrix_state.h, with queries C, keys B and values delta x.
#pragma once
#include "nn/ssm/matrix_state.h"

namespace ink {

struct SsdInputs {
  Tensor x;      // [batch, time, heads, width]
  Tensor delta;  // [batch, time, heads]
  Tensor A;      // [heads], negative for a memory that fades
  Tensor B, C;   // [batch, time, groups, states]; a group serves heads / groups neighbouring heads
};

// y [batch, time, heads, width]. `state` [batch, heads, states, width] is S before the first step (undefined: 0) and
// becomes S after the last. Differentiable any number of times. y has the dtype that the inputs have in common; halves
// are computed in f32, in which the state stays. ShapeError if shapes do not fit, ValueError for a chunk below 1.
Tensor ssd(const SsdInputs& in, Tensor& state, const MatrixStateOptions& options = {});

}  // namespace ink
