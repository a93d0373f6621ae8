// The formulas of two operands for complex numbers, integers and bool, compiled for this CPU level.
#include "tensor/cpu/elementwise/inner.h"

namespace ink::INK_CPU_LEVEL {

Inner binary_other(DType dtype, int op) {
  switch (dtype) {
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

}  // namespace ink::INK_CPU_LEVEL
