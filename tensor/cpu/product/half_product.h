// Products of f16 and bf16 matrices.
#pragma once
#include "tensor/backend/kernels.h"

namespace ink::INK_CPU_LEVEL {

// As Kernels::gemm, with any bias and epilogue: all of it in f32, and one rounding. The sum over k is taken in order,
// so bits depend neither on the other sizes (the batch a matrix came in) nor on the number of threads.
void half_gemm(const GemmArgs& g);

}  // namespace ink::INK_CPU_LEVEL
