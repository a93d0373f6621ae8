// Error functions, log-gamma and digamma of one number. Included by tensor/math/math.h.
#pragma once
#include "tensor/math/math.h"

namespace ink::fn {

INK_HD INK_INLINE float erf(float x) { return ::erff(x); }
INK_HD INK_INLINE double erf(double x) { return ::erf(x); }
INK_HD INK_INLINE float erfc(float x) { return ::erfcf(x); }
INK_HD INK_INLINE double erfc(double x) { return ::erfc(x); }

// log |Gamma(x)|. On the host the reentrant form: lgamma() writes the global `signgam`.
INK_HD INK_INLINE float lgamma(float x) {
#if defined(__CUDA_ARCH__)
  return ::lgammaf(x);
#else
  int sign;
  return ::lgammaf_r(x, &sign);
#endif
}
INK_HD INK_INLINE double lgamma(double x) {
#if defined(__CUDA_ARCH__)
  return ::lgamma(x);
#else
  int sign;
  return ::lgamma_r(x, &sign);
#endif
}

// The inverse of erf: a first guess good to 2e-3 (Winitzki 2008), then Halley steps on erf(x) = y. Near |y| = 1 the
// equation is erfc(x) = 1 - y, because there erf has lost what distinguishes y from 1.
INK_HD INK_INLINE double erfinv(double y) {
  double a = abs(y);
  if (!(a < 1)) return a == 1 ? copysign(highest<double>(), y) : std::numeric_limits<double>::quiet_NaN();
  const double k = 0.147, pi = 3.14159265358979323846, two_over_sqrt_pi = 1.12837916709551257390;
  double l = log1p(-a * a), b = 2 / (pi * k) + 0.5 * l, c = -l / k;
  double x = sqrt(c / (sqrt(b * b + c) + b));  // sqrt(sqrt(b^2 + c) - b) without cancellation
  for (int i = 0; i < 3; ++i) {
    double error = a < 0.5 ? erf(x) - a : (1 - a) - erfc(x);
    double newton = error / (two_over_sqrt_pi * exp(-x * x));
    x -= newton / (1 + x * newton);
  }
  return copysign(x, y);
}
INK_HD INK_INLINE float erfinv(float y) { return float(erfinv(double(y))); }

// psi(x) = d/dx log Gamma(x): reflection to x > 0, recurrence to x >= 10, then the asymptotic series
// (Abramowitz & Stegun 6.3.7, 6.3.5, 6.3.18). A pole gives NaN, zero the infinity of its own side.
INK_HD INK_INLINE double digamma(double x) {
  const double pi = 3.14159265358979323846;
  if (x == 0) return copysign(highest<double>(), -x);
  double reflected = 0;
  if (x < 0) {
    double t = x - trunc(x);
    if (t == 0) return std::numeric_limits<double>::quiet_NaN();
    reflected = -pi / tan(pi * t);
    x = 1 - x;
  }
  double sum = 0;
  for (; x < 10; x += 1) sum -= 1 / x;
  double z = 1 / (x * x);
  double series =
      z * (1.0 / 12 - z * (1.0 / 120 - z * (1.0 / 252 - z * (1.0 / 240 - z * (1.0 / 132 - z * 691.0 / 32760)))));
  return log(x) - 0.5 / x - series + sum + reflected;
}
INK_HD INK_INLINE float digamma(float x) { return float(digamma(double(x))); }

}  // namespace ink::fn
