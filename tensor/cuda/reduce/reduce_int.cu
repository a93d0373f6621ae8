// Reductions of i64 and i32.
#include "tensor/cuda/reduce/reduce.h"

namespace ink::cuda {
ReduceEntry reduce_int(DType t, int op) {
  return t == DType::i64 ? reduce_at<int64_t>(ReduceOps{}, op) : reduce_at<int32_t>(ReduceOps{}, op);
}
}  // namespace ink::cuda
