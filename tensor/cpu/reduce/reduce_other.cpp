// Reductions of complex numbers, integers and bool, compiled for this CPU level.
#include "tensor/cpu/reduce/reducers.h"

namespace ink::INK_CPU_LEVEL {

Reducer reducer_other(DType dtype, int op) {
  switch (dtype) {
    case DType::c64:
      return reducer_at<complex<float>>(ReduceOps{}, op);
    case DType::c128:
      return reducer_at<complex<double>>(ReduceOps{}, op);
    case DType::i64:
      return reducer_at<int64_t>(ReduceOps{}, op);
    case DType::i32:
      return reducer_at<int32_t>(ReduceOps{}, op);
    case DType::u8:
      return reducer_at<uint8_t>(ReduceOps{}, op);
    default:
      return reducer_at<bool>(ReduceOps{}, op);
  }
}

}  // namespace ink::INK_CPU_LEVEL
