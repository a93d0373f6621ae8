// The parallel forms of a first-order linear recurrence, in public ops.
#pragma once
#include "autograd/recurrence.h"

namespace ink {

// All of the full shape; start without dim, or undefined. Any algorithm but the sequential one.
Tensor recurrence_by(ScanAlgorithm algorithm, const Tensor& a, const Tensor& b, const Tensor& start, int dim,
                     bool reverse);

}  // namespace ink
