// The formulas of one operand for f16 and bf16, computed in f32.
#include "tensor/cuda/elementwise/elementwise.h"

namespace ink::cuda {
UnaryEntry unary_half(DType t, int op) {
  return t == DType::f16 ? unary_at<half>(UnaryOps{}, op) : unary_at<bfloat16>(UnaryOps{}, op);
}
}  // namespace ink::cuda
