// The formulas of one operand in f64, compiled for this CPU level.
#include "tensor/cpu/elementwise/inner.h"

namespace ink::INK_CPU_LEVEL {

Inner unary_f64(int op) { return unary_at<double>(UnaryOps{}, op); }

}  // namespace ink::INK_CPU_LEVEL
