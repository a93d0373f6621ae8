// The inner loops of the convolutions with few output channels per group (depthwise above all): lanes are pixels of a
// row.
#pragma once
#include "tensor/cpu/conv/conv_tile.h"

namespace ink::INK_CPU_LEVEL {

// One output channel of `rows` x `cols` pixels:
//   out[p out_row + q] = start + sum over c, t of w[c, t] x[c plane + offset of t + pixel].
template <class T> struct PlaneTask {
  T* out;
  int64_t out_row;
  const T *x, *weight;
  T start;
  int64_t rows, cols;
};

// `rows` rows of U packs of pixels from pixel (p, q) on, the last pack cut to `tail` lanes.
template <class T, int rows, int U>
void tile_plane(const TapSum& s, const PlaneTask<T>& task, int64_t p, int64_t q, int64_t tail) {
  constexpr int L = kLanes<T>;
  using P = Pack<T, L>;
  P sum[rows][U];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
    for (int u = 0; u < U; ++u) sum[r][u] = P(task.start);
  const T *x = task.x + p * s.output_row + q, *w = task.weight;
  for (int64_t c = 0; c < s.channels; ++c, x += s.plane, w += s.weights)
    for (int64_t t = 0; t < s.taps; ++t) {
      const T* from = x + s.tap[t].offset;
      P factor(w[s.tap[t].weight]);
#pragma GCC unroll 8
      for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
        for (int u = 0; u < U; ++u) sum[r][u] = muladd(factor, P::load(from + r * s.output_row + u * L), sum[r][u]);
    }
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
    T* out = task.out + (p + r) * task.out_row + q;
#pragma GCC unroll 8
    for (int u = 0; u < U - 1; ++u) sum[r][u].store(out + u * L);
    if (tail == L) {
      sum[r][U - 1].store(out + (U - 1) * L);
    } else {
      sum[r][U - 1].store(out + (U - 1) * L, tail);
    }
  }
}

// May read a pack beyond the last input row.
template <class T> void plane_forward(const TapSum& s, const PlaneTask<T>& task) {
  constexpr int L = kLanes<T>, wide = 2;
  for (int64_t q = 0; q < task.cols; q += wide * L) {
    int64_t rest = task.cols - q, tail = rest >= wide * L ? L : rest % L ? rest % L : L, p = 0;
    auto all_rows = [&]<int R, int U>() {
      for (; p + R <= task.rows; p += R) tile_plane<T, R, U>(s, task, p, q, tail);
    };
    if (rest > L) {
      all_rows.template operator()<4, 2>();
      all_rows.template operator()<1, 2>();
    } else {
      all_rows.template operator()<8, 1>();
      all_rows.template operator()<1, 1>();
    }
  }
}

// dw[t] += sum over the pixels of one image of x[offset of t + pixel] dy[pixel] for Q taps.
template <class T, int Q> void plane_weight(const Pixels& s, T* dw, const T* x, const Tap* tap, const T* dy) {
  const int64_t cols = s.cols;
  constexpr int L = kLanes<T>;
  using P = Pack<T, L>;
  P sum[Q];
#pragma GCC unroll 16
  for (int j = 0; j < Q; ++j) sum[j] = P(T(0));
  for (int64_t p = 0; p < s.rows; ++p, x += s.output_row, dy += cols) {
    int64_t q = 0;
    for (; q + L <= cols; q += L) {
      P g = P::load(dy + q);
#pragma GCC unroll 16
      for (int j = 0; j < Q; ++j) sum[j] = muladd(g, P::load(x + tap[j].offset + q), sum[j]);
    }
    if (q < cols) {
      P g = P::load(dy + q, cols - q);
#pragma GCC unroll 16
      for (int j = 0; j < Q; ++j) sum[j] = muladd(g, P::load(x + tap[j].offset + q, cols - q), sum[j]);
    }
  }
  for (int j = 0; j < Q; ++j) dw[tap[j].weight] += reduce(sum[j], [](auto a, auto b) { return a + b; });
}

}  // namespace ink::INK_CPU_LEVEL
