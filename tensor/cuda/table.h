// The functions of the CUDA backend, one per slot of Kernels.
#pragma once
#include "tensor/kernels.h"

namespace ink::cuda {

#include "tensor/slots.inc"

}  // namespace ink::cuda
