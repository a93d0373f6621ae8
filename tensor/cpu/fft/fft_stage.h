// The passes of a Stockham FFT over columns: x[j][column] with real and imaginary parts apart, every column a transform
// of its own. The columns are the lanes, so that no butterfly ever mixes lanes; each pass reads one array and writes
// another, which leaves the result in order.
#pragma once
#include "tensor/cpu/pack/pack_math.h"
#include "tensor/runtime/fft_plan.h"

namespace ink::INK_CPU_LEVEL {

template <class T> struct Parts {  // an array of complex numbers
  T *re, *im;
};

template <class T> struct Cx {
  using P = Pack<T, kLanes<T>>;
  P re, im;

  INK_INLINE static Cx load(Parts<T> x, int64_t i) { return {P::load(x.re + i), P::load(x.im + i)}; }
  INK_INLINE void store(Parts<T> x, int64_t i) const {
    re.store(x.re + i);
    im.store(x.im + i);
  }
  INK_INLINE friend Cx operator+(Cx a, Cx b) { return {a.re + b.re, a.im + b.im}; }
  INK_INLINE friend Cx operator-(Cx a, Cx b) { return {a.re - b.re, a.im - b.im}; }
  INK_INLINE friend Cx operator*(Cx a, Cx b) {
    return {muladd(a.re, b.re, -(a.im * b.im)), muladd(a.re, b.im, a.im * b.re)};
  }
  INK_INLINE Cx times_minus_i() const { return {im, -re}; }
  INK_INLINE Cx conj() const { return {re, -im}; }
};

template <class T> INK_INLINE Parts<T> exchanged(Parts<T> x, bool exchange = true) {
  return exchange ? Parts<T>{x.im, x.re} : x;
}

// Working memory: two arrays of `size` complex numbers. Their four parts start at different sets of the first cache, or
// passes over powers of two would evict what they are about to read.
template <class T> struct Arrays {
  Parts<T> a, b;

  static int64_t values(int64_t size) { return 4 * (size + kApart); }
  INK_INLINE Arrays(T* memory, int64_t size) {
    size += kApart;
    a = {memory, memory + size};
    b = {memory + 2 * size, memory + 3 * size};
  }

 private:
  static constexpr int64_t kApart = 5 * 64 / int64_t(sizeof(T));
};

// x[0 ... R) become their transform.
template <class T, int R> INK_INLINE void butterfly(Cx<T>* x, const T* root, int64_t radix) {
  using C = Cx<T>;
  using P = typename C::P;
  if constexpr (R == 2) {
    C a = x[0] + x[1];
    x[1] = x[0] - x[1];
    x[0] = a;
  } else if constexpr (R == 4) {
    C a = x[0] + x[2], b = x[0] - x[2], c = x[1] + x[3], d = (x[1] - x[3]).times_minus_i();
    x[0] = a + c;
    x[1] = b + d;
    x[2] = a - c;
    x[3] = b - d;
  } else if constexpr (R == 8) {
    // of the even and of the odd places; the odd ones turned by exp(-pi i k / 4)
    C even[4] = {x[0], x[2], x[4], x[6]}, odd[4] = {x[1], x[3], x[5], x[7]};
    butterfly<T, 4>(even, root, 4);
    butterfly<T, 4>(odd, root, 4);
    const P half = P(T(0.70710678118654752440));
    odd[1] = {half * (odd[1].re + odd[1].im), half * (odd[1].im - odd[1].re)};
    odd[2] = odd[2].times_minus_i();
    odd[3] = {half * (odd[3].im - odd[3].re), -(half * (odd[3].re + odd[3].im))};
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      x[k] = even[k] + odd[k];
      x[k + 4] = even[k] - odd[k];
    }
  } else {
    // y[j] and y[r - j] share sums: x0 + sum of (x[k] + x[r - k]) cos(jk) and -i times the sum of (x[k] - x[r - k])
    // sin(jk).
    constexpr int most = (R ? R : kMaxFftRadix) / 2;
    const int r = R ? R : int(radix), half = r / 2;
    C sum[most], difference[most], first = x[0];
#pragma GCC unroll 4
    for (int k = 0; k < half; ++k) {
      sum[k] = x[k + 1] + x[r - 1 - k];
      difference[k] = x[k + 1] - x[r - 1 - k];
      first = first + sum[k];
    }
#pragma GCC unroll 4
    for (int j = 1; j <= half; ++j) {
      C even = x[0], odd = {P(T(0)), P(T(0))};
#pragma GCC unroll 4
      for (int k = 0; k < half; ++k) {
        const T* w = root + 2 * (j * (k + 1) % r);
        even = {muladd(P(w[0]), sum[k].re, even.re), muladd(P(w[0]), sum[k].im, even.im)};
        odd = {muladd(P(w[1]), difference[k].re, odd.re), muladd(P(w[1]), difference[k].im, odd.im)};
      }
      odd = odd.times_minus_i();
      x[j] = even + odd;
      x[r - j] = even - odd;
    }
    x[0] = first;
  }
}

// One pass; `s` values (a multiple of the lanes) stand between neighbours. R = 0: any odd radix.
template <class T, int R> void stage(const FftStage<T>& f, Parts<T> y, Parts<T> x, int64_t s) {
  const int r = R ? R : int(f.radix);
  for (int64_t p = 0; p < f.m; ++p) {
    const T* w = f.twiddle + p * 2 * (r - 1);
    for (int64_t q = 0; q < s; q += kLanes<T>) {
      Cx<T> v[R ? R : kMaxFftRadix];
      v[0] = Cx<T>::load(x, q + s * p);
#pragma GCC unroll 8
      for (int k = 1; k < r; ++k) v[k] = Cx<T>::load(x, q + s * (p + f.m * k));
      butterfly<T, R>(v, f.root, r);
      v[0].store(y, q + s * r * p);
#pragma GCC unroll 8
      for (int k = 1; k < r; ++k) {
        using P = typename Cx<T>::P;
        (v[k] * Cx<T>{P(w[2 * k - 2]), P(w[2 * k - 1])}).store(y, q + s * (r * p + k));
      }
    }
  }
}

// Transforms the columns of x[n][columns], `columns` a multiple of the lanes; `spare` is as large. Says where the
// result is.
template <class T> Parts<T> transform_columns(const FftPlan<T>& plan, Parts<T> x, Parts<T> spare, int64_t columns) {
  int64_t s = columns;
  for (int64_t i = 0; i < plan.stage_count; ++i) {
    const FftStage<T>& f = plan.stage[i];
    switch (f.radix) {
      case 2:
        stage<T, 2>(f, spare, x, s);
        break;
      case 3:
        stage<T, 3>(f, spare, x, s);
        break;
      case 4:
        stage<T, 4>(f, spare, x, s);
        break;
      case 5:
        stage<T, 5>(f, spare, x, s);
        break;
      case 7:
        stage<T, 7>(f, spare, x, s);
        break;
      case 8:
        stage<T, 8>(f, spare, x, s);
        break;
      default:
        stage<T, 0>(f, spare, x, s);
    }
    s *= f.radix;
    Parts<T> t = x;
    x = spare;
    spare = t;
  }
  return x;
}

}  // namespace ink::INK_CPU_LEVEL
