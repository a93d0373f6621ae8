// Matrix products: halves by half_product.h, other floating point through BLAS or, row by row, in batch_invariant.cpp;
// integers by the definition.
#include "tensor/cpu/product/batch_invariant.h"
#include "tensor/cpu/product/half_product.h"
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"
#include "tensor/runtime/gemm.h"

namespace ink::INK_CPU_LEVEL {
namespace {

// c = alpha a b + beta c row by row, so that b and c are walked in order. U is the unsigned type in which T wraps
// around.
template <class T, class U> void integer_gemm(const GemmArgs& g) {
  const U alpha = U(int64_t(g.alpha)), beta = U(int64_t(g.beta));
  parallel_for(g.batch * g.m, 1 + 65536 / (1 + g.n * g.k), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t entry = r / g.m, i = r % g.m;
      const T* a = static_cast<const T*>(g.a) + entry * g.a_batch + i * g.a_row;
      T* c = static_cast<T*>(g.c) + entry * g.c_batch + i * g.c_row;
      for (int64_t j = 0; j < g.n; ++j) c[j] = beta == 0 ? T(0) : T(beta * U(c[j]));
      for (int64_t p = 0; p < g.k; ++p) {
        const T* b = static_cast<const T*>(g.b) + entry * g.b_batch + p * g.b_row;
        const U x = U(alpha * U(a[p * g.a_col]));
        for (int64_t j = 0; j < g.n; ++j) c[j] = T(U(c[j]) + x * U(b[j * g.b_col]));
      }
    }
  });
}

}  // namespace

bool gemm(const GemmArgs& g) {
  if (is_half(g.dtype)) return half_gemm(g), true;  // which are batch-invariant in any case
  if (g.batch_invariant && is_floating(g.dtype) && g.epilogue == Epilogue::none) {
    batch_invariant_gemm(g);
    return true;
  }
  if (has_extras(g)) return false;
  switch (g.dtype) {
    case DType::i64:
      integer_gemm<int64_t, uint64_t>(g);
      break;
    case DType::i32:
      integer_gemm<int32_t, uint32_t>(g);
      break;
    case DType::u8:
      integer_gemm<uint8_t, uint32_t>(g);
      break;
    default:
      ink::gemm(g);
  }
  return true;
}

}  // namespace ink::INK_CPU_LEVEL
