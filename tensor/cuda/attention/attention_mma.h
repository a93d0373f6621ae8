// Tiles of attention on tensor cores (mma.h): f16 or bf16 in shared memory, sums in f32 in registers. A warp owns 16
// kBlocks rows of a tile of scores. Its accumulators c[block][n][2 r + k] are row 16 block + 8 r + lane / 4 and column
// 8 n + 2 (lane % 4) + k; so, rounded and put together in pairs, they are the left factor of the next product as they
// lie.
#pragma once
#include <initializer_list>

#include "tensor/cuda/attention/attention.h"
#include "tensor/cuda/device/mma.h"
#include "tensor/cuda/device/vector.h"

namespace ink::cuda {

// ---- numbers
#if INK_CUDA_SIM
inline float fast_exp2(float x) { return ::exp2f(x); }
inline float fast_inverse(float x) { return 1.f / x; }
template <class T> uint32_t pack(float low, float high) { return T(low).bits | uint32_t(T(high).bits) << 16; }
#elif defined(__CUDACC__)
__device__ __forceinline__ float fast_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ float fast_inverse(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
template <class T> __device__ __forceinline__ uint32_t pack(float low, float high) {
#if __CUDA_ARCH__ >= 800
  uint32_t pair;
  if constexpr (std::is_same_v<T, half>)
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  else
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
#else
  return T(low).bits | uint32_t(T(high).bits) << 16;
#endif
}
#endif
constexpr float kLog2e = 1.44269504f, kLn2 = 0.693147181f;

// From products q . k to exponents of 2, for the weights 2^{factor s - ..}: plain scores are left as they are.
struct Exponent {
  float factor, cap, scale, slope;
  bool plain;

  __device__ __forceinline__ explicit Exponent(const Score<float>& s)
      : factor(s.scale * kLog2e),
        cap(s.cap),
        scale(s.scale),
        slope(s.slope * kLog2e),
        plain(s.cap == 0 && s.slope == 0 && s.scale > 0) {
    if (!plain) factor = 1;
  }
  // `rate` is the derivative of the score by the scaled product.
  __device__ __forceinline__ float operator()(float product, float distance, float& rate) const {
    float s = product * scale;
    rate = 1;
    if (cap > 0) {  // tanh x = 1 - 2 / (e^{2x} + 1)
      const float t = 1 - 2 * fast_inverse(fast_exp2(s * (2 * kLog2e / cap)) + 1);
      s = cap * t;
      rate = 1 - t * t;
    }
    return fn::fma(-slope, fn::abs(distance), s * kLog2e);
  }
};

// ---- tiles in shared memory: rows of D numbers in pieces of 16 bytes. Pieces change places within a row, so that the
// same piece of 8 neighbouring rows, which ldmatrix reads at once, lies in 8 different groups of banks.
template <int D> __device__ __forceinline__ unsigned place(unsigned row, unsigned piece) {
  return row * D + 8 * (D == 32 ? piece ^ (row / 2 % 4) : piece ^ (row % 8));
}

// The copy of `count` rows of d numbers is started; what is beyond them becomes 0 up to kRows rows of D.
template <int D, int kRows, int kThreads, class T>
__device__ __forceinline__ void start_tile(T* tile, const T* from, int64_t row_stride, int count, int d) {
  constexpr int kPieces = D / 8, kStep = kThreads / kPieces;
  const unsigned row = threadIdx.x / kPieces, piece = threadIdx.x % kPieces;
  const T* at = from + row * row_stride + piece * 8;
  const int limit = int(piece) * 8 < d ? count - int(row) : 0;
  INK_UNROLL
  for (int r = 0; r < kRows; r += kStep) {
    T* to = tile + place<D>(row + unsigned(r), piece);
    if (r < limit)
      cp_async16(to, at);
    else
      store_vector<4>(reinterpret_cast<uint32_t*>(to), Vec<uint32_t, 4>{});
    at += kStep * row_stride;
  }
}

// c[m][n] += rows row0 + 16 m .. of tile a times the rows 8 n .. of tile b.
template <int D, class T, int kBlocks, int N>
__device__ __forceinline__ void multiply_rows(float (&c)[kBlocks][N][4], const T* a, unsigned row0, const T* b) {
  const unsigned lane = threadIdx.x % kWarp;
  INK_UNROLL
  for (unsigned step = 0; step < D / 16; ++step) {
    uint32_t x[kBlocks][4];
    INK_UNROLL
    for (int m = 0; m < kBlocks; ++m)
      ldmatrix<4>(x[m], a + place<D>(row0 + 16 * unsigned(m) + lane % 16, 2 * step | lane / 16));
    INK_UNROLL
    for (int n = 0; n < N; n += 2) {
      uint32_t y[4];
      ldmatrix<4>(y, b + place<D>(8 * unsigned(n) + (lane / 16 * 8 | lane % 8), 2 * step | lane / 8 % 2));
      const uint32_t first[2] = {y[0], y[1]}, second[2] = {y[2], y[3]};
      INK_UNROLL
      for (int m = 0; m < kBlocks; ++m) {
        mma_m16n8k16<T>(c[m][n], x[m], first);
        mma_m16n8k16<T>(c[m][n + 1], x[m], second);
      }
    }
  }
}

// sum[m][n] += weights (accumulators of N x 8 columns, rounded) times the rows of tile x.
template <int D, class T, int kBlocks, int N>
__device__ __forceinline__ void add_weighted(float (&sum)[kBlocks][D / 8][4], const float (&weights)[kBlocks][N][4],
                                             const T* x) {
  const unsigned lane = threadIdx.x % kWarp;
  INK_UNROLL
  for (int n = 0; n < N; n += 2) {
    uint32_t w[kBlocks][4];
    INK_UNROLL
    for (int m = 0; m < kBlocks; ++m) {
      INK_UNROLL
      for (int i = 0; i < 4; ++i)
        w[m][i] = pack<T>(weights[m][n + i / 2][i % 2 * 2], weights[m][n + i / 2][i % 2 * 2 + 1]);
    }
    INK_UNROLL
    for (int c = 0; c < D / 8; c += 2) {
      uint32_t y[4];
      ldmatrix<4, true>(y, x + place<D>(8 * unsigned(n) + lane % 16, unsigned(c) | lane / 16));
      const uint32_t first[2] = {y[0], y[1]}, second[2] = {y[2], y[3]};
      INK_UNROLL
      for (int m = 0; m < kBlocks; ++m) {
        mma_m16n8k16<T>(sum[m][c], w[m], first);
        mma_m16n8k16<T>(sum[m][c + 1], w[m], second);
      }
    }
  }
}

// A warp's rows of a result, `count` of them, written to contiguous rows of d columns by way of its rows of a tile.
template <int D, class T, int kBlocks>
__device__ __forceinline__ void store_rows(T* to, const float (&sum)[kBlocks][D / 8][4], T* tile, int row0, int count,
                                           int d) {
  const int lane = int(threadIdx.x) % kWarp;
  INK_UNROLL
  for (int m = 0; m < kBlocks; ++m) {
    INK_UNROLL
    for (int n = 0; n < D / 8; ++n) {
      INK_UNROLL
      for (int r = 0; r < 2; ++r)
        *reinterpret_cast<uint32_t*>(tile + place<D>(unsigned(row0 + 16 * m + 8 * r + lane / 4), unsigned(n)) +
                                     lane % 4 * 2) = pack<T>(sum[m][n][2 * r], sum[m][n][2 * r + 1]);
    }
  }
  __syncwarp();
  for (int i = lane; i < 16 * kBlocks * (D / 8); i += kWarp) {
    const int row = row0 + i / (D / 8), piece = i % (D / 8);
    if (row < count && piece * 8 < d)
      store_vector<4>(reinterpret_cast<uint32_t*>(to + int64_t(row) * d + piece * 8),
                      load_vector<4>(
                          reinterpret_cast<const uint32_t*>(tile + place<D>(unsigned(row), unsigned(piece)))));
  }
}

// ---- what of a warp's accumulators counts
// Calls f(m, n, i, row, column) for each accumulator c[m][n][i].
template <int kBlocks, int N, class F> __device__ __forceinline__ void for_own(F f) {
  const int lane = int(threadIdx.x) % kWarp;
  INK_UNROLL
  for (int m = 0; m < kBlocks; ++m) {
    INK_UNROLL
    for (int n = 0; n < N; ++n) {
      INK_UNROLL
      for (int i = 0; i < 4; ++i) f(m, n, i, 16 * m + 8 * (i / 2) + lane / 4, 8 * n + 2 * (lane % 4) + i % 2);
    }
  }
}
// A bit for each of them, what f(row, column) says; a loop, so that f stands in the code once.
template <int kBlocks, int N, class F> __device__ __forceinline__ uint64_t own_bits(F f) {
  static_assert(kBlocks * N * 4 <= 64);
  const int lane = int(threadIdx.x) % kWarp;
  uint64_t bits = 0;
  INK_KEEP_LOOP
  for (int at = 0; at < kBlocks * N * 4; ++at)
    if (f(at / (4 * N) * 16 + at % 4 / 2 * 8 + lane / 4, at / 4 % N * 8 + 2 * (lane % 4) + at % 2))
      bits |= uint64_t(1) << at;
  return bits;
}
template <int N> __device__ __forceinline__ bool has_bit(uint64_t bits, int m, int n, int i) {
  return bits >> ((m * N + n) * 4 + i) & 1;
}

// Scores beyond `count` columns become -inf, and those with column - row outside of [low, high], counted with row 0 of
// the warp and column 0 of the tile `apart` from each other (row - column).
template <int kBlocks, int N>
__device__ __forceinline__ void hide_beyond(float (&s)[kBlocks][N][4], int64_t apart, int64_t low, int64_t high,
                                            int count) {
  const int lane = int(threadIdx.x) % kWarp;
  INK_UNROLL
  for (int m = 0; m < kBlocks; ++m) {
    INK_UNROLL
    for (int r = 0; r < 2; ++r) {
      const int64_t here = apart + 16 * m + 8 * r + lane / 4, first = here + low, last = here + high;
      const int from = first < 0 ? 0 : first > 8 * N ? 8 * N : int(first);
      const int to = last < 0 ? -1 : last < count - 1 ? int(last) : count - 1;
      INK_UNROLL
      for (int n = 0; n < N; ++n) {
        INK_UNROLL
        for (int k = 0; k < 2; ++k) {
          const int column = 8 * n + 2 * (lane % 4) + k;
          if (column < from || column > to) s[m][n][2 * r + k] = fn::lowest<float>();
        }
      }
    }
  }
}

// Scores of pairs for which shown(row, column) is false become -inf.
template <int kBlocks, int N, class F> __device__ __forceinline__ void hide_unless(float (&s)[kBlocks][N][4], F shown) {
  const uint64_t bits = own_bits<kBlocks, N>(shown);
  for_own<kBlocks, N>([&](int m, int n, int i, int, int) {
    if (!has_bit<N>(bits, m, n, i)) s[m][n][i] = fn::lowest<float>();
  });
}

// Calls f<T, D>() for the operands' type, and for the narrowest tile, of D columns, that their rows fit into.
template <class F> void with_mma_tile(const AttentionArgs& a, F f) {
  const int64_t width = a.d > a.dv ? a.d : a.dv;
  const auto by_width = [&]<class T>() {
    if (width <= 32) return f.template operator()<T, 32>();
    if (width <= 64) return f.template operator()<T, 64>();
    if (width <= 128) return f.template operator()<T, 128>();
    f.template operator()<T, 256>();
  };
  if (a.dtype == DType::f16) return by_width.template operator()<half>();
  by_width.template operator()<bfloat16>();
}

// Whether these kernels are for the operands: 16-byte pieces everywhere, and rows that fit.
inline bool fits_mma(const AttentionArgs& a, std::initializer_list<const void*> pointers) {
  bool fits = current().properties.major >= 8 && a.d % 8 == 0 && a.dv % 8 == 0 && a.d > 0 && a.dv > 0 && a.d <= 256 &&
              a.dv <= 256;
  for (const void* p : pointers) fits = fits && is_aligned(p, 16);
  for (const auto* strides : {a.q_strides, a.k_strides, a.v_strides})
    for (int i = 0; i < 3; ++i) fits = fits && strides[i] % 8 == 0;
  return fits;
}

}  // namespace ink::cuda
