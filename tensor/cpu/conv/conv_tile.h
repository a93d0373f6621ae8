// The inner loops of the convolutions with many output channels: lanes are output channels, and a register block holds
// some pixels of V packs of channels. One weight pack serves every pixel, one broadcast input value every pack.
#pragma once
#include "tensor/cpu/conv/conv_window.h"
#include "tensor/cpu/pack/pack_math.h"

namespace ink::INK_CPU_LEVEL {

#if defined(INK_CPU_LEVEL_v4)
inline constexpr int kTilePixels = 14;  // 28 sums, 2 weights, 1 input value: 31 of 32 registers
inline constexpr int kTileWeights = 12;
#else
inline constexpr int kTilePixels = 6;  // 12 + 2 + 1 of 16
inline constexpr int kTileWeights = 6;
#endif
inline constexpr int kTilePacks = 2;

template <class T>
inline constexpr int64_t kBlock = kTilePacks* kLanes<T>;  // output channels that are computed together

// What one output pixel sums over: `channels` planes, `taps` positions in each.
struct TapSum {
  int64_t channels, plane;  // elements between planes
  const Tap* tap;
  int64_t taps;
  int64_t weights;     // elements between the weights of neighbouring channels
  int64_t output_row;  // elements between the inputs of neighbouring output rows
};

// out[pixel][channel] = start[channel] + sum over c, t of w[c][t][channel] x[c plane + offset of t + pixel] for `rows`
// x `cols` pixels, `step` apart in x, of V packs of channels. out and w have blocks of kBlock channels.
template <class T, int V, int step, int rows, int cols>
void tile_forward(const TapSum& s, T* out, const T* x, const T* w, const T* start) {
  constexpr int L = kLanes<T>, pixels = rows * cols;
  using P = Pack<T, L>;
  P sum[pixels][V];
#pragma GCC unroll 32
  for (int i = 0; i < pixels; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sum[i][v] = P::load(start + v * L);
  for (int64_t c = 0; c < s.channels; ++c, x += s.plane, w += s.weights)
    for (int64_t t = 0; t < s.taps; ++t) {
      const T *from = x + s.tap[t].offset, *weight = w + s.tap[t].weight * kBlock<T>;
      P factor[V];
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) factor[v] = P::load(weight + v * L);
#pragma GCC unroll 4
      for (int r = 0; r < rows; ++r)
#pragma GCC unroll 16
        for (int q = 0; q < cols; ++q) {
          P value(from[r * s.output_row + q * step]);
#pragma GCC unroll 2
          for (int v = 0; v < V; ++v) sum[r * cols + q][v] = muladd(value, factor[v], sum[r * cols + q][v]);
        }
    }
#pragma GCC unroll 32
  for (int i = 0; i < pixels; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sum[i][v].store(out + i * kBlock<T> + v * L);
}

// The pixels that weights are summed over: `images` windows of `rows` x `cols`, with dy as [pixel][channel].
struct Pixels {
  int64_t images, image;  // elements between the windows of images
  int64_t rows, cols, output_row, step;
};

// dw[j][channel] += sum over pixels of x[offset[j] + pixel] dy[pixel][channel] for j < Q.
template <class T, int V, int Q>
void tile_weight(const Pixels& s, T* dw, const T* x, const int64_t* offset, const T* dy) {
  constexpr int L = kLanes<T>;
  using P = Pack<T, L>;
  P sum[Q][V];
  const T* from[Q];
#pragma GCC unroll 16
  for (int j = 0; j < Q; ++j) {
    from[j] = x + offset[j];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sum[j][v] = P::load(dw + j * kBlock<T> + v * L);
  }
  for (int64_t n = 0; n < s.images; ++n)
    for (int64_t p = 0; p < s.rows; ++p)
      for (int64_t i = n * s.image + p * s.output_row, end = i + s.cols * s.step; i < end;
           i += s.step, dy += kBlock<T>) {
        P factor[V];
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) factor[v] = P::load(dy + v * L);
#pragma GCC unroll 16
        for (int j = 0; j < Q; ++j) {
          P value(from[j][i]);
#pragma GCC unroll 2
          for (int v = 0; v < V; ++v) sum[j][v] = muladd(value, factor[v], sum[j][v]);
        }
      }
#pragma GCC unroll 16
  for (int j = 0; j < Q; ++j)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sum[j][v].store(dw + j * kBlock<T> + v * L);
}

// f.template operator()<i>() for the run-time i in [1, max].
template <int max, class F> INK_INLINE void with_constant(int64_t i, F&& f) {
  if constexpr (max > 1) {
    if (i < max) return with_constant<max - 1>(i, f);
  }
  f.template operator()<max>();
}

}  // namespace ink::INK_CPU_LEVEL
