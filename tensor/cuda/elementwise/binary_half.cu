// The formulas of two operands for f16 and bf16, computed in f32.
#include "tensor/cuda/elementwise/elementwise.h"

namespace ink::cuda {
BinaryEntry binary_half(DType t, int op) {
  return t == DType::f16 ? binary_at<half>(BinaryOps{}, op) : binary_at<bfloat16>(BinaryOps{}, op);
}
}  // namespace ink::cuda
