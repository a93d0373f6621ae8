// The elementary functions that the formulas of tensor/math/functors.h call, for single numbers: float, double,
// integers and (math_complex.h) complex. Packs have theirs in tensor/cpu/pack/pack_math.h. Everything is inlined onto
// the C library or CUDA's, so that kernel files compiled for different CPU levels share no code.
#pragma once
#include <math.h>

#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "tensor/math/complex.h"
#include "tensor/math/hd.h"

namespace ink {

// The type of one lane: float for Pack<float, N>, T itself for a plain number (complex included).
template <class T> struct LaneOf { using type = T; };
template <class T>
requires requires { typename T::Lane; }
struct LaneOf<T> {
  using type = typename T::Lane;
};
template <class T> using scalar_t = typename LaneOf<T>::type;
// The type of the absolute value: T for T and complex<T>.
template <class T> struct RealOf { using type = T; };
template <class T> struct RealOf<complex<T>> { using type = T; };
template <class T> using real_t = typename RealOf<T>::type;
template <class T> inline constexpr bool is_complex_type = !std::is_same_v<T, real_t<T>>;

template <class T>
concept Arithmetic = std::is_arithmetic_v<T>;

namespace fn {

// The identities of max and min.
template <Arithmetic T> INK_HD INK_INLINE constexpr T lowest() {
  return std::numeric_limits<T>::has_infinity ? T(-std::numeric_limits<T>::infinity())
                                              : std::numeric_limits<T>::lowest();
}
template <Arithmetic T> INK_HD INK_INLINE constexpr T highest() {
  return std::numeric_limits<T>::has_infinity ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::max();
}

// ---- what every number has
template <class T> INK_HD INK_INLINE constexpr T select(bool condition, T a, T b) { return condition ? a : b; }
// NaN wins over every number.
template <Arithmetic T> INK_HD INK_INLINE constexpr T max(T a, T b) { return a > b || a != a ? a : b; }
template <Arithmetic T> INK_HD INK_INLINE constexpr T min(T a, T b) { return a < b || a != a ? a : b; }
template <std::floating_point T> INK_HD INK_INLINE constexpr bool isnan(T x) { return x != x; }
template <std::floating_point T> INK_HD INK_INLINE constexpr bool isinf(T x) {
  return x == highest<T>() || x == lowest<T>();
}
template <std::floating_point T> INK_HD INK_INLINE constexpr bool isfinite(T x) { return x - x == T(0); }
// Holomorphic gradient rules are written with conj(), which costs nothing on the reals.
template <Arithmetic T> INK_HD INK_INLINE constexpr T conj(T x) { return x; }
template <Arithmetic T> INK_HD INK_INLINE constexpr T real(T x) { return x; }
template <Arithmetic T> INK_HD INK_INLINE constexpr T imag(T) { return T(0); }

// ---- sums, differences and products: those of signed integers wrap around, as unsigned ones do (overflow itself is
// undefined)
template <class T> INK_HD INK_INLINE constexpr T plus(T a, T b) {
  if constexpr (std::signed_integral<T>)
    return T(std::make_unsigned_t<T>(a) + std::make_unsigned_t<T>(b));
  else
    return T(a + b);
}
template <class T> INK_HD INK_INLINE constexpr T minus(T a, T b) {
  if constexpr (std::signed_integral<T>)
    return T(std::make_unsigned_t<T>(a) - std::make_unsigned_t<T>(b));
  else
    return T(a - b);
}
template <class T> INK_HD INK_INLINE constexpr T times(T a, T b) {
  if constexpr (std::signed_integral<T>)
    return T(std::make_unsigned_t<T>(a) * std::make_unsigned_t<T>(b));
  else
    return T(a * b);
}

// ---- absolute values
INK_HD INK_INLINE float abs(float x) { return ::fabsf(x); }
INK_HD INK_INLINE double abs(double x) { return ::fabs(x); }
INK_HD INK_INLINE bool abs(bool x) { return x; }
template <std::integral T> INK_HD INK_INLINE constexpr T abs(T x) {  // the lowest integer stays itself
  return x < T(0) ? minus(T(0), x) : x;
}

// ---- exponentials and logarithms
INK_HD INK_INLINE float exp(float x) { return ::expf(x); }
INK_HD INK_INLINE double exp(double x) { return ::exp(x); }
INK_HD INK_INLINE float expm1(float x) { return ::expm1f(x); }
INK_HD INK_INLINE double expm1(double x) { return ::expm1(x); }
INK_HD INK_INLINE float log(float x) { return ::logf(x); }
INK_HD INK_INLINE double log(double x) { return ::log(x); }
INK_HD INK_INLINE float log1p(float x) { return ::log1pf(x); }
INK_HD INK_INLINE double log1p(double x) { return ::log1p(x); }
INK_HD INK_INLINE float log2(float x) { return ::log2f(x); }
INK_HD INK_INLINE double log2(double x) { return ::log2(x); }
INK_HD INK_INLINE float log10(float x) { return ::log10f(x); }
INK_HD INK_INLINE double log10(double x) { return ::log10(x); }

// ---- powers
INK_HD INK_INLINE float sqrt(float x) { return ::sqrtf(x); }
INK_HD INK_INLINE double sqrt(double x) { return ::sqrt(x); }
template <std::floating_point T> INK_HD INK_INLINE T rsqrt(T x) { return T(1) / sqrt(x); }
INK_HD INK_INLINE float hypot(float x, float y) { return ::hypotf(x, y); }
INK_HD INK_INLINE double hypot(double x, double y) { return ::hypot(x, y); }
INK_HD INK_INLINE float pow(float x, float y) { return ::powf(x, y); }
INK_HD INK_INLINE double pow(double x, double y) { return ::pow(x, y); }
// Integers wrap around, as products do; a negative power is what its real value truncates to (0^-1 counts as 0).
template <std::integral T> INK_HD INK_INLINE T pow(T x, T n) {
  using U = std::make_unsigned_t<std::common_type_t<T, int>>;
  if (n < T(0)) return x == T(1) ? T(1) : x == T(-1) ? (n % 2 ? T(-1) : T(1)) : T(0);
  U power = U(x), result = 1;
  for (; n > T(0); n = T(n / 2), power *= power)
    if (n % 2) result *= power;
  return T(result);
}

// ---- trigonometric and hyperbolic functions
INK_HD INK_INLINE float sin(float x) { return ::sinf(x); }
INK_HD INK_INLINE double sin(double x) { return ::sin(x); }
INK_HD INK_INLINE float cos(float x) { return ::cosf(x); }
INK_HD INK_INLINE double cos(double x) { return ::cos(x); }
INK_HD INK_INLINE float tan(float x) { return ::tanf(x); }
INK_HD INK_INLINE double tan(double x) { return ::tan(x); }
INK_HD INK_INLINE float asin(float x) { return ::asinf(x); }
INK_HD INK_INLINE double asin(double x) { return ::asin(x); }
INK_HD INK_INLINE float acos(float x) { return ::acosf(x); }
INK_HD INK_INLINE double acos(double x) { return ::acos(x); }
INK_HD INK_INLINE float atan(float x) { return ::atanf(x); }
INK_HD INK_INLINE double atan(double x) { return ::atan(x); }
INK_HD INK_INLINE float atan2(float y, float x) { return ::atan2f(y, x); }
INK_HD INK_INLINE double atan2(double y, double x) { return ::atan2(y, x); }
INK_HD INK_INLINE float sinh(float x) { return ::sinhf(x); }
INK_HD INK_INLINE double sinh(double x) { return ::sinh(x); }
INK_HD INK_INLINE float cosh(float x) { return ::coshf(x); }
INK_HD INK_INLINE double cosh(double x) { return ::cosh(x); }
INK_HD INK_INLINE float tanh(float x) { return ::tanhf(x); }
INK_HD INK_INLINE double tanh(double x) { return ::tanh(x); }

// ---- rounding, signs, remainders
INK_HD INK_INLINE float floor(float x) { return ::floorf(x); }
INK_HD INK_INLINE double floor(double x) { return ::floor(x); }
INK_HD INK_INLINE float ceil(float x) { return ::ceilf(x); }
INK_HD INK_INLINE double ceil(double x) { return ::ceil(x); }
INK_HD INK_INLINE float trunc(float x) { return ::truncf(x); }
INK_HD INK_INLINE double trunc(double x) { return ::trunc(x); }
INK_HD INK_INLINE float round(float x) { return ::rintf(x); }  // half to even
INK_HD INK_INLINE double round(double x) { return ::rint(x); }
INK_HD INK_INLINE float copysign(float x, float sign) { return ::copysignf(x, sign); }
INK_HD INK_INLINE double copysign(double x, double sign) { return ::copysign(x, sign); }
INK_HD INK_INLINE float fma(float a, float b, float c) { return ::fmaf(a, b, c); }  // a b + c, rounded once
INK_HD INK_INLINE double fma(double a, double b, double c) { return ::fma(a, b, c); }
INK_HD INK_INLINE float fmod(float a, float b) { return ::fmodf(a, b); }
INK_HD INK_INLINE double fmod(double a, double b) { return ::fmod(a, b); }

// a - b floor(a / b): the sign of b, as in Python. Integers: 0 where b is 0.
template <std::floating_point T> INK_HD INK_INLINE T remainder(T a, T b) {
  T r = fmod(a, b);
  return r != T(0) && (r < T(0)) != (b < T(0)) ? r + b : r;
}
template <std::integral T> INK_HD INK_INLINE T remainder(T a, T b) {
  if (b == T(0) || b == T(-1)) return T(0);  // the lowest integer / -1 traps
  T r = T(a % b);
  return r != T(0) && (r < T(0)) != (b < T(0)) ? T(r + b) : r;
}
// floor(a / b), from the exact fmod, so that remainder(a, b) = a - b floor_divide(a, b) holds as well as it can.
template <std::floating_point T> INK_HD INK_INLINE T floor_divide(T a, T b) {
  if (b == T(0)) return a / b;
  T r = fmod(a, b), quotient = (a - r) / b;
  if (r != T(0) && (r < T(0)) != (b < T(0))) quotient -= T(1);
  T whole = floor(quotient);
  whole = quotient - whole > T(0.5) ? whole + T(1) : whole;
  return quotient == T(0) ? copysign(T(0), a / b) : whole;
}
template <std::integral T> INK_HD INK_INLINE T floor_divide(T a, T b) {
  if (b == T(0)) return T(0);
  if (std::is_signed_v<T> && b == T(-1)) return minus(T(0), a);
  T q = T(a / b);
  return (a % b != T(0)) && ((a < T(0)) != (b < T(0))) ? T(q - 1) : q;
}

}  // namespace fn
}  // namespace ink

#include "tensor/math/math_complex.h"
#include "tensor/math/math_special.h"
