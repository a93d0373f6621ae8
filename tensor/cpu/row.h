// Loops over rows of contiguous values, for kernels that read like their formulas; f takes and gives packs:
//   for_packs<T>(n, f)            f(i, k) for every pack at i; k says how many lanes count, see load and store
//   row_map(n, y, f, x...)        y[i] = f(x[i]...)
//   row_map_stream(n, y, f, x...) the same past the caches
//   row_sum(n, f, x...)           sum of f(x[i]...)
//   row_map_sum(n, y, f, x...)    both
//   row_max(n, x)                 the largest x[i] (NaN is passed over)
#pragma once
#include "tensor/cpu/pack/pack_math.h"

namespace ink::INK_CPU_LEVEL {

template <class T> using Lanes = Pack<T, kLanes<T>>;

struct AllLanes {};
template <class T> INK_INLINE Lanes<T> load(const T* p, AllLanes) { return Lanes<T>::load(p); }
template <class T> INK_INLINE Lanes<T> load(const T* p, int64_t k) { return Lanes<T>::load(p, k); }
template <class T> INK_INLINE void store(T* p, Lanes<T> v, AllLanes) { v.store(p); }
template <class T> INK_INLINE void store(T* p, Lanes<T> v, int64_t k) { v.store(p, k); }
// v in the first k lanes, `other` in the rest.
template <class T> INK_INLINE Lanes<T> mask_lanes(Lanes<T> v, Lanes<T>, AllLanes) { return v; }
template <class T> INK_INLINE Lanes<T> mask_lanes(Lanes<T> v, Lanes<T> other, int64_t k) {
  Pack<int_of<T>, kLanes<T>> lane(int_of<T>(0));
  for (int i = 0; i < kLanes<T>; ++i) lane.v[i] = int_of<T>(i);
  return Lanes<T>(lane.v < int_of<T>(k) ? v.v : other.v);
}

template <class T, class F> INK_INLINE void for_packs(int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) f(i, AllLanes{});
  if (i < n) f(i, n - i);
}

template <class T, class F, class... In> INK_INLINE void row_map(int64_t n, T* y, F f, const In*... x) {
  for_packs<T>(n, [&](int64_t i, auto k) { store(y + i, f(load(x + i, k)...), k); });
}

// row_map past the caches, for results too large to stay in them: memory is written without being read first. The
// caller ends its piece with hw::stream_fence().
template <class T, class F, class... In> INK_INLINE void row_map_stream(int64_t n, T* y, F f, const In*... x) {
  int64_t i = int64_t(-uintptr_t(y) % sizeof(Lanes<T>) / sizeof(T));  // values before the first aligned pack
  if (i > n) i = n;
  row_map(i, y, f, x...);
  for (; i + kLanes<T> <= n; i += kLanes<T>) f(Lanes<T>::load(x + i)...).stream(y + i);
  row_map(n - i, y + i, f, (x + i)...);
}

// The sum of the packs f(i, k). A lane adds at most 256 values before they go to a double, so that long rows lose
// nothing; four sums side by side keep the adder busy.
template <class T, class F> INK_INLINE double sum_packs(int64_t n, F f) {
  constexpr int64_t kBlock = 1024 * kLanes<T>;
  double total = 0;
  for (int64_t first = 0; first < n; first += kBlock) {
    int64_t end = n - first < kBlock ? n : first + kBlock, i = first;
    Lanes<T> s0(T(0)), s1 = s0, s2 = s0, s3 = s0;
    for (; i + 4 * kLanes<T> <= end; i += 4 * kLanes<T>) {
      s0 += f(i, AllLanes{});
      s1 += f(i + kLanes<T>, AllLanes{});
      s2 += f(i + 2 * kLanes<T>, AllLanes{});
      s3 += f(i + 3 * kLanes<T>, AllLanes{});
    }
    for (; i + kLanes<T> <= end; i += kLanes<T>) s0 += f(i, AllLanes{});
    if (i < end) s1 += mask_lanes(f(i, end - i), Lanes<T>(T(0)), end - i);
    total += double(sum((s0 + s1) + (s2 + s3)));
  }
  return total;
}

template <class F, class T, class... In> INK_INLINE double row_sum(int64_t n, F f, const T* x, const In*... more) {
  return sum_packs<T>(n, [&](int64_t i, auto k) { return f(load(x + i, k), load(more + i, k)...); });
}

template <class T, class F, class... In> INK_INLINE double row_map_sum(int64_t n, T* y, F f, const In*... x) {
  return sum_packs<T>(n, [&](int64_t i, auto k) {
    Lanes<T> v = f(load(x + i, k)...);
    store(y + i, v, k);
    return v;
  });
}

template <class T> INK_INLINE T row_max(int64_t n, const T* x) {
  Lanes<T> none(lowest<T>()), m0 = none, m1 = none;
  auto larger = [](Lanes<T> a, Lanes<T> b) { return Lanes<T>(a.v > b.v ? a.v : b.v); };  // b if a is NaN
  int64_t i = 0;
  for (; i + 2 * kLanes<T> <= n; i += 2 * kLanes<T>) {
    m0 = larger(load(x + i, AllLanes{}), m0);
    m1 = larger(load(x + i + kLanes<T>, AllLanes{}), m1);
  }
  for_packs<T>(n - i, [&](int64_t j, auto k) { m0 = larger(mask_lanes(load(x + i + j, k), none, k), m0); });
  return max(larger(m0, m1));
}

}  // namespace ink::INK_CPU_LEVEL
