// The functions of the CUDA backend, one per slot of Kernels.
#pragma once
#include <type_traits>

#include "tensor/backend/kernels.h"

namespace ink::cuda {

#include "tensor/backend/slots.inc"

const Kernels& kernels(int device);  // DeviceError if there is no such device

}  // namespace ink::cuda
