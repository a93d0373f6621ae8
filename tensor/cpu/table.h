// The functions of one CPU level, one per slot of Kernels (what they do is told there). The level's name is a
// namespace, so that code compiled for different instruction sets never shares a symbol.
#pragma once
#include <type_traits>

#include "tensor/backend/kernels.h"

namespace ink::INK_CPU_LEVEL {

#include "tensor/backend/slots.inc"

extern const Kernels table;

}  // namespace ink::INK_CPU_LEVEL
