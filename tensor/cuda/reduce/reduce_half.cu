// Reductions of f16 and bf16, accumulated in wider types.
#include "tensor/cuda/reduce/reduce.h"

namespace ink::cuda {
ReduceEntry reduce_half(DType t, int op) {
  return t == DType::f16 ? reduce_at<half>(ReduceOps{}, op) : reduce_at<bfloat16>(ReduceOps{}, op);
}
}  // namespace ink::cuda
