// The formulas of one operand in f32, compiled for this CPU level.
#include "tensor/cpu/elementwise/inner.h"

namespace ink::INK_CPU_LEVEL {

Inner unary_f32(int op) { return unary_at<float>(UnaryOps{}, op); }

}  // namespace ink::INK_CPU_LEVEL
