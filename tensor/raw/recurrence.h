// Recurrences of the graph-free layer. f16 and bf16 are computed in f32 and rounded once.
#pragma once
#include <array>

#include "tensor/raw/raw.h"

namespace ink::raw {

// h_t = a_t h_{t-1} + b_t along `dim`, backwards with `reverse`. b has the full shape; a too, or size 1 in dim where
// the factor does not change; start has the full shape without dim, or is undefined (0). One field dtype, at least one
// step.
Tensor recurrence(const char* op, const Tensor& a, const Tensor& b, const Tensor& start, int dim, bool reverse);
// {da, db}, both of the full shape.
std::array<Tensor, 2> recurrence_backward(const Tensor& dh, const Tensor& a, const Tensor& h, const Tensor& start,
                                          int dim, bool reverse);

// x, delta [batch, n, channels], a [channels, states], b and c [batch, n, states], start [batch, channels, states] or
// undefined.
struct SelectiveScanTensors {
  Tensor x, delta, a, b, c, start;
};
// {y, last state, states kept for the backward pass (undefined unless `keep_states`)}. n is at least 1.
std::array<Tensor, 3> selective_scan(const char* op, const SelectiveScanTensors& in, bool keep_states);
// dlast may be undefined; start's gradient is made in any case.
SelectiveScanTensors selective_scan_backward(const Tensor& dy, const Tensor& dlast, const SelectiveScanTensors& in,
                                             const Tensor& kept);

}  // namespace ink::raw
