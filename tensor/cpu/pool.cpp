// Pooling over windows of a plane: y[p, q] = max or mean of x[p stride - pad + r dilation, q stride - pad + s
// dilation].
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

constexpr int64_t kGrain = 32768;  // values of x a piece of work should read

INK_INLINE int64_t planes_per_piece(const PoolArgs& a) {
  int64_t n = kGrain / (a.h * a.w + 1);
  return n < 1 ? 1 : n;
}

// Calls f(row, column) for the positions of window (p, q) that lie inside the plane, in order.
template <class F>
INK_INLINE void for_window(const PoolArgs& a, int64_t p, int64_t q, F&& f) {
  for (int64_t r = 0; r < a.kh; r++) {
    int64_t y = p * a.stride_h - a.pad_h + r * a.dilation_h;
    if (y < 0 || y >= a.h) continue;
    for (int64_t s = 0; s < a.kw; s++) {
      int64_t x = q * a.stride_w - a.pad_w + s * a.dilation_w;
      if (x >= 0 && x < a.w) f(y, x);
    }
  }
}

// 1 / the number of positions the mean of window (p, q) is taken over. With count_include_pad these are the positions
// of the padded plane, whose far edge cuts a window that reaches beyond it.
INK_INLINE double window_weight(const PoolArgs& a, int64_t p, int64_t q) {
  int64_t count = 0;
  if (a.count_include_pad) {
    for (int64_t r = 0; r < a.kh; r++) {
      if (p * a.stride_h + r * a.dilation_h >= a.h + 2 * a.pad_h) break;
      for (int64_t s = 0; s < a.kw; s++) count += q * a.stride_w + s * a.dilation_w < a.w + 2 * a.pad_w;
    }
  } else {
    for_window(a, p, q, [&](int64_t, int64_t) { count++; });
  }
  return count ? 1.0 / double(count) : 0;
}

}  // namespace

void max_pool2d(const PoolArgs& a, void* y, int64_t* indices, const void* x) {
  visit_float(a.dtype, [&]<class T>() {
    parallel_for(a.planes, planes_per_piece(a), [&](int64_t begin, int64_t end) {
      for (int64_t j = begin; j < end; j++) {
        const T* in = static_cast<const T*>(x) + j * a.h * a.w;
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
      for (int64_t j = begin; j < end; j++) {
        const T* in = static_cast<const T*>(x) + j * a.h * a.w;
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
        T* in = static_cast<T*>(dx) + j * a.h * a.w;
        for (int64_t i = 0; i < a.h * a.w; i++) in[i] = T(0);
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
