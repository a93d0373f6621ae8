// Matrix products on the CPU: BLAS at one thread, called from the library's own threads.
#pragma once
#include "tensor/kernels.h"

namespace ink {

// C[b] = alpha A[b] B[b] + beta C[b] with A [m, k], B [k, n], C [m, n], b < batch, for f32, f64, c64 and c128. A and B
// have one stride of 1 (the stride of a dim of size 1 is free) and the other one at least as large as the dim with
// stride 1; a batch stride of 0 repeats the matrix. C has column stride 1. With beta = 0 the old values of C are not
// read. The work is cut by its size alone, so the bits of C do not depend on the number of threads. DTypeError for
// another dtype, ShapeError for strides that BLAS cannot walk, NotSupported without OpenBLAS.
void gemm(const GemmArgs& g);

}  // namespace ink
