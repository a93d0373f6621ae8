// A matrix transposed a square of packs at a time.
#pragma once
#include "tensor/cpu/pack/pack_half.h"

namespace ink::INK_CPU_LEVEL {

// log2(L) perfect shuffles: each rotates the bits of (row, lane) by one place, so all of them exchange row and lane.
template <class T, int L> INK_INLINE void transpose_square(Pack<T, L> (&row)[L]) {
#pragma GCC unroll 4
  for (int round = 1; round < L; round *= 2) {
    Pack<T, L> next[L];
#pragma GCC unroll 8
    for (int i = 0; i < L / 2; ++i) {
      next[2 * i] = row[i];
      next[2 * i + 1] = row[i + L / 2];
      interleave(next[2 * i], next[2 * i + 1]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < L; ++i) row[i] = next[i];
  }
}

// out[j * out_stride + i] = in[i * in_stride + j] for i < rows, j < cols. With `fill`, rows up to the next multiple of
// the lanes are written as 0 too: out has room for them. f16 and bf16 become f32 where T is float.
template <class T, class S>
void transpose(T* out, int64_t out_stride, const S* in, int64_t in_stride, int64_t rows, int64_t cols, bool fill) {
  constexpr int L = kLanes<T>;
  using P = Pack<T, L>;
  for (int64_t i = 0; i < rows; i += L) {
    int64_t height = rows - i < L ? rows - i : L;
    for (int64_t j = 0; j < cols; j += L) {
      int64_t width = cols - j < L ? cols - j : L;
      const S* from = in + i * in_stride + j;
      T* to = out + j * out_stride + i;
      P row[L];
      if (height == L && width == L) {
#pragma GCC unroll 16
        for (int k = 0; k < L; ++k) row[k] = load<P>(from + k * in_stride);
      } else {
#pragma GCC unroll 16
        for (int k = 0; k < L; ++k) row[k] = k < height ? load<P>(from + k * in_stride, width) : P(T(0));
      }
      transpose_square(row);
      if (height == L || fill) {
#pragma GCC unroll 16
        for (int k = 0; k < L; ++k)
          if (k < width) row[k].store(to + k * out_stride);
      } else {
#pragma GCC unroll 16
        for (int k = 0; k < L; ++k)
          if (k < width) row[k].store(to + k * out_stride, height);
      }
    }
  }
}

}  // namespace ink::INK_CPU_LEVEL
