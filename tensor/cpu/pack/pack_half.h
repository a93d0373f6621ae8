// f16 and bf16 memory seen as packs of float: the conversions of tensor/math/half.h, a pack at a time and bit for bit.
#pragma once
#include "tensor/cpu/pack/pack.h"

namespace ink::INK_CPU_LEVEL {

template <int N> INK_INLINE Pack<float, N> decode(const half*, Pack<uint16_t, N> h) {
  using U = Pack<uint32_t, N>;
  auto bits = convert<uint32_t>(h).v;
  auto sign = (bits & 0x8000) << 16, magnitude = (bits & 0x7fff) << 13;
  auto scaled = bit_cast<uint32_t>(bit_cast<float>(U(magnitude)) * Pack<float, N>(0x1p112f)).v;
  return bit_cast<float>(U((magnitude >= (0x7c00u << 13) ? 0x7f800000u | magnitude : scaled) | sign));
}
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

}  // namespace ink::INK_CPU_LEVEL
