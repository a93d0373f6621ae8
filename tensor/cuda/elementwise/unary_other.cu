// The formulas of one operand for complex numbers, integers and bool.
#include "tensor/cuda/elementwise/elementwise.h"

namespace ink::cuda {
UnaryEntry unary_other(DType t, int op) {
  switch (t) {
    case DType::c64:
      return unary_at<complex<float>>(UnaryOps{}, op);
    case DType::c128:
      return unary_at<complex<double>>(UnaryOps{}, op);
    case DType::i64:
      return unary_at<int64_t>(UnaryOps{}, op);
    case DType::i32:
      return unary_at<int32_t>(UnaryOps{}, op);
    case DType::u8:
      return unary_at<uint8_t>(UnaryOps{}, op);
    default:
      return unary_at<bool>(UnaryOps{}, op);
  }
}
}  // namespace ink::cuda
