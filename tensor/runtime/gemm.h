// Matrix products on the CPU: BLAS at one thread, called from the library's own threads.
#pragma once
#include "tensor/backend/kernels.h"

namespace ink {

// C[b] = alpha A[b] B[b] + beta C[b] with A [m, k], B [k, n], C [m, n], b < batch, for f32, f64, c64 and c128. A and B
// have one stride of 1 (the stride of a dim of size 1 is free) and the other one at least as large as the dim with
// stride 1; a batch stride of 0 repeats the matrix. C has column stride 1. With beta = 0 the old values of C are not
// read. The work is cut by its size alone, so the bits of C do not depend on the number of threads. DTypeError for
// another dtype, ShapeError for strides that BLAS cannot walk, NotSupported without OpenBLAS. It knows no bias and no
// epilogue; gemm_in_parts does.
void gemm(const GemmArgs& g);

// A product with a bias or an epilogue, or with k = 0, by slots that know neither: C starts as the bias (which costs
// nothing, since BLAS clears C otherwise), k.gemm adds the product to it, the activation is one more pass. The gemm slot
// calls this for what it cannot do itself.
void gemm_in_parts(const Kernels& k, GemmArgs g);
inline bool has_parts(const GemmArgs& g) { return g.bias || g.epilogue != Epilogue::none; }

// A factor as BLAS sees it: a matrix that lies by rows ('N') or by columns ('T'), and the step between those.
struct Layout {
  char flip;
  int ld;
};
// ShapeError with the factor's name if BLAS cannot walk it.
Layout layout(const char* name, int64_t rows, int64_t cols, int64_t row_stride, int64_t col_stride);

}  // namespace ink
