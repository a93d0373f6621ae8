// The ways in which the gemm slot makes a product.
#pragma once
#include "tensor/backend/kernels.h"

namespace ink::cuda {

// By cuBLASLt: f32 f64 c64 c128 f16 bf16, at most 65535 matrices, k > 0. False if it has no algorithm for it, say
// for this epilogue.
bool gemm_lt(const GemmArgs& g);
// i64 i32 u8, without bias and epilogue.
void gemm_integer(const GemmArgs& g);

}  // namespace ink::cuda
