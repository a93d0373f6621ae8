// Matrix products on the CPU: BLAS at one thread, called from the library's own threads.
#pragma once
#include "tensor/backend/kernels.h"

namespace ink {

// C[b] = alpha A[b] B[b] + beta C[b] with A [m, k], B [k, n], C [m, n], b < batch, for f32, f64, c64 and c128. A and B
// have one stride of 1 (the stride of a dim of size 1 is free) and the other one at least as large as the dim with
// stride 1; a batch stride of 0 repeats the matrix. C has column stride 1. With beta = 0 the old values of C are not
// read. The work is cut by its size alone, so the bits of C do not depend on the number of threads. DTypeError for
// another dtype, ShapeError for strides that BLAS cannot walk, NotSupported without OpenBLAS. Bias and epilogue of g
// are not looked at: multiply knows them.
void gemm(const GemmArgs& g);

// The product by one table of kernels, with its bias and epilogue: in one call if k.gemm takes them. Else C starts as
// the bias (which costs nothing, since BLAS clears C otherwise), k.gemm adds the product, and the epilogue is one more
// pass.
void multiply(const Kernels& k, GemmArgs g);
inline bool has_extras(const GemmArgs& g) { return g.bias || g.epilogue != Epilogue::none; }

// A factor as BLAS reads it: stored by rows ('N') or by columns ('T'), with the leading dimension `ld`: the elements
// from one row (column) to the next.
struct Layout {
  char transpose;
  int ld;
};
// Whether BLAS can read a matrix with these strides: one of them is 1, the other at least as long as the dim along
// which it is 1. The stride of a dim of size 1 does not matter.
bool blas_reads(int64_t rows, int64_t cols, int64_t row_stride, int64_t col_stride);
// ShapeError with the factor's name if BLAS cannot read it.
Layout layout(const char* name, int64_t rows, int64_t cols, int64_t row_stride, int64_t col_stride);

}  // namespace ink
