// Recurrences as ops: what state space models and linear recurrent networks are made of. Layers that use them stand in
// nn/ssm/.
#pragma once
#include <tuple>

#include "tensor/tensor.h"

namespace ink {

// How a recurrence over n steps is computed; (work, depth) in multiplications per element. All give the same numbers up
// to rounding.
enum class ScanAlgorithm {
  sequential,     // step by step, neighbouring elements side by side (n, n): the kernel, fastest on a CPU
  hillis_steele,  // every element joined with the one 1, 2, 4, ... before it (n log n, log n). Hillis & Steele 1986
  // pairs joined to a half as long recurrence, whose results are handed back down (2n, 2 log n). Blelloch 1990
  blelloch,
  // chunks from 0, a recurrence over the chunks, then what the chunks before have left is added (2n, n / chunks +
  // chunks)
  chunked,
};

struct LinearRecurrenceOptions {
  Tensor start = {};     // h before the first step: the full shape without dim; undefined: 0
  bool reverse = false;  // h_t = a_t h_{t+1} + b_t: the last step is the first
  ScanAlgorithm algorithm = ScanAlgorithm::sequential;
};

// h_t = a_t h_{t-1} + b_t along `dim`, real or complex; a and b broadcast to the shape of the result (a of size 1 in
// dim: the same factor at every step). Halves are computed in f32. Differentiable in a, b and start, any number of
// times. ShapeError if shapes do not fit, DTypeError for integers.
Tensor linear_recurrence(const Tensor& a, const Tensor& b, int64_t dim, const LinearRecurrenceOptions& options = {});

// The selective scan of Mamba (Gu & Dao 2023, algorithm 2, with the step of its code: e^{delta A} for A, delta B for
// B):
//   h_t = e^{delta_t A} h_{t-1} + delta_t B_t x_t,   y_t = sum over states of C_t h_t
// for x, delta [batch, time, channels], A [channels, states], B, C [batch, time, states], start [batch, channels,
// states] (undefined: 0)
// -> {y [batch, time, channels], the last h [batch, channels, states]}. Memory O(batch time channels): the states of
// all steps are never stored. Differentiable in all of them, any number of times. Real dtypes; halves are computed in
// f32. ShapeError if shapes do not fit.
std::tuple<Tensor, Tensor> selective_scan(const Tensor& x, const Tensor& delta, const Tensor& A, const Tensor& B,
                                          const Tensor& C, const Tensor& start = {});

}  // namespace ink
