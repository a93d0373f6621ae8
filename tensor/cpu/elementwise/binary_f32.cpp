// The formulas of two operands in f32, compiled for this CPU level.
#include "tensor/cpu/elementwise/inner.h"

namespace ink::INK_CPU_LEVEL {

Inner binary_f32(int op) { return binary_at<float>(BinaryOps{}, op); }

}  // namespace ink::INK_CPU_LEVEL
