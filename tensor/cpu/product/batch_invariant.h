// Matrix products whose rows do not depend on each other.
#pragma once
#include "tensor/backend/kernels.h"

namespace ink::INK_CPU_LEVEL {

// The product of g in f32 or f64, with its bias; the epilogue is not looked at. k may be 0.
void batch_invariant_gemm(const GemmArgs& g);

}  // namespace ink::INK_CPU_LEVEL
