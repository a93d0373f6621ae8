// sin and cos, a pack at a time. Included by pack_math.h.
#pragma once
#include "tensor/cpu/pack/pack_math.h"

namespace ink::INK_CPU_LEVEL {

template <int N> struct SinCos { Pack<float, N> sin, cos; };

// sin and cos on [-pi/4, pi/4] by minimax polynomials; errors 2^-28 and 2^-33.
template <int N> INK_INLINE SinCos<N> sincos_poly(Pack<float, N> r) {
  using P = Pack<float, N>;
  P z = r * r;
  P s = muladd(r * z, horner(z, -0.16666654602315484, 0.0083321602941293906, -0.00019515218368039571), r);
  P c = muladd(z * z, horner(z, 0.041666645670153987, -0.0013887315615730099, 2.4433082561107292e-5),
               muladd(z, P(-0.5f), P(1.f)));
  return {s, c};
}

// From the quadrant and the rest of the angle: each quarter turn swaps the two and changes a sign.
template <int N> INK_INLINE SinCos<N> turn(SinCos<N> a, Pack<int32_t, N> quadrant) {
  auto swap = Mask<float, N>(-(quadrant.v & 1));
  auto flip = [](Pack<float, N> x, Pack<int32_t, N> bit1) {
    return bit_cast<float>(Pack<int32_t, N>(bit_cast<int32_t>(x).v ^ ((bit1.v & 2) << 30)));
  };
  return {flip(select(swap, a.cos, a.sin), quadrant),
          flip(select(swap, a.sin, a.cos), Pack<int32_t, N>(quadrant.v + 1))};
}

// x = q pi/2 + r, with pi/2 in three parts of 24 bits (Cody & Waite 1980); good to |x| = 1e5, where q has 16 bits.
template <int N> INK_INLINE SinCos<N> sincos(Pack<float, N> x) {
  using P = Pack<float, N>;
  P magic(0x1.8p23f), shifted = muladd(x, P(0.636619772f), magic), q = shifted - magic;
  P r = fma(q, P(-0x1.921fb6p0f), x);
  r = fma(q, P(0x1.777a5cp-25f), r);
  r = fma(q, P(0x1.ee59dap-50f), r);
  return turn(sincos_poly(r), Pack<int32_t, N>(bit_cast<int32_t>(shifted).v));
}

template <class T, int N> INK_INLINE Pack<T, N> sin(Pack<T, N> x) {
  if constexpr (sizeof(T) == 4) {
    if (!any(abs(x) > Pack<T, N>(1e5f))) [[likely]]
      return select(x == Pack<T, N>(0.f), x, sincos(x).sin);
  }
  return lanewise([](T v) { return fn::sin(v); }, x);
}
template <class T, int N> INK_INLINE Pack<T, N> cos(Pack<T, N> x) {
  if constexpr (sizeof(T) == 4) {
    if (!any(abs(x) > Pack<T, N>(1e5f))) [[likely]]
      return sincos(x).cos;
  }
  return lanewise([](T v) { return fn::cos(v); }, x);
}

}  // namespace ink::INK_CPU_LEVEL
