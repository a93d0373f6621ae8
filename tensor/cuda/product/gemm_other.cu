// Matrix products by a kernel of our own: of integers, which wrap around as on the CPU (cuBLASLt has none of these
// widths), and of floats where no row may depend on the others: each element is summed from p = 0 to k - 1, whatever
// the sizes (cuBLASLt chooses by them, and may cut k).
//
// A block of 8 x 8 threads computes a tile of 32 x 32 elements of c, each thread 4 x 4 of them: per step of 16 along k
// the block reads two tiles of 32 x 16 into shared memory, and every number read from there serves four products.
#include "tensor/cuda/host/launch.h"
#include "tensor/cuda/product/gemm.h"

namespace ink::cuda {
namespace {

constexpr int kTile = 32, kStep = 16, kSide = 8, kOwn = kTile / kSide;

// U, in which T is summed: the unsigned type in which an integer wraps around, f32 for halves.
template <class T, class U>
__global__ void __launch_bounds__(kSide* kSide)
    multiply(const GemmArgs g, const U alpha, const U beta, const int64_t across) {
  INK_SHARED(U[kStep][kTile + 1], a_tile);  // turned, so that a thread's four rows lie together
  INK_SHARED(U[kStep][kTile + 1], b_tile);
  const int64_t row = int64_t(blockIdx.x) / across * kTile, col = int64_t(blockIdx.x) % across * kTile;
  const int thread = int(threadIdx.y * kSide + threadIdx.x), top = int(threadIdx.y) * kOwn,
            left = int(threadIdx.x) * kOwn;
  for (int64_t entry = blockIdx.z; entry < g.batch; entry += gridDim.z) {
    const T* a = static_cast<const T*>(g.a) + entry * g.a_batch;
    const T* b = static_cast<const T*>(g.b) + entry * g.b_batch;
    U sum[kOwn][kOwn] = {};
    for (int64_t k = 0; k < g.k; k += kStep) {
      for (int i = thread; i < kTile * kStep; i += kSide * kSide) {
        const int r = i / kStep, p = i % kStep;
        a_tile[p][r] = row + r < g.m && k + p < g.k ? U(a[(row + r) * g.a_row + (k + p) * g.a_col]) : U(0);
      }
      for (int i = thread; i < kTile * kStep; i += kSide * kSide) {
        const int p = i / kTile, c = i % kTile;
        b_tile[p][c] = col + c < g.n && k + p < g.k ? U(b[(k + p) * g.b_row + (col + c) * g.b_col]) : U(0);
      }
      __syncthreads();
      for (int p = 0; p < kStep; ++p)
        for (int i = 0; i < kOwn; ++i)
          for (int j = 0; j < kOwn; ++j) sum[i][j] += a_tile[p][top + i] * b_tile[p][left + j];
      __syncthreads();
    }
    T* c = static_cast<T*>(g.c) + entry * g.c_batch;
    for (int i = 0; i < kOwn; ++i)
      for (int j = 0; j < kOwn; ++j)
        if (row + top + i < g.m && col + left + j < g.n) {
          T& to = c[(row + top + i) * g.c_row + col + left + j];
          U x = alpha * sum[i][j] + (beta == 0 ? U(0) : beta * U(to));
          if (g.bias) x += U(static_cast<const T*>(g.bias)[col + left + j]);
          to = T(x);
        }
  }
}

template <class T, class U> void run(const GemmArgs& g) {
  using Factor = std::conditional_t<std::is_integral_v<U>, int64_t, U>;
  const int64_t across = ceil_div(g.n, kTile), entries = g.batch < 65535 ? g.batch : 65535;
  launch("gemm", multiply<T, U>, dim3(unsigned(ceil_div(g.m, kTile) * across), 1, unsigned(entries)),
         dim3(kSide, kSide), 0, g, U(Factor(g.alpha)), U(Factor(g.beta)), across);
}

}  // namespace

void gemm_own(const GemmArgs& g) {
  if (g.dtype == DType::i64) return run<int64_t, uint64_t>(g);
  if (g.dtype == DType::i32) return run<int32_t, uint32_t>(g);
  if (g.dtype == DType::u8) return run<uint8_t, uint32_t>(g);
  visit_real(g.dtype, [&]<class T>() { run<T, std::conditional_t<std::is_same_v<T, double>, double, float>>(g); });
}

}  // namespace ink::cuda
