// The slot gemm: floats by cuBLASLt (in the simulator by the CPU), integers and rows that may not depend on each other
// by a kernel of our own.
#include "tensor/runtime/gemm.h"

#include <algorithm>

#include "tensor/cuda.h"
#include "tensor/cuda/host/device.h"
#include "tensor/cuda/host/table.h"
#include "tensor/cuda/product/gemm.h"
#include "tensor/cuda/sim/products.h"
#include "tensor/error.h"

namespace ink::cuda {

bool gemm(const GemmArgs& g) {
  if (g.batch <= 0 || g.m <= 0 || g.n <= 0) return true;
  if (g.k <= 0 || (has_extras(g) && !is_floating(g.dtype))) return false;
  const bool by_rows = g.batch_invariant && is_floating(g.dtype);
  if (by_rows && g.epilogue != Epilogue::none) return false;
  if (by_rows || is_integral(g.dtype)) {
    gemm_own(g);
    return true;
  }
#if INK_CUDA_SIM
  sim::gemm(stream(), g);
#else
  constexpr int64_t kMost = 65535;  // matrices per call: not every kernel of cuBLASLt takes more
  const int64_t item = size_of(g.dtype);
  for (int64_t first = 0; first < g.batch; first += kMost) {
    GemmArgs piece = g;
    piece.batch = std::min(kMost, g.batch - first);
    piece.a = static_cast<const char*>(g.a) + first * g.a_batch * item;
    piece.b = static_cast<const char*>(g.b) + first * g.b_batch * item;
    piece.c = static_cast<char*>(g.c) + first * g.c_batch * item;
    if (gemm_lt(piece)) continue;
    if (has_extras(g) && (first == 0 || g.beta == 0)) return false;  // earlier pieces are then done again
    throw NotSupported("gemm: cuBLASLt has no algorithm for this product on this device");
  }
#endif
  return true;
}

}  // namespace ink::cuda
