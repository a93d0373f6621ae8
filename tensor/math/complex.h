// A complex number that works on host and device. std::complex checks for infinities in products and cannot be used in
// kernels; layouts are equal, so pointers to either may be exchanged.
#pragma once
#include <cmath>

#include "tensor/math/hd.h"

namespace ink {

template <class T> struct complex {
  T re{}, im{};
  constexpr complex() = default;
  INK_HD INK_INLINE constexpr complex(T r, T i = T(0)) : re(r), im(i) {}
  template <class U> INK_HD INK_INLINE constexpr explicit complex(const complex<U>& o) : re(T(o.re)), im(T(o.im)) {}

  INK_HD INK_INLINE friend complex operator+(complex a, complex b) { return {a.re + b.re, a.im + b.im}; }
  INK_HD INK_INLINE friend complex operator-(complex a, complex b) { return {a.re - b.re, a.im - b.im}; }
  INK_HD INK_INLINE friend complex operator*(complex a, complex b) {
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
  }
  INK_HD INK_INLINE friend complex operator/(complex a, complex b) {  // Smith 1962: no overflow in |b|^2
    if (std::abs(b.re) >= std::abs(b.im)) {
      T r = b.im / b.re, d = b.re + b.im * r;
      return {(a.re + a.im * r) / d, (a.im - a.re * r) / d};
    }
    T r = b.re / b.im, d = b.re * r + b.im;
    return {(a.re * r + a.im) / d, (a.im * r - a.re) / d};
  }
  INK_HD INK_INLINE friend complex operator-(complex a) { return {-a.re, -a.im}; }
  INK_HD INK_INLINE friend bool operator==(complex a, complex b) { return a.re == b.re && a.im == b.im; }
  INK_HD INK_INLINE friend bool operator!=(complex a, complex b) { return !(a == b); }
  INK_HD INK_INLINE complex& operator+=(complex b) { return *this = *this + b; }
  INK_HD INK_INLINE complex& operator-=(complex b) { return *this = *this - b; }
  INK_HD INK_INLINE complex& operator*=(complex b) { return *this = *this * b; }
};

}  // namespace ink
