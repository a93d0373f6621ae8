// The formulas of two operands for complex numbers, integers and bool.
#include "tensor/cuda/elementwise/elementwise.h"

namespace ink::cuda {
BinaryEntry binary_other(DType t, int op) {
  switch (t) {
    case DType::c64:
      return binary_at<complex<float>>(BinaryOps{}, op);
    case DType::c128:
      return binary_at<complex<double>>(BinaryOps{}, op);
    case DType::i64:
      return binary_at<int64_t>(BinaryOps{}, op);
    case DType::i32:
      return binary_at<int32_t>(BinaryOps{}, op);
    case DType::u8:
      return binary_at<uint8_t>(BinaryOps{}, op);
    default:
      return binary_at<bool>(BinaryOps{}, op);
  }
}
}  // namespace ink::cuda
