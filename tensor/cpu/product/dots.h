// Dot products of rows with rows, each summed in one order: lane l of a pack adds the products at l, l + lanes, ...,
// and the lanes are added in a tree. So a dot product has the same bits whatever is computed beside it.
#pragma once
#include "tensor/cpu/row.h"

namespace ink::INK_CPU_LEVEL {

// A register tile has M left rows and so many right ones (or packs of columns, in an outer product): enough sums to
// hide the latency of an addition, few enough for the registers.
#if defined(INK_CPU_LEVEL_v4)
template <int M>
inline constexpr int kTileColumns = M == 4 ? 6 : 8;  // 24 sums, 4 of the left, 1 of the right: 29 of 32
#else
template <int M> inline constexpr int kTileColumns = 8 / M;  // 8 + 4 + 1 of 16
#endif

// f(0), f(1), ... with constants, so that what they index stays in registers. Callers are `flatten`: a lambda that was
// not inlined would bring it all to memory.
template <int n, class F> INK_INLINE void repeat(F f) {
  if constexpr (n > 1) repeat<n - 1>(f);
  f(std::integral_constant<int, n - 1>());
}

// The lanes of G packs (sum[at] and on), added in a tree, lane i to lane i + N / 2 and so on: one pack of G sums. Two
// packs interleaved are one that has half as many lanes of each.
template <int G, int half, int at, class T, int N, int S> INK_INLINE Pack<T, G> tree_sums(Pack<T, N> (&sum)[S]) {
  if constexpr (half > 0) {
    repeat<half>([&](auto g) {
      interleave(sum[at + g], sum[at + half + g]);
      sum[at + g] += sum[at + half + g];
    });
    return tree_sums<G, half / 2, at>(sum);
  } else if constexpr (N > G) {
    Pack<T, N / 2> folded[1] = {low_half(sum[at]) + high_half(sum[at])};
    return tree_sums<G, 0, 0>(folded);
  } else {
    return sum[at];
  }
}

// Gives J sums to `to` in packs of as many as go into one: to(first, sums).
template <int J, int at, int from, class T, int N, int S, class To>
INK_INLINE void give_sums(Pack<T, N> (&sum)[S], To to) {
  constexpr int G = J >= 8 && N >= 8 ? 8 : J >= 4 && N >= 4 ? 4 : J >= 2 && N >= 2 ? 2 : 1;
  to(from, tree_sums<G, G / 2, at + from>(sum));
  if constexpr (J > G) give_sums<J - G, at, from + G>(sum, to);
}

// The sums over p < k of a[i][p] b[j][p] for i < M and j < J: to(i, j, sums of j and on), in packs of a few.
template <class T, int M, int J, class To>
INK_INLINE void dots(int64_t k, const T* const* a, const T* const* b, To to) {
  Lanes<T> sum[M * J];
  repeat<M * J>([&](auto s) { sum[s] = Lanes<T>(T(0)); });
  const auto step = [&](int64_t p, auto lanes) {
    Lanes<T> left[M];
    repeat<M>([&](auto i) { left[i] = load(a[i] + p, lanes); });
    repeat<J>([&](auto j) {
      const Lanes<T> right = load(b[j] + p, lanes);
      repeat<M>([&](auto i) { sum[i * J + j] = muladd(left[i], right, sum[i * J + j]); });
    });
  };
  int64_t p = 0;
  for (; p + kLanes<T> <= k; p += kLanes<T>) step(p, AllLanes{});
  if (p < k) step(p, k - p);
  repeat<M>([&](auto i) { give_sums<J, i * J, 0>(sum, [&](int j, auto sums) { to(i, j, sums); }); });
}

}  // namespace ink::INK_CPU_LEVEL
