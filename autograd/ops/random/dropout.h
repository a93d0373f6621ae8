// Dropout by a known place in the stream of random numbers: ops that draw their mask again in the backward pass share
// it.
#pragma once
#include "tensor/backend/kernels.h"
#include "tensor/tensor.h"

namespace ink {

// x * (u >= p) / (1 - p), u the draws from `key` on, one per element in row-major order.
Tensor dropout_by_key(const Tensor& x, RandomKey key, double p);

}  // namespace ink
