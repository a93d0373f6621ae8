// The functions of tensor/math/math.h for packs: what formulas call on the CPU. The common ones are computed a pack at
// a time (pack_exp.h, pack_trig.h), the others lane by lane through the C library.
#pragma once
#include "tensor/cpu/pack/pack.h"

namespace ink::INK_CPU_LEVEL {

// So that kernels of this namespace call the same names on plain numbers.
using fn::abs, fn::acos, fn::asin, fn::atan, fn::atan2, fn::ceil, fn::conj, fn::copysign, fn::cos, fn::cosh,
    fn::digamma, fn::erf, fn::erfc, fn::erfinv, fn::exp, fn::expm1, fn::floor, fn::floor_divide, fn::fma, fn::fmod,
    fn::highest, fn::hypot, fn::imag, fn::isfinite, fn::isinf, fn::isnan, fn::lgamma, fn::log, fn::log10, fn::log1p,
    fn::log2, fn::lowest, fn::max, fn::min, fn::pow, fn::real, fn::remainder, fn::round, fn::rsqrt, fn::select, fn::sin,
    fn::sinh, fn::sqrt, fn::tan, fn::tanh, fn::trunc;

// a b + c: fused where the CPU can, else rounded twice. For polynomials; where the exact product matters, call fma.
template <class T, int N> INK_INLINE Pack<T, N> muladd(Pack<T, N> a, Pack<T, N> b, Pack<T, N> c) {
  if constexpr (kHasFma) {
    return Pack<T, N>(hw::fma<T, N>(a.v, b.v, c.v));
  } else {
    return a * b + c;
  }
}
template <class T, int N> INK_INLINE Pack<T, N> fma(Pack<T, N> a, Pack<T, N> b, Pack<T, N> c) {
  return Pack<T, N>(hw::fma<T, N>(a.v, b.v, c.v));
}
// c0 + x (c1 + x (c2 + ...))
template <class P> INK_INLINE P horner(P, double c0) { return P(scalar_t<P>(c0)); }
template <class P, class... C> INK_INLINE P horner(P x, double c0, C... rest) {
  return muladd(x, horner(x, rest...), P(scalar_t<P>(c0)));
}

// ---- signs, order, rounding
template <class T, int N> INK_INLINE Pack<T, N> sign_bits(Pack<T, N> x) {
  using I = Pack<int_of<T>, N>;
  return bit_cast<T>(I(bit_cast<int_of<T>>(x).v & std::numeric_limits<int_of<T>>::min()));
}
template <class T, int N> INK_INLINE Pack<T, N> abs(Pack<T, N> x) {
  using I = Pack<int_of<T>, N>;
  return bit_cast<T>(I(bit_cast<int_of<T>>(x).v & std::numeric_limits<int_of<T>>::max()));
}
template <class T, int N> INK_INLINE Pack<T, N> copysign(Pack<T, N> x, Pack<T, N> sign) {
  using I = int_of<T>;
  return bit_cast<T>(Pack<I, N>(bit_cast<I>(abs(x)).v | bit_cast<I>(sign_bits(sign)).v));
}
template <class T, int N> INK_INLINE Pack<T, N> max(Pack<T, N> a, Pack<T, N> b) {
  if constexpr (std::is_integral_v<T>) return Pack<T, N>(a.v > b.v ? a.v : b.v);
  return Pack<T, N>(a.v != a.v ? a.v : hw::max<T, N>(a.v, b.v));
}
template <class T, int N> INK_INLINE Pack<T, N> min(Pack<T, N> a, Pack<T, N> b) {
  if constexpr (std::is_integral_v<T>) return Pack<T, N>(a.v < b.v ? a.v : b.v);
  return Pack<T, N>(a.v != a.v ? a.v : hw::min<T, N>(a.v, b.v));
}
// Between two numbers; a NaN in x passes. Two instructions, where min(max()) takes six.
template <class T, int N> INK_INLINE Pack<T, N> clamp(Pack<T, N> x, T low, T high) {
  using P = Pack<T, N>;
  x = P(hw::max<T, N>(P(low).v, x.v));
  return P(hw::min<T, N>(P(high).v, x.v));
}
template <class T, int N> INK_INLINE Mask<T, N> isnan(Pack<T, N> x) { return x != x; }
template <class T, int N> INK_INLINE Mask<T, N> isinf(Pack<T, N> x) { return abs(x) == Pack<T, N>(highest<T>()); }
template <class T, int N> INK_INLINE Mask<T, N> isfinite(Pack<T, N> x) { return abs(x) < Pack<T, N>(highest<T>()); }
template <class T, int N> INK_INLINE Pack<T, N> conj(Pack<T, N> x) { return x; }
template <class T, int N> INK_INLINE Pack<T, N> real(Pack<T, N> x) { return x; }
template <class T, int N> INK_INLINE Pack<T, N> imag(Pack<T, N>) { return Pack<T, N>(T(0)); }

// Half to even. Numbers from 2^23 (2^52) on are whole; below, adding and taking away that number drops the fraction.
template <class T, int N> INK_INLINE Pack<T, N> round(Pack<T, N> x) {
#if defined(__clang__) && defined(__AVX512F__)
  // clang 19 gets the selection below wrong where it merges it with the masked load of a row's last elements.
  return Pack<T, N>(__builtin_elementwise_roundeven(x.v));
#else
  Pack<T, N> whole(T(sizeof(T) == 4 ? 0x1p23 : 0x1p52)), a = abs(x);
  return select(a < whole, copysign((a + whole) - whole, x), x);
#endif
}
template <class T, int N> INK_INLINE Pack<T, N> floor(Pack<T, N> x) {
  Pack<T, N> r = round(x);
  return copysign(r - Pack<T, N>(r > x), x);
}
template <class T, int N> INK_INLINE Pack<T, N> ceil(Pack<T, N> x) {
  Pack<T, N> r = round(x);
  return copysign(r + Pack<T, N>(r < x), x);
}
template <class T, int N> INK_INLINE Pack<T, N> trunc(Pack<T, N> x) { return copysign(floor(abs(x)), x); }

template <class T, int N> INK_INLINE Pack<T, N> sqrt(Pack<T, N> x) { return Pack<T, N>(hw::sqrt<T, N>(x.v)); }
template <class T, int N> INK_INLINE Pack<T, N> rsqrt(Pack<T, N> x) { return Pack<T, N>(T(1)) / sqrt(x); }

// ---- reductions over the lanes
template <class T, int N> INK_INLINE T sum(Pack<T, N> x) {
  return reduce(x, [](auto a, auto b) { return a + b; });
}
template <class T, int N> INK_INLINE T max(Pack<T, N> x) {
  return reduce(x, [](auto a, auto b) { return max(a, b); });
}
template <class T, int N> INK_INLINE T min(Pack<T, N> x) {
  return reduce(x, [](auto a, auto b) { return min(a, b); });
}

// ---- lane by lane
template <class T, int N, class F> INK_INLINE Pack<T, N> lanewise(F f, Pack<T, N> x) {
  for (int i = 0; i < N; ++i) x.v[i] = f(x[i]);
  return x;
}
template <class T, int N, class F> INK_INLINE Pack<T, N> lanewise(F f, Pack<T, N> x, Pack<T, N> y) {
  for (int i = 0; i < N; ++i) x.v[i] = f(x[i], y[i]);
  return x;
}
template <class T, int N> INK_INLINE Pack<T, N> log10(Pack<T, N> x) {
  return lanewise([](T v) { return fn::log10(v); }, x);
}
template <class T, int N> INK_INLINE Pack<T, N> tan(Pack<T, N> x) {
  return lanewise([](T v) { return fn::tan(v); }, x);
}
template <class T, int N> INK_INLINE Pack<T, N> asin(Pack<T, N> x) {
  return lanewise([](T v) { return fn::asin(v); }, x);
}
template <class T, int N> INK_INLINE Pack<T, N> acos(Pack<T, N> x) {
  return lanewise([](T v) { return fn::acos(v); }, x);
}
template <class T, int N> INK_INLINE Pack<T, N> atan(Pack<T, N> x) {
  return lanewise([](T v) { return fn::atan(v); }, x);
}
template <class T, int N> INK_INLINE Pack<T, N> sinh(Pack<T, N> x) {
  return lanewise([](T v) { return fn::sinh(v); }, x);
}
template <class T, int N> INK_INLINE Pack<T, N> cosh(Pack<T, N> x) {
  return lanewise([](T v) { return fn::cosh(v); }, x);
}
template <class T, int N> INK_INLINE Pack<T, N> erfc(Pack<T, N> x) {
  return lanewise([](T v) { return fn::erfc(v); }, x);
}
template <class T, int N> INK_INLINE Pack<T, N> erfinv(Pack<T, N> x) {
  return lanewise([](T v) { return fn::erfinv(v); }, x);
}
template <class T, int N> INK_INLINE Pack<T, N> lgamma(Pack<T, N> x) {
  return lanewise([](T v) { return fn::lgamma(v); }, x);
}
template <class T, int N> INK_INLINE Pack<T, N> digamma(Pack<T, N> x) {
  return lanewise([](T v) { return fn::digamma(v); }, x);
}
template <class T, int N> INK_INLINE Pack<T, N> atan2(Pack<T, N> y, Pack<T, N> x) {
  return lanewise([](T a, T b) { return fn::atan2(a, b); }, y, x);
}
template <class T, int N> INK_INLINE Pack<T, N> hypot(Pack<T, N> x, Pack<T, N> y) {
  return lanewise([](T a, T b) { return fn::hypot(a, b); }, x, y);
}
template <class T, int N> INK_INLINE Pack<T, N> fmod(Pack<T, N> a, Pack<T, N> b) {
  return lanewise([](T u, T v) { return fn::fmod(u, v); }, a, b);
}
template <class T, int N> INK_INLINE Pack<T, N> remainder(Pack<T, N> a, Pack<T, N> b) {
  return lanewise([](T u, T v) { return fn::remainder(u, v); }, a, b);
}
template <class T, int N> INK_INLINE Pack<T, N> floor_divide(Pack<T, N> a, Pack<T, N> b) {
  return lanewise([](T u, T v) { return fn::floor_divide(u, v); }, a, b);
}

}  // namespace ink::INK_CPU_LEVEL

#include "tensor/cpu/pack/pack_exp.h"
#include "tensor/cpu/pack/pack_trig.h"
