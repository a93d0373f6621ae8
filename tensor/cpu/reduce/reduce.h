// Reductions: what one of them needs of its operation and input dtype. The driver (reduce.cpp) walks memory and knows
// neither; halves reach it as f32.
#pragma once
#include "tensor/cpu/elementwise/contiguous_run.h"

namespace ink::INK_CPU_LEVEL {

struct Reducer {
  int64_t accumulator_size;                                  // bytes of a accumulator, at most 16
  void (*start)(void* accumulators, int64_t n);              // accumulators[0, n) = identity
  void (*row)(void* accumulator, const void* x, int64_t n);  // accumulator += x[0] + ... + x[n - 1]
  void (*columns)(void* accumulators, const void* x, int64_t rows, int64_t stride,
                  int64_t n);                                      // accumulators[j] += sum_i x[i * stride + j]
  void (*merge)(void* accumulator, const void* other, int64_t n);  // accumulator[j] += other[j]
  void (*finish)(void* out, const void* accumulators, int64_t n);  // the result, in the compute type of the output
};

Reducer reducer_float(DType dtype, int op);
Reducer reducer_other(DType dtype, int op);

}  // namespace ink::INK_CPU_LEVEL
