// The few instructions that vector extensions cannot name: fused multiply-add, square root, scaling by a power of two,
// the widening product, "any lane", masked and streaming memory access. V is a GCC vector; each has a plain form for
// the widths and CPUs without the instruction.
#pragma once
#if defined(__SSE2__)
#include <immintrin.h>
#endif
#include <math.h>

#include <cstdint>
#include <type_traits>

#include "tensor/math/hd.h"

#ifndef INK_CPU_LEVEL
#error "the CMake target of a CPU level defines INK_CPU_LEVEL"
#endif

namespace ink::INK_CPU_LEVEL {

#if defined(__FMA__)
inline constexpr bool kHasFma = true;
#else
inline constexpr bool kHasFma = false;
#endif

namespace hw {

template <class T, int N, int bytes> inline constexpr bool fills = sizeof(T) * N == bytes;

// a b + c, rounded once.
template <class T, int N, class V> INK_INLINE V fma(V a, V b, V c) {
  constexpr bool f32 = std::is_same_v<T, float>;
#if defined(__AVX512F__)
  if constexpr (fills<T, N, 64> && f32) return (V)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
  if constexpr (fills<T, N, 64> && !f32) return (V)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#endif
#if defined(__FMA__)
  if constexpr (fills<T, N, 32> && f32) return (V)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
  if constexpr (fills<T, N, 32> && !f32) return (V)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#endif
  V r;
  if constexpr (f32 && !kHasFma) {  // in double the product is exact; the sum is then rounded twice
    using D __attribute__((vector_size(N * 8))) = double;
    D product = __builtin_convertvector(a, D) * __builtin_convertvector(b, D);
    r = __builtin_convertvector(product + __builtin_convertvector(c, D), V);
  } else {
    for (int i = 0; i < N; ++i) {
      if constexpr (f32) {
        r[i] = ::fmaf(a[i], b[i], c[i]);
      } else {
        r[i] = ::fma(a[i], b[i], c[i]);
      }
    }
  }
  return r;
}

// (The masked form with all lanes on: g++ 12 warns about the register that the plain one leaves undefined.)
template <class T, int N, class V> INK_INLINE V sqrt(V a) {
  constexpr bool f32 = std::is_same_v<T, float>;
#if defined(__AVX512F__)
  if constexpr (fills<T, N, 64> && f32) return (V)_mm512_mask_sqrt_ps((__m512)a, -1, (__m512)a);
  if constexpr (fills<T, N, 64> && !f32) return (V)_mm512_mask_sqrt_pd((__m512d)a, -1, (__m512d)a);
#endif
#if defined(__AVX__)
  if constexpr (fills<T, N, 32> && f32) return (V)_mm256_sqrt_ps((__m256)a);
  if constexpr (fills<T, N, 32> && !f32) return (V)_mm256_sqrt_pd((__m256d)a);
#endif
#if defined(__SSE2__)
  if constexpr (fills<T, N, 16> && f32) return (V)_mm_sqrt_ps((__m128)a);
  if constexpr (fills<T, N, 16> && !f32) return (V)_mm_sqrt_pd((__m128d)a);
#endif
  V r;
  for (int i = 0; i < N; ++i) {
    if constexpr (f32) {
      r[i] = ::sqrtf(a[i]);
    } else {
      r[i] = ::sqrt(a[i]);
    }
  }
  return r;
}

// a > b ? a : b and a < b ? a : b; b where either is NaN.
template <class T, int N, class V> INK_INLINE V max(V a, V b) {
#if defined(__AVX512F__)
  constexpr bool f32 = std::is_same_v<T, float>;
  if constexpr (fills<T, N, 64> && f32) return (V)_mm512_mask_max_ps((__m512)a, -1, (__m512)a, (__m512)b);
  if constexpr (fills<T, N, 64> && !f32) return (V)_mm512_mask_max_pd((__m512d)a, -1, (__m512d)a, (__m512d)b);
#endif
  return a > b ? a : b;  // other widths: the compiler finds the instruction
}
template <class T, int N, class V> INK_INLINE V min(V a, V b) {
#if defined(__AVX512F__)
  constexpr bool f32 = std::is_same_v<T, float>;
  if constexpr (fills<T, N, 64> && f32) return (V)_mm512_mask_min_ps((__m512)a, -1, (__m512)a, (__m512)b);
  if constexpr (fills<T, N, 64> && !f32) return (V)_mm512_mask_min_pd((__m512d)a, -1, (__m512d)a, (__m512d)b);
#endif
  return a < b ? a : b;
}

// a 2^n with gradual underflow, where the CPU has it (the plain form stands in pack_exp.h).
#if defined(__AVX512F__)
template <class T, int N> inline constexpr bool has_scale = sizeof(T) * N == 64;
template <class T, int N, class V> INK_INLINE V scale(V a, V n) {
  if constexpr (std::is_same_v<T, float>) {
    return (V)_mm512_mask_scalef_ps((__m512)a, -1, (__m512)a, (__m512)n);
  } else {
    return (V)_mm512_mask_scalef_pd((__m512d)a, -1, (__m512d)a, (__m512d)n);
  }
}
#else
template <class T, int N> inline constexpr bool has_scale = false;
template <class T, int N, class V> V scale(V a, V n);
#endif

// Is any lane of the comparison result m (all ones or zero) set?
template <class T, int N, class V> INK_INLINE bool any(V m) {
#if defined(__AVX512DQ__)
  if constexpr (fills<T, N, 64> && sizeof(T) == 4) return _mm512_movepi32_mask((__m512i)m) != 0;
  if constexpr (fills<T, N, 64> && sizeof(T) == 8) return _mm512_movepi64_mask((__m512i)m) != 0;
#endif
#if defined(__AVX__)
  if constexpr (fills<T, N, 32> && sizeof(T) == 4) return _mm256_movemask_ps((__m256)m) != 0;
  if constexpr (fills<T, N, 32> && sizeof(T) == 8) return _mm256_movemask_pd((__m256d)m) != 0;
#endif
#if defined(__SSE2__)
  if constexpr (fills<T, N, 16>) return _mm_movemask_epi8((__m128i)m) != 0;
#endif
  for (int i = 0; i < N; ++i)
    if (m[i]) return true;
  return false;
}

// The low 32 bits of each 64-bit lane, multiplied to 64 bits.
template <int N, class V> INK_INLINE V mul_low32(V a, V b) {
#if defined(__AVX512F__)
  if constexpr (N == 8) return (V)_mm512_mask_mul_epu32((__m512i)a, -1, (__m512i)a, (__m512i)b);
#endif
#if defined(__AVX2__)
  if constexpr (N == 4) return (V)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#endif
#if defined(__SSE2__)
  if constexpr (N == 2) return (V)_mm_mul_epu32((__m128i)a, (__m128i)b);
#endif
  return (a & 0xffffffff) * (b & 0xffffffff);
}

// The first n < N lanes at p; the others read as 0, and nothing beyond p[n - 1] is touched.
template <class T, int N, class V> INK_INLINE V load_some(const T* p, int64_t n) {
#if defined(__AVX512F__)
  if constexpr (fills<T, N, 64> && sizeof(T) == 4) return (V)_mm512_maskz_loadu_epi32(__mmask16((1u << n) - 1), p);
  if constexpr (fills<T, N, 64> && sizeof(T) == 8) return (V)_mm512_maskz_loadu_epi64(__mmask8((1u << n) - 1), p);
#endif
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  if constexpr (fills<T, N, 32> && sizeof(T) == 2) return (V)_mm256_maskz_loadu_epi16(__mmask16((1u << n) - 1), p);
#endif
  V r = {};
  for (int64_t i = 0; i < n; ++i) r[i] = p[i];
  return r;
}
template <class T, int N, class V> INK_INLINE void store_some(T* p, V v, int64_t n) {
#if defined(__AVX512F__)
  if constexpr (fills<T, N, 64> && sizeof(T) == 4) {
    _mm512_mask_storeu_epi32(p, __mmask16((1u << n) - 1), (__m512i)v);
    return;
  }
  if constexpr (fills<T, N, 64> && sizeof(T) == 8) {
    _mm512_mask_storeu_epi64(p, __mmask8((1u << n) - 1), (__m512i)v);
    return;
  }
#endif
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  if constexpr (fills<T, N, 32> && sizeof(T) == 2) {
    _mm256_mask_storeu_epi16(p, __mmask16((1u << n) - 1), (__m256i)v);
    return;
  }
#endif
  for (int64_t i = 0; i < n; ++i) p[i] = v[i];
}

// Past the caches; p is aligned to the size of V. Call stream_fence() before another thread reads.
template <class T, int N, class V> INK_INLINE void stream(T* p, V v) {
#if defined(__AVX512F__)
  if constexpr (fills<T, N, 64>) return _mm512_stream_si512((__m512i*)p, (__m512i)v);
#endif
#if defined(__AVX__)
  if constexpr (fills<T, N, 32>) return _mm256_stream_si256((__m256i*)p, (__m256i)v);
#endif
#if defined(__SSE2__)
  if constexpr (fills<T, N, 16>) return _mm_stream_si128((__m128i*)p, (__m128i)v);
#endif
  __builtin_memcpy(p, &v, sizeof v);
}
INK_INLINE void stream_fence() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

}  // namespace hw
}  // namespace ink::INK_CPU_LEVEL
