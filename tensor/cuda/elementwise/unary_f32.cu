// The formulas of one operand in f32.
#include "tensor/cuda/elementwise/elementwise.h"

namespace ink::cuda {
UnaryEntry unary_f32(int op) { return unary_at<float>(UnaryOps{}, op); }
}  // namespace ink::cuda
