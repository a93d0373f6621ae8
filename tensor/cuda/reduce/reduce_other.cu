// Reductions of complex numbers, u8 and bool.
#include "tensor/cuda/reduce/reduce.h"

namespace ink::cuda {
ReduceEntry reduce_other(DType t, int op) {
  switch (t) {
    case DType::c64:
      return reduce_at<complex<float>>(ReduceOps{}, op);
    case DType::c128:
      return reduce_at<complex<double>>(ReduceOps{}, op);
    case DType::u8:
      return reduce_at<uint8_t>(ReduceOps{}, op);
    default:
      return reduce_at<bool>(ReduceOps{}, op);
  }
}
}  // namespace ink::cuda
