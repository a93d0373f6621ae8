// Dot products of rows with rows, each summed in one order: lane l of a pack adds the products at l, l + lanes, ...,
// and the lanes are added in a tree. So a dot product has the same bits whatever is computed beside it.
#pragma once
#include "tensor/cpu/row.h"

namespace ink::INK_CPU_LEVEL {

// With M left rows in a register tile, the number of right ones: enough sums to hide the latency of an addition, few
// enough for the registers. Right rows are numbers along k here, packs of columns in an outer product.
#if defined(INK_CPU_LEVEL_v4)
template <int M>
inline constexpr int kTileColumns = M == 4 ? 6 : 8;  // 24 sums, 4 of the left, 1 of the right: 29 of 32
#else
template <int M> inline constexpr int kTileColumns = 8 / M;  // 8 + 4 + 1 of 16
#endif

// x folded in halves to G lanes.
template <int G, class T, int N> INK_INLINE void store_folded(Pack<T, N> x, T* out) {
  if constexpr (N > G)
    store_folded<G>(low_half(x) + high_half(x), out);
  else
    x.store(out);
}
// out[g] = the lanes of sum[g] added in a tree, lane i to lane i + N / 2 and so on, for G packs at once. Two packs
// interleaved are one that has half as many lanes of each.
template <int G, class T, int N> INK_INLINE void tree_sums(Pack<T, N>* sum, T* out) {
  if constexpr (G > N) {
    tree_sums<G / 2>(sum, out);
    tree_sums<G / 2>(sum + G / 2, out + G / 2);
  } else {
#pragma GCC unroll 5
    for (int half = G / 2; half > 0; half /= 2) {
#pragma GCC unroll 16
      for (int g = 0; g < half; ++g) {
        interleave(sum[g], sum[g + half]);
        sum[g] += sum[g + half];
      }
    }
    store_folded<G>(sum[0], out);
  }
}

// out[i][j] = the sum over p < k of a[i][p] b[j][p].
template <class T, int M, int J> INK_INLINE void dots(int64_t k, const T* const* a, const T* const* b, T* out) {
  constexpr int kGroup = M * J % 16 == 0 ? 16 : M * J % 8 == 0 ? 8 : M * J % 4 == 0 ? 4 : M * J % 2 == 0 ? 2 : 1;
  Lanes<T> sum[M * J];
#pragma GCC unroll 32
  for (int s = 0; s < M * J; ++s) sum[s] = Lanes<T>(T(0));
  for_packs<T>(k, [&](int64_t p, auto lanes) {
    Lanes<T> left[M];
#pragma GCC unroll 4
    for (int i = 0; i < M; ++i) left[i] = load(a[i] + p, lanes);
#pragma GCC unroll 8
    for (int j = 0; j < J; ++j) {
      const Lanes<T> right = load(b[j] + p, lanes);
#pragma GCC unroll 4
      for (int i = 0; i < M; ++i) sum[i * J + j] = muladd(left[i], right, sum[i * J + j]);
    }
  });
#pragma GCC unroll 8
  for (int s = 0; s < M * J; s += kGroup) tree_sums<kGroup>(sum + s, out + s);
}

}  // namespace ink::INK_CPU_LEVEL
