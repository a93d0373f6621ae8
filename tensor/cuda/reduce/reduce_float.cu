// Reductions of f32 and f64.
#include "tensor/cuda/reduce/reduce.h"

namespace ink::cuda {
ReduceEntry reduce_float(DType t, int op) {
  return t == DType::f32 ? reduce_at<float>(ReduceOps{}, op) : reduce_at<double>(ReduceOps{}, op);
}
}  // namespace ink::cuda
