// The formulas of two operands in f32.
#include "tensor/cuda/elementwise/elementwise.h"

namespace ink::cuda {
BinaryEntry binary_f32(int op) { return binary_at<float>(BinaryOps{}, op); }
}  // namespace ink::cuda
