// The formulas of two operands in f64, compiled for this CPU level.
#include "tensor/cpu/elementwise/inner.h"

namespace ink::INK_CPU_LEVEL {

Inner binary_f64(int op) { return binary_at<double>(BinaryOps{}, op); }

}  // namespace ink::INK_CPU_LEVEL
