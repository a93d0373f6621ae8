// The selective state space model in three forms: a diagonal linear system whose step, input and read-out change with
// the token (Gu & Dao 2023, algorithm 2),
//
//   h_t = e^{delta_t A} h_{t-1} + delta_t B_t x_t,   y_t = sum over states of C_t h_t.
//
// B is discretised by Euler's rule, as in the published code; the paper's equation 4 has the exact step. For constant
// delta, B and C it is the time-invariant S4D-Real.
#pragma once
#include "autograd/recurrence.h"

namespace ink {

// How the recurrence is computed. All agree to rounding.
enum class SelectiveForm {
  fused,        // one kernel each way; the states of all steps are never stored: O(batch time channels) memory
  associative,  // linear_recurrence over all states, O(batch time channels states) memory, by any algorithm
  recurrent,    // token by token in plain ops
};

struct SelectiveInputs {
  Tensor x, delta;  // [batch, time, channels]
  Tensor A;         // [channels, states], negative for a memory that fades
  Tensor B, C;      // [batch, time, states]
};
struct SelectiveOptions {
  SelectiveForm form = SelectiveForm::fused;
  ScanAlgorithm algorithm = ScanAlgorithm::sequential;  // of the associative form
};

// y [batch, time, channels]. `h` [batch, channels, states] is the state before the first step (undefined: 0) and
// becomes the one after the last. Differentiable any number of times. y has the dtype that the inputs have in common;
// halves are computed in f32, in which h stays. ShapeError if shapes do not fit.
Tensor selective_ssm(const SelectiveInputs& in, Tensor& h, const SelectiveOptions& options = {});

}  // namespace ink
