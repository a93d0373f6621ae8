// The formulas of two operands in f64.
#include "tensor/cuda/elementwise/elementwise.h"

namespace ink::cuda {
BinaryEntry binary_f64(int op) { return binary_at<double>(BinaryOps{}, op); }
}  // namespace ink::cuda
