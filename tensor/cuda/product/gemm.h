// The ways in which the gemm slot makes a product.
#pragma once
#include "tensor/backend/kernels.h"

namespace ink::cuda {

// By cuBLASLt: f32 f64 c64 c128 f16 bf16, at most 65535 matrices, k > 0. False if it has no algorithm for it, say
// for this epilogue.
bool gemm_lt(const GemmArgs& g);
// By a kernel of our own, without epilogue: i64 i32 u8, and f32 f64 f16 bf16 in an order of sums that k alone decides.
void gemm_own(const GemmArgs& g);

}  // namespace ink::cuda
