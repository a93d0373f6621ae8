// Convolutions with one input channel per group, which share nothing between channels that a product could use.
#pragma once
#include "tensor/backend/kernels.h"

namespace ink::cuda {

inline bool is_depthwise(const ConvArgs& a) { return a.in == a.groups && a.groups > 1; }
// The three slots for those.
void depthwise(const ConvArgs& a, void* y, const void* x, const void* weight, const void* bias);
void depthwise_backward_input(const ConvArgs& a, void* dx, const void* dy, const void* weight);
void depthwise_backward_weight(const ConvArgs& a, void* dweight, const void* dy, const void* x);

}  // namespace ink::cuda
