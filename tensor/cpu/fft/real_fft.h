// Real numbers by complex transforms of half the length. x_0 + i x_1, x_2 + i x_3, .. have the transform Z; the even
// and the odd elements alone have (Z_k + conj Z_{h-k}) / 2 and (Z_k - conj Z_{h-k}) / 2i, h = n / 2, and with w =
// exp(-2 pi i / n) the transform of x is X_k = even_k + w^k odd_k. The entries k and h - k of both are made together.
#pragma once
#include "tensor/cpu/fft/fft_stage.h"
#include "tensor/cpu/pack/pack_split.h"
#include "tensor/math/complex.h"

namespace ink::INK_CPU_LEVEL {

// Up to `lanes` complex numbers from memory, the parts apart; the other lanes are 0.
template <class T> INK_INLINE Cx<T> load_complex(const complex<T>* x, int64_t n) {
  constexpr int L = kLanes<T>;
  const T* p = &x->re;
  Cx<T> v{load_up_to<L>(p, 2 * n), load_up_to<L>(p + L, 2 * n - L)};
  split(v.re, v.im);
  return v;
}
template <class T> INK_INLINE void store_complex(complex<T>* y, Cx<T> v, int64_t n) {
  constexpr int L = kLanes<T>;
  T* p = &y->re;
  interleave(v.re, v.im);
  store_up_to(v.re, p, 2 * n);
  store_up_to(v.im, p + L, 2 * n - L);
}

namespace detail {
template <class T, int N, int... I> INK_INLINE Pack<T, N> reversed(Pack<T, N> x, std::integer_sequence<int, I...>) {
  return Pack<T, N>(__builtin_shufflevector(x.v, x.v, (N - 1 - I)...));
}
}  // namespace detail
template <class T> INK_INLINE Cx<T> reversed(Cx<T> x) {
  constexpr auto lanes = std::make_integer_sequence<int, kLanes<T>>();
  return {detail::reversed(x.re, lanes), detail::reversed(x.im, lanes)};
}

// f(a, conj b, w^k) for a = x[k], b = x[half - k] gives {y[k], conj y[half - k]}, 0 < k < half / 2, `lanes` of them at
// a time while the two ends are apart.
template <class T, class F> INK_INLINE void pairs_from_ends(complex<T>* y, const complex<T>* x, int64_t half, F f) {
  constexpr int L = kLanes<T>;
  const T *re = real_fft_turns<T>(half), *im = re + half + 1;
  int64_t k = 1;
  const auto some = [&](int64_t count) {  // of which the first `count` are wanted
    using P = Pack<T, L>;
    const int64_t end = half - k - count + 1;  // the first of the other end
    const Cx<T> a = load_complex(x + k, count), w{load_up_to<L>(re + k, count), load_up_to<L>(im + k, count)};
    Cx<T> b;
    if (count == L) {
      b = reversed(load_complex(x + end, L));
    } else {
      b = {P(T(0)), P(T(0))};
      for (int64_t i = 0; i < count; ++i) b.re.v[i] = x[half - k - i].re, b.im.v[i] = x[half - k - i].im;
    }
    Cx<T> c = a, d = b.conj();
    f(c, d, w);
    store_complex(y + k, c, count);
    d = d.conj();
    if (count == L)
      store_complex(y + end, reversed(d), L);
    else
      for (int64_t i = 0; i < count; ++i) y[half - k - i] = complex<T>(d.re[int(i)], d.im[int(i)]);
  };
  for (; 2 * (k + L - 1) < half; k += L) some(L);
  if (2 * k < half) some((half + 1) / 2 - k);
}

// z[half] -> y[half + 1], times scale.
template <class T> void spectrum_of_pairs(complex<T>* y, const complex<T>* z, int64_t half, T scale) {
  using P = Pack<T, kLanes<T>>;
  const P share(scale / 2);
  pairs_from_ends(y, z, half, [&](Cx<T>& a, Cx<T>& b, Cx<T> w) {
    const Cx<T> even = a + b, odd = ((a - b) * w).times_minus_i();
    a = {(even.re + odd.re) * share, (even.im + odd.im) * share};
    b = {(even.re - odd.re) * share, (even.im - odd.im) * share};
  });
  if (half % 2 == 0) y[half / 2] = complex<T>(z[half / 2].re * scale, -z[half / 2].im * scale);
  y[half] = complex<T>((z[0].re - z[0].im) * scale, T(0));
  y[0] = complex<T>((z[0].re + z[0].im) * scale, T(0));
}
// x[half + 1] -> z[half], whose inverse transform of length `half` is that of the whole spectrum, two numbers as one.
template <class T> void pairs_of_spectrum(complex<T>* z, const complex<T>* x, int64_t half) {
  pairs_from_ends(z, x, half, [&](Cx<T>& a, Cx<T>& b, Cx<T> w) {
    const Cx<T> even = a + b, i_odd = ((b - a) * w.conj()).times_minus_i();
    a = even + i_odd;
    b = even - i_odd;
  });
  if (half % 2 == 0) z[half / 2] = complex<T>(2 * x[half / 2].re, -2 * x[half / 2].im);
  z[0] = complex<T>(x[0].re + x[half].re, x[0].re - x[half].re);
}

}  // namespace ink::INK_CPU_LEVEL
