// Matrix products of the graph-free layer. Mixed dtypes are promoted; f16 and bf16 are computed in f32 and rounded
// once.
#pragma once
#include "tensor/raw/raw.h"

namespace ink::raw {

// out = alpha a b + beta out over the last two dims: a [..., m, k], b [..., k, n], out [..., m, n] contiguous; or, with
// beta = 0, plus a bias [n] in every row. The batch dims of a and b broadcast to out's. All have one dtype that the
// gemm slot takes. A transposed or sliced factor is read by its strides; only one that BLAS cannot read is copied.
void matmul_into(const Tensor& out, const Tensor& a, const Tensor& b, double alpha = 1, double beta = 0,
                 const Tensor& bias = {});

// a [..., m, k] b [..., k, n]; ShapeError, DTypeError (bool) and DeviceError in the name of `op`.
Tensor matmul(const char* op, const Tensor& a, const Tensor& b);
// beta c + alpha a b with c broadcast to [m, n]; with beta = 0 the values of c do not matter.
Tensor addmm(const char* op, const Tensor& c, const Tensor& a, const Tensor& b, double beta, double alpha);
// x [..., in] weight [out, in]^T + bias [out]; bias may be undefined.
Tensor linear(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias);

}  // namespace ink::raw
