// f16 and bf16 memory seen as packs of float: the conversions of tensor/math/half.h, a pack at a time and bit for bit.
#pragma once
#include "tensor/cpu/pack/pack.h"

namespace ink::INK_CPU_LEVEL {

// The CPU's own conversion has no slow path for subnormal numbers, but makes every NaN a quiet one; here it keeps its
// bits, as in half.h.
#if defined(__AVX512BW__) && defined(__AVX512VL__)
inline constexpr bool kPairsOfHalves = true;
INK_INLINE __mmask16 nan_in(Pack<float, 16> a, Pack<float, 16> b) {  // in either
  return _mm512_cmp_ps_mask((__m512)a.v, (__m512)b.v, _CMP_UNORD_Q);
}
// decode and encode by numbers: NaN come out wrong.
INK_INLINE Pack<float, 16> decode_numbers(const half*, Pack<uint16_t, 16> h) {
  return Pack<float, 16>((vector_of<float, 16>)_mm512_maskz_cvtph_ps(__mmask16(-1), (__m256i)h.v));
}
INK_INLINE Pack<uint16_t, 16> encode_numbers(const half*, Pack<float, 16> f) {
  const __m256i r = _mm512_cvtps_ph((__m512)f.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  return Pack<uint16_t, 16>((vector_of<uint16_t, 16>)r);
}
INK_INLINE Pack<uint16_t, 16> upper_halves(__m512i x) {
  const __m256i odd = _mm256_set_epi16(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
  const __m512i r = _mm512_maskz_permutexvar_epi16(__mmask32(-1), _mm512_broadcast_i64x4(odd), x);
  return Pack<uint16_t, 16>((vector_of<uint16_t, 16>)_mm512_castsi512_si256(r));
}
INK_INLINE Pack<uint16_t, 16> encode_numbers(const bfloat16*, Pack<float, 16> f) {
  // x + 0x7fff + (the last bit that is kept), as x - ~(0x7ffe | that bit)
  const __m512i x = (__m512i)f.v, upper = _mm512_maskz_srli_epi32(__mmask16(-1), x, 16);
  const __m512i less = _mm512_ternarylogic_epi32(upper, _mm512_set1_epi32(1), _mm512_set1_epi32(0x7ffe), 0x15);
  return upper_halves(_mm512_sub_epi32(x, less));
}
INK_INLINE Pack<float, 16> decode(const half* p, Pack<uint16_t, 16> h) {
  const __m256i code = (__m256i)h.v;
  const Pack<float, 16> x = decode_numbers(p, h);
  const __mmask16 is_nan = nan_in(x, x);
  if (is_nan == 0) [[likely]]
    return x;
  const __m512i wide = _mm512_maskz_cvtepu16_epi32(__mmask16(-1), code);
  // sign and fraction of a NaN in their places, and an exponent of ones
  const __m512i sign = _mm512_maskz_slli_epi32(__mmask16(-1), _mm512_and_si512(wide, _mm512_set1_epi32(0x8000)), 16);
  const __m512i rest = _mm512_maskz_slli_epi32(__mmask16(-1), _mm512_and_si512(wide, _mm512_set1_epi32(0x7fff)), 13);
  const __m512i nan = _mm512_or_si512(_mm512_or_si512(sign, rest), _mm512_set1_epi32(0x7f800000));
  return Pack<float, 16>((vector_of<float, 16>)_mm512_mask_mov_epi32((__m512i)x.v, is_nan, nan));
}
#else
inline constexpr bool kPairsOfHalves = false;
#endif
#if defined(__F16C__) && defined(__AVX2__)
INK_INLINE Pack<float, 8> decode(const half*, Pack<uint16_t, 8> h) {
  const __m128i code = (__m128i)h.v;
  const __m256 x = _mm256_cvtph_ps(code);
  const __m256i wide = _mm256_cvtepu16_epi32(code);
  const __m256i sign = _mm256_slli_epi32(_mm256_and_si256(wide, _mm256_set1_epi32(0x8000)), 16);
  const __m256i rest = _mm256_slli_epi32(_mm256_and_si256(wide, _mm256_set1_epi32(0x7fff)), 13);
  const __m256i nan = _mm256_or_si256(_mm256_or_si256(sign, rest), _mm256_set1_epi32(0x7f800000));
  return Pack<float, 8>((vector_of<float, 8>)_mm256_blendv_ps(x, (__m256)nan, _mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
}
#endif
template <int N> INK_INLINE Pack<float, N> decode(const half*, Pack<uint16_t, N> h) {
  using U = Pack<uint32_t, N>;
  auto bits = convert<uint32_t>(h).v;
  auto sign = (bits & 0x8000) << 16, magnitude = (bits & 0x7fff) << 13;
  auto scaled = bit_cast<uint32_t>(bit_cast<float>(U(magnitude)) * Pack<float, N>(0x1p112f)).v;
  return bit_cast<float>(U((magnitude >= (0x7c00u << 13) ? 0x7f800000u | magnitude : scaled) | sign));
}
// The CPU's own conversion keeps the payload of a NaN; here every NaN is the quiet one, as in half.h.
#if defined(__AVX512BW__) && defined(__AVX512VL__)
INK_INLINE Pack<uint16_t, 16> encode(const half* p, Pack<float, 16> f) {
  const Pack<uint16_t, 16> r = encode_numbers(p, f);
  const __mmask16 is_nan = nan_in(f, f);
  if (is_nan == 0) [[likely]]
    return r;
  const __m256i quiet = _mm256_and_si256((__m256i)r.v, _mm256_set1_epi16(short(0xfe00)));
  return Pack<uint16_t, 16>((vector_of<uint16_t, 16>)_mm256_mask_mov_epi16((__m256i)r.v, is_nan, quiet));
}
#endif
#if defined(__F16C__) && defined(__AVX2__)
INK_INLINE Pack<uint16_t, 8> encode(const half*, Pack<float, 8> f) {
  const __m256 x = (__m256)f.v;
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  const __m128i nan16 = _mm_packs_epi32(_mm256_castsi256_si128(nan), _mm256_extracti128_si256(nan, 1));
  const __m128i payload = _mm_and_si128(nan16, _mm_set1_epi16(0x01ff));
  const __m128i r = _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  return Pack<uint16_t, 8>((vector_of<uint16_t, 8>)_mm_andnot_si128(payload, r));
}
#endif
template <int N> INK_INLINE Pack<uint16_t, N> encode(const half*, Pack<float, N> f) {
  using U = Pack<uint32_t, N>;
  auto x = bit_cast<uint32_t>(f).v;
  auto sign = (x >> 16) & 0x8000, a = x & 0x7fffffff;
  auto small = bit_cast<uint32_t>(bit_cast<float>(U(a)) + Pack<float, N>(0.5f)).v - 0x3f000000u;
  auto normal = (a + 0xc8000fffu + ((a >> 13) & 1)) >> 13;
  auto r = a < 0x38800000u ? small : normal;
  r = a >= 0x477ff000u ? 0x7c00u - (r & 0) : r;
  r = a > 0x7f800000u ? 0x7e00u - (r & 0) : r;
  return convert<uint16_t>(U(r | sign));
}
#if defined(__AVX512BW__) && defined(__AVX512VL__)  // the plain forms below, without detours between widths
INK_INLINE Pack<float, 16> decode(const bfloat16*, Pack<uint16_t, 16> h) {
  const __m512i wide = _mm512_maskz_cvtepu16_epi32(__mmask16(-1), (__m256i)h.v);
  return Pack<float, 16>((vector_of<float, 16>)_mm512_maskz_slli_epi32(__mmask16(-1), wide, 16));
}
INK_INLINE Pack<uint16_t, 16> encode(const bfloat16* p, Pack<float, 16> f) {
  const __mmask16 is_nan = nan_in(f, f);
  if (is_nan == 0) [[likely]]
    return encode_numbers(p, f);
  const Pack<uint16_t, 16> nan = upper_halves(_mm512_or_epi32((__m512i)f.v, _mm512_set1_epi32(0x400000)));
  const __m256i r = _mm256_mask_mov_epi16((__m256i)encode_numbers(p, f).v, is_nan, (__m256i)nan.v);
  return Pack<uint16_t, 16>((vector_of<uint16_t, 16>)r);
}
#endif
template <int N> INK_INLINE Pack<float, N> decode(const bfloat16*, Pack<uint16_t, N> h) {
  return bit_cast<float>(Pack<uint32_t, N>(convert<uint32_t>(h).v << 16));
}
template <int N> INK_INLINE Pack<uint16_t, N> encode(const bfloat16*, Pack<float, N> f) {
  auto x = bit_cast<uint32_t>(f).v;
  auto r = (x + 0x7fffu + ((x >> 16) & 1)) >> 16;
  return convert<uint16_t>(Pack<uint32_t, N>((x & 0x7fffffffu) > 0x7f800000u ? (x >> 16) | 0x40u : r));
}

// load<P>(p), store(p, x): memory of the lane type itself, or f16 / bf16 memory for packs of float. With n: the first
// n.
template <class S> inline constexpr bool is_half_type = std::is_same_v<S, half> || std::is_same_v<S, bfloat16>;

template <class P, class S> INK_INLINE P load(const S* p) {
  if constexpr (is_half_type<S>) {
    return decode(p, Pack<uint16_t, P::lanes>::load(&p->bits));
  } else {
    return P::load(p);
  }
}
template <class P, class S> INK_INLINE P load(const S* p, int64_t n) {
  if constexpr (is_half_type<S>) {
    return decode(p, Pack<uint16_t, P::lanes>::load(&p->bits, n));
  } else {
    return P::load(p, n);
  }
}
template <class S, class T, int N> INK_INLINE void store(S* p, Pack<T, N> x) {
  if constexpr (is_half_type<S>) {
    encode(p, x).store(&p->bits);
  } else {
    x.store(p);
  }
}
template <class S, class T, int N> INK_INLINE void store(S* p, Pack<T, N> x, int64_t n) {
  if constexpr (is_half_type<S>) {
    encode(p, x).store(&p->bits, n);
  } else {
    x.store(p, n);
  }
}

// Two neighbouring packs, whose NaN are looked for together.
template <class P, class S> INK_INLINE void load_pair(const S* p, P& a, P& b) {
  if constexpr (kPairsOfHalves && std::is_same_v<S, half>) {
    a = decode_numbers(p, Pack<uint16_t, P::lanes>::load(&p->bits));
    b = decode_numbers(p, Pack<uint16_t, P::lanes>::load(&p[P::lanes].bits));
    if (nan_in(a, b) == 0) [[likely]]
      return;
  }
  a = load<P>(p), b = load<P>(p + P::lanes);
}
template <class S, class P> INK_INLINE void store_pair(S* p, P a, P b) {
  if constexpr (kPairsOfHalves && is_half_type<S>) {
    if (nan_in(a, b) == 0) [[likely]] {
      encode_numbers(p, a).store(&p->bits);
      encode_numbers(p, b).store(&p[P::lanes].bits);
      return;
    }
  }
  store(p, a), store(p + P::lanes, b);
}
// y[i] = x[i] for n numbers side by side, one of the two arrays or both in f16 or bf16.
template <class To, class From> INK_INLINE void convert_row(To* y, const From* x, int64_t n) {
  using P = Pack<float, kLanes<float>>;
  int64_t i = 0;
  for (P a, b; i + 2 * P::lanes <= n; i += 2 * P::lanes) {
    load_pair(x + i, a, b);
    store_pair(y + i, a, b);
  }
  for (; i + P::lanes <= n; i += P::lanes) store(y + i, load<P>(x + i));
  if (i < n) store(y + i, load<P>(x + i, n - i), n - i);
}

}  // namespace ink::INK_CPU_LEVEL
