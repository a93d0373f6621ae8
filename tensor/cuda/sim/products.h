// What cuBLASLt and cuFFT do on a GPU: in the simulator the CPU's kernels do it, now or when a captured step is
// replayed.
#pragma once
#include "tensor/backend/kernels.h"

namespace ink::sim {

struct Stream;
void gemm(Stream* stream, const GemmArgs& g);  // f16 and bf16 too
void fft(Stream* stream, DType dtype, void* y, const void* x, int64_t rows, int64_t n, bool inverse, double scale);

}  // namespace ink::sim
