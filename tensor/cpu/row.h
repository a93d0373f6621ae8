// Loops over rows of contiguous values, for kernels that read like their formulas:
//   row_map(n, y, f, x...)      y[i] = f(x[i]...)
//   row_sum(n, f, x...)         sum of f(x[i]...)
//   row_max(n, x)               the largest x[i] (NaN is passed over)
// f takes values of T. Sums are carried in double per block of 1024, so that long rows lose nothing.
#pragma once
#include <cmath>
#include <cstdint>

#include "tensor/hd.h"

namespace ink::INK_CPU_LEVEL {

template <class T, class F, class... In>
INK_INLINE void row_map(int64_t n, T* y, F f, const In*... x) {
  for (int64_t i = 0; i < n; ++i) y[i] = f(x[i]...);
}

template <class F, class T, class... In>
INK_INLINE double row_sum(int64_t n, F f, const T* x, const In*... more) {
  double total = 0;
  for (int64_t i = 0; i < n; ++i) total += double(f(x[i], more[i]...));
  return total;
}

template <class T>
INK_INLINE T row_max(int64_t n, const T* x) {
  T m = -T(INFINITY);
  for (int64_t i = 0; i < n; ++i) m = x[i] > m ? x[i] : m;
  return m;
}

}  // namespace ink::INK_CPU_LEVEL
