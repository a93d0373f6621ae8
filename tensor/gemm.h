// Matrix products on the CPU: BLAS at one thread, called from the library's own threads.
#pragma once
#include <cstdint>

#include "tensor/dtype.h"

namespace ink {

// C[b] = alpha A[b] B[b] + beta C[b] with A [m, k], B [k, n], C [m, n], b < batch. Strides count elements. A and B have
// one stride of 1 (the stride of a dim of size 1 is free) and the other one at least as large as the dim with stride 1;
// a batch stride of 0 repeats the matrix. C has column stride 1. With beta = 0 the old values of C are not read.
struct Gemm {
  DType dtype;  // f32 f64 c64 c128
  int64_t batch, m, n, k;
  const void* a;
  int64_t a_row, a_col, a_batch;
  const void* b;
  int64_t b_row, b_col, b_batch;
  void* c;
  int64_t c_row, c_batch;
  double alpha = 1, beta = 0;
};

// The work is cut by its size alone, so the bits of C do not depend on the number of threads. DTypeError for another
// dtype, ShapeError for strides that BLAS cannot walk, NotSupported without OpenBLAS.
void gemm(const Gemm& g);

}  // namespace ink
