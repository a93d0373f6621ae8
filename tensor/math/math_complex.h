// The functions of a complex number; branch cuts and signed zeros as in C99 annex G. Included by tensor/math/math.h.
#pragma once
#include "tensor/math/math.h"

namespace ink::fn {

template <class T> INK_HD INK_INLINE complex<T> conj(complex<T> z) { return {z.re, -z.im}; }
template <class T> INK_HD INK_INLINE T real(complex<T> z) { return z.re; }
template <class T> INK_HD INK_INLINE T imag(complex<T> z) { return z.im; }
template <class T> INK_HD INK_INLINE T abs(complex<T> z) { return hypot(z.re, z.im); }
template <class T> INK_HD INK_INLINE bool isnan(complex<T> z) { return isnan(z.re) || isnan(z.im); }
template <class T> INK_HD INK_INLINE bool isinf(complex<T> z) { return isinf(z.re) || isinf(z.im); }
template <class T> INK_HD INK_INLINE bool isfinite(complex<T> z) { return isfinite(z.re) && isfinite(z.im); }

// e^x (cos y, sin y). e^(x/2) enters twice, because e^x can overflow where the product does not.
template <class T> INK_HD INK_INLINE complex<T> exp(complex<T> z) {
  T x = z.re, y = z.im;
  if (y == T(0)) return {exp(x), y};
  if (isinf(x) && !isfinite(y)) return x < T(0) ? complex<T>(T(0), T(0)) : complex<T>(x, y - y);
  if (x == lowest<T>()) return {copysign(T(0), cos(y)), copysign(T(0), sin(y))};
  if (abs(x) < T(80)) {
    T r = exp(x);
    return {r * cos(y), r * sin(y)};
  }
  T r = exp(x * T(0.5));
  return {r * cos(y) * r, r * sin(y) * r};
}

// (log |z|, arg z). Near the unit circle |z|^2 - 1 is formed first, else its digits are lost.
template <class T> INK_HD INK_INLINE complex<T> log(complex<T> z) {
  T a = max(abs(z.re), abs(z.im)), b = min(abs(z.re), abs(z.im)), modulus;
  if (a > T(0.5) && a < T(1.5)) {
    modulus = T(0.5) * log1p(fma(b, b, (a - T(1)) * (a + T(1))));
  } else if (a > std::numeric_limits<T>::max() / T(2) && isfinite(z)) {
    modulus = log(hypot(a * T(0.5), b * T(0.5))) + T(0.69314718055994530942);
  } else {
    modulus = log(hypot(z.re, z.im));
  }
  return {modulus, atan2(z.im, z.re)};
}

// t = sqrt((|x| + |z|) / 2) is one part, |y| / 2t the other; scaled by a power of four against over- and underflow.
template <class T> INK_HD INK_INLINE complex<T> sqrt(complex<T> z) {
  T x = z.re, y = z.im;
  if (isinf(y)) return {highest<T>(), y};
  if (x == T(0) && y == T(0)) return {T(0), y};
  if (isinf(x)) {
    T other = isnan(y) ? y : T(0);
    return x > T(0) ? complex<T>(x, isnan(y) ? y : copysign(T(0), y)) : complex<T>(other, copysign(highest<T>(), y));
  }
  T big = max(abs(x), abs(y)), scale = T(1), root = T(1);
  if (big > std::numeric_limits<T>::max() / T(4)) scale = T(1) / T(16), root = T(4);
  if (big < std::numeric_limits<T>::min() * T(16)) scale = T(0x1p48), root = T(0x1p-24);
  T u = abs(x) * scale, v = abs(y) * scale;
  T t = sqrt((u + hypot(u, v)) * T(0.5)), s = v / (t + t);
  t = t * root;
  s = s * root;
  return x >= T(0) || isnan(x) ? complex<T>(t, copysign(s, y)) : complex<T>(s, copysign(t, y));
}

// (sinh x cos y, cosh x sin y)
template <class T> INK_HD INK_INLINE complex<T> sinh(complex<T> z) {
  T x = z.re, y = z.im;
  if (y == T(0)) return {sinh(x), y};
  if (x == T(0)) return {x, sin(y)};
  if (isinf(x) && !isfinite(y)) return {x, y - y};
  if (abs(x) < T(80)) return {sinh(x) * cos(y), cosh(x) * sin(y)};
  T h = exp(abs(x) * T(0.5));  // sinh |x| = cosh x = h^2 / 2 here
  return {copysign(T(0.5), x) * h * cos(y) * h, T(0.5) * h * sin(y) * h};
}
// (cosh x cos y, sinh x sin y)
template <class T> INK_HD INK_INLINE complex<T> cosh(complex<T> z) {
  T x = z.re, y = z.im;
  if (y == T(0)) return {cosh(x), copysign(T(0), x) * y};
  if (x == T(0)) return {cos(y), x * sin(y)};
  if (isinf(x) && !isfinite(y)) return {highest<T>(), y - y};
  if (abs(x) < T(80)) return {cosh(x) * cos(y), sinh(x) * sin(y)};
  T h = exp(abs(x) * T(0.5));
  return {T(0.5) * h * cos(y) * h, copysign(T(0.5), x) * h * sin(y) * h};
}
// Kahan 1987, "Branch cuts for complex elementary functions", procedure CTANH.
template <class T> INK_HD INK_INLINE complex<T> tanh(complex<T> z) {
  T x = z.re, y = z.im;
  if (y == T(0)) return {tanh(x), y};
  if (abs(x) > T(25)) {
    T tail = T(4) * exp(T(-2) * abs(x));
    return {copysign(T(1), x), isfinite(y) ? tail * sin(y) * cos(y) : tail * T(0)};
  }
  T t = tan(y), beta = T(1) + t * t, s = sinh(x), rho = sqrt(T(1) + s * s);
  if (isinf(t)) return {rho / s, T(1) / t};
  T d = T(1) + beta * s * s;
  return {beta * rho * s / d, t / d};
}

template <class T> INK_HD INK_INLINE complex<T> times_i(complex<T> z) { return {-z.im, z.re}; }
template <class T> INK_HD INK_INLINE complex<T> over_i(complex<T> z) { return {z.im, -z.re}; }
template <class T> INK_HD INK_INLINE complex<T> sin(complex<T> z) { return over_i(sinh(times_i(z))); }
template <class T> INK_HD INK_INLINE complex<T> cos(complex<T> z) { return cosh(times_i(z)); }
template <class T> INK_HD INK_INLINE complex<T> tan(complex<T> z) { return over_i(tanh(times_i(z))); }

// e^(w log z); a small whole w multiplies, which is exact where the products are.
template <class T> INK_HD INK_INLINE complex<T> pow(complex<T> z, complex<T> w) {
  if (w.im == T(0) && abs(w.re) <= T(64) && w.re == trunc(w.re)) {
    complex<T> result(T(1)), power = z;
    for (int n = int(abs(w.re)); n > 0; n /= 2, power *= power)
      if (n % 2) result *= power;
    return w.re < T(0) ? complex<T>(T(1)) / result : result;
  }
  if (z == complex<T>(T(0)) && w.re > T(0)) return {T(0), T(0)};
  return exp(w * log(z));
}

}  // namespace ink::fn
