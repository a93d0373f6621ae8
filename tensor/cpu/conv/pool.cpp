// Pooling over windows of a plane: y[p, q] = max or mean of x[p stride - pad + r dilation, q stride - pad + s
// dilation].
#include "tensor/cpu/pack/pack_split.h"
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

constexpr int64_t kGrain = 32768;  // elements of x that a piece of work should read

INK_INLINE int64_t planes_per_piece(const PoolArgs& a) {
  int64_t n = kGrain / (a.plane() + 1);
  return n < 1 ? 1 : n;
}

// The taps of a window from `first` on whose positions lie in [0, size). A window may be far larger than the plane.
struct Taps {
  int64_t begin, end;
  INK_INLINE Taps(int64_t first, int64_t size, int64_t taps, int64_t dilation) {
    begin = first < 0 ? (dilation - 1 - first) / dilation : 0;
    end = first < size ? (size - first + dilation - 1) / dilation : 0;
    if (end > taps) end = taps;
    if (end < begin) end = begin;
  }
};

// Calls f(row, column) for the positions of window (p, q) that lie inside the plane, in order.
template <class F> INK_INLINE void for_window(const PoolArgs& a, int64_t p, int64_t q, F&& f) {
  const int64_t top = p * a.stride_h - a.pad_h, left = q * a.stride_w - a.pad_w;
  const Taps rows(top, a.h, a.kh, a.dilation_h), cols(left, a.w, a.kw, a.dilation_w);
  for (int64_t r = rows.begin; r < rows.end; r++)
    for (int64_t s = cols.begin; s < cols.end; s++) f(top + r * a.dilation_h, left + s * a.dilation_w);
}

// 1 / the number of positions the mean of window (p, q) is taken over. With count_include_pad these are the positions
// of the padded plane, whose far edge cuts a window that reaches beyond it.
INK_INLINE double window_weight(const PoolArgs& a, int64_t p, int64_t q) {
  const int64_t pad_h = a.count_include_pad ? a.pad_h : 0, pad_w = a.count_include_pad ? a.pad_w : 0;
  const Taps rows(p * a.stride_h - a.pad_h + pad_h, a.h + 2 * pad_h, a.kh, a.dilation_h),
      cols(q * a.stride_w - a.pad_w + pad_w, a.w + 2 * pad_w, a.kw, a.dilation_w);
  const int64_t count = (rows.end - rows.begin) * (cols.end - cols.begin);
  return count ? 1.0 / double(count) : 0;
}

// Windows of 2x2 side by side, by far the most common: two rows split into their even and odd columns.
INK_INLINE bool is_2x2(const PoolArgs& a) {
  return a.kh == 2 && a.kw == 2 && a.stride_h == 2 && a.stride_w == 2 && a.pad_h == 0 && a.pad_w == 0 &&
         a.dilation_h == 1 && a.dilation_w == 1 && 2 * a.oh <= a.h && 2 * a.ow <= a.w;
}

template <class T> struct Quad {  // the four values of each of n <= lanes windows
  static constexpr int L = kLanes<T>;
  using P = Pack<T, L>;
  P a, b, c, d;  // a b over c d

  INK_INLINE Quad(const T* x, int64_t w, int64_t n) {
    a = load_up_to<L>(x, 2 * n), b = load_up_to<L>(x + L, 2 * n - L);
    c = load_up_to<L>(x + w, 2 * n), d = load_up_to<L>(x + w + L, 2 * n - L);
    split(a, b);
    split(c, d);
  }
};

// Calls f(first output, first input, count) for runs of at most `lanes` windows of planes [begin, end).
template <class F> INK_INLINE void for_runs(const PoolArgs& a, int64_t begin, int64_t end, int64_t lanes, F&& f) {
  for (int64_t j = begin; j < end; j++)
    for (int64_t p = 0; p < a.oh; p++)
      for (int64_t q = 0; q < a.ow; q += lanes)
        f((j * a.oh + p) * a.ow + q, (j * a.h + 2 * p) * a.w + 2 * q, a.ow - q < lanes ? a.ow - q : lanes);
}

template <class T> void max_2x2(const PoolArgs& a, T* y, int64_t* indices, const T* x, int64_t begin, int64_t end) {
  constexpr int L = kLanes<T>, half = (L + 1) / 2;
  using P = Pack<T, L>;
  using I = Pack<int_of<T>, L>;
  I twice(int_of<T>(0));
  for (int i = 0; i < L; i++) twice.v[i] = 2 * i;
  const I right(int_of<T>(1)), below{int_of<T>(a.w)};
  for_runs(a, begin, end, L, [&](int64_t out, int64_t in, int64_t n) {
    Quad<T> w(x + in, a.w, n);
    I at = twice;
    P best = w.a;
    auto take = [&](P value, I place) {  // ties: the first; NaN wins, the first one too
      auto better = (value > best) | ((value != value) & (best == best));
      best = select(better, value, best);
      at.v = better.v ? place.v : at.v;
    };
    take(w.b, twice + right);
    take(w.c, twice + below);
    take(w.d, twice + below + right);
    int64_t first = in % (a.plane());
    store_up_to(best, y + out, n);
    if constexpr (sizeof(T) == 4 && L > 1) {
      using J = Pack<int64_t, half>;
      J low = convert<int64_t>(low_half(at)) + J(first), high = convert<int64_t>(high_half(at)) + J(first);
      store_up_to(low, indices + out, n);
      store_up_to(high, indices + out + half, n - half);
    } else {
      for (int64_t i = 0; i < n; i++) indices[out + i] = first + at[int(i)];
    }
  });
}

