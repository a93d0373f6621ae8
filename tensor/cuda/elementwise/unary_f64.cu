// The formulas of one operand in f64.
#include "tensor/cuda/elementwise/elementwise.h"

namespace ink::cuda {
UnaryEntry unary_f64(int op) { return unary_at<double>(UnaryOps{}, op); }
}  // namespace ink::cuda
