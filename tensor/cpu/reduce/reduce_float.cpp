// Reductions of f32 and f64, compiled for this CPU level.
#include "tensor/cpu/reduce/reducers.h"

namespace ink::INK_CPU_LEVEL {

Reducer reducer_float(DType dtype, int op) {
  return visit_float(dtype, [&]<class T>() { return reducer_at<T>(ReduceOps{}, op); });
}

}  // namespace ink::INK_CPU_LEVEL