// The adjoint of the mean of 2x2 windows that cover the plane: a quarter of each value, four times.
template <class T> void spread_2x2(const PoolArgs& a, T* dx, const T* dy) {
  constexpr int L = kLanes<T>;
  using P = Pack<T, L>;
  for (int64_t p = 0; p < a.oh; p++, dx += 2 * a.w)
    for (int64_t q = 0; q < a.ow; q += L) {
      int64_t n = a.ow - q < L ? a.ow - q : L;
      P low = load_up_to<L>(dy + p * a.ow + q, n) * P(T(0.25)), high = low;
      interleave(low, high);
      for (int row = 0; row < 2; row++) {
        store_up_to(low, dx + row * a.w + 2 * q, 2 * n);
        store_up_to(high, dx + row * a.w + 2 * q + L, 2 * n - L);
      }
    }
}

}  // namespace

void max_pool2d(const PoolArgs& a, void* y, int64_t* indices, const void* x) {
  visit_float(a.dtype, [&]<class T>() {
    parallel_for(a.planes, planes_per_piece(a), [&](int64_t begin, int64_t end) {
      if (is_2x2(a) && 2 * a.w < (int64_t(1) << 31))  // places within two rows fit lanes of 32 bits
        return max_2x2(a, static_cast<T*>(y), indices, static_cast<const T*>(x), begin, end);
      for (int64_t j = begin; j < end; j++) {
        const T* in = static_cast<const T*>(x) + j * a.plane();
        for (int64_t p = 0; p < a.oh; p++)
          for (int64_t q = 0; q < a.ow; q++) {
            T best = -T(__builtin_inf());
            int64_t where = -1;
            for_window(a, p, q, [&](int64_t r, int64_t s) {
              T v = in[r * a.w + s];
              if (where < 0 || v > best || (v != v && best == best)) best = v, where = r * a.w + s;
            });
            int64_t at = (j * a.oh + p) * a.ow + q;
            static_cast<T*>(y)[at] = best;
            indices[at] = where;
          }
      }
    });
  });
}

void avg_pool2d(const PoolArgs& a, void* y, const void* x) {
  visit_float(a.dtype, [&]<class T>() {
    parallel_for(a.planes, planes_per_piece(a), [&](int64_t begin, int64_t end) {
      if (is_2x2(a)) {
        constexpr int L = kLanes<T>;
        return for_runs(a, begin, end, L, [&](int64_t out, int64_t in, int64_t n) {
          Quad<T> w(static_cast<const T*>(x) + in, a.w, n);
          auto mean = (((w.a + w.b) + w.c) + w.d) * Pack<T, L>(T(0.25));
          store_up_to(mean, static_cast<T*>(y) + out, n);
        });
      }
      for (int64_t j = begin; j < end; j++) {
        const T* in = static_cast<const T*>(x) + j * a.plane();
        for (int64_t p = 0; p < a.oh; p++)
          for (int64_t q = 0; q < a.ow; q++) {
            T sum = 0;
            for_window(a, p, q, [&](int64_t r, int64_t s) { sum += in[r * a.w + s]; });
            static_cast<T*>(y)[(j * a.oh + p) * a.ow + q] = sum * T(window_weight(a, p, q));
          }
      }
    });
  });
}

void avg_pool2d_backward(const PoolArgs& a, void* dx, const void* dy) {
  visit_float(a.dtype, [&]<class T>() {
    parallel_for(a.planes, planes_per_piece(a), [&](int64_t begin, int64_t end) {
      for (int64_t j = begin; j < end; j++) {
        T* in = static_cast<T*>(dx) + j * a.plane();
        if (is_2x2(a) && 2 * a.oh == a.h && 2 * a.ow == a.w) {
          spread_2x2(a, in, static_cast<const T*>(dy) + j * a.out_plane());
          continue;
        }
        for (int64_t i = 0; i < a.plane(); i++) in[i] = T(0);
        for (int64_t p = 0; p < a.oh; p++)
          for (int64_t q = 0; q < a.ow; q++) {
            T g = static_cast<const T*>(dy)[(j * a.oh + p) * a.ow + q] * T(window_weight(a, p, q));
            for_window(a, p, q, [&](int64_t r, int64_t s) { in[r * a.w + s] += g; });
          }
      }
    });
  });
}

}  // namespace ink::INK_CPU_LEVEL
