// The geometry that the convolution kernels share, and the padded copy of their input. All of them are one operation, a
// correlation: output pixel (p, q) of a channel is the sum over input channels c and taps t of
// w[c, t] x[c, p stride_h + t.y, q stride_w + t.x], x being 0 outside its plane. The gradient to the input is a
// correlation of dy with taps of the other sign; with stride s its pixels fall into s x s phases, each of which sees
// only some of the taps.
#pragma once
#include "tensor/backend/kernels.h"
#include "tensor/cpu/pack/pack_split.h"
#include "tensor/cpu/scratch.h"

namespace ink::INK_CPU_LEVEL {

struct Tap {
  int64_t y, x;    // where it looks, from the output pixel
  int64_t weight;  // its position among the kh * kw weights
  int64_t offset;  // its position in an InputLayout, from that of the output pixel
};

INK_INLINE int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }
INK_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
INK_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
INK_INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

// A 1x1 convolution does not care where rows end.
INK_INLINE ConvArgs flattened(ConvArgs a) {
  if (a.kh != 1 || a.kw != 1 || a.stride_h != 1 || a.stride_w != 1 || a.pad_h != 0 || a.pad_w != 0) return a;
  a.w *= a.h;
  a.ow *= a.oh;
  a.h = a.oh = 1;
  return a;
}
// The gradient to the input as a convolution of its own: it reads what the convolution writes, and writes what it
// reads. Its output pixels, not its input pixels, are a stride apart; see Correlation (conv2d.cpp).
INK_INLINE ConvArgs adjoint(const ConvArgs& a) {
  ConvArgs b = a;
  b.in = a.out, b.out = a.in;
  b.h = a.oh, b.w = a.ow, b.oh = a.h, b.ow = a.w;
  b.stride_h = b.stride_w = 1;
  return b;
}

INK_INLINE int64_t forward_taps(const ConvArgs& a, Tap* taps) {
  int64_t n = 0;
  for (int64_t r = 0; r < a.kh; ++r)
    for (int64_t s = 0; s < a.kw; ++s, ++n) taps[n] = {r * a.dilation_h - a.pad_h, s * a.dilation_w - a.pad_w, n, 0};
  return n;
}
// The taps that reach input pixels (phase_y + i stride_h, phase_x + j stride_w): x row = y row * stride - pad + r
// dilation, solved for the row of y. Returns their number.
INK_INLINE int64_t adjoint_taps(const ConvArgs& a, int64_t phase_y, int64_t phase_x, Tap* taps) {
  int64_t n = 0;
  for (int64_t r = 0; r < a.kh; ++r)
    for (int64_t s = 0; s < a.kw; ++s) {
      int64_t y = phase_y + a.pad_h - r * a.dilation_h, x = phase_x + a.pad_w - s * a.dilation_w;
      if (y % a.stride_h == 0 && x % a.stride_w == 0) taps[n++] = {y / a.stride_h, x / a.stride_w, r * a.kw + s, 0};
    }
  return n;
}

// How the input of some output rows is stored for the kernels: as planes with their zeros around them, so that no
// kernel tests for borders, the columns sorted by their remainder modulo stride_w, so that neighbouring output pixels
// read neighbours.
struct InputLayout {
  int64_t h, w;  // of the planes of x
  int64_t stride_h, stride_w;
  int64_t top = 0, left = 0;   // the first row and (divided by stride_w) column, from the first output pixel
  int64_t rows = 0, cols = 0;  // of one remainder
  int64_t row = 0, plane = 0;  // elements between rows and between planes
  int64_t step = 1;            // elements between neighbouring output pixels: 1, or stride_w where x serves directly
  bool direct = false;         // nothing to pad: x itself serves

  INK_INLINE int64_t output_row() const { return row * stride_h; }  // elements between output rows
};

// For oh rows of ow output pixels; sets the offsets of the n taps. x may serve directly if its columns need no sorting,
// or if stride_w is at most max_step.
INK_INLINE InputLayout layout_for(const WindowArgs& a, Tap* taps, int64_t n, int64_t max_step) {
  InputLayout v{.h = a.h, .w = a.w, .stride_h = a.stride_h, .stride_w = a.stride_w};
  int64_t furthest = 0, bottom = 0, right = 0;
  for (int64_t t = 0; t < n; ++t) {
    int64_t left = floor_div(taps[t].x, a.stride_w);
    if (t == 0 || taps[t].y < v.top) v.top = taps[t].y;
    if (t == 0 || taps[t].y > bottom) bottom = taps[t].y;
    if (t == 0 || left < v.left) v.left = left;
    if (t == 0 || taps[t].x > furthest) furthest = taps[t].x;
    if (t == 0 || left > right) right = left;
  }
  v.rows = (a.oh - 1) * a.stride_h + 1 + bottom - v.top;
  v.cols = a.ow + right - v.left;
  v.direct = a.stride_w <= max_step && v.top >= 0 && v.left >= 0 && v.top + v.rows <= a.h &&
             (a.ow - 1) * a.stride_w + furthest < a.w;
  if (v.direct) {
    v.row = a.w;
    v.step = a.stride_w;
    v.plane = a.plane();
  } else {
    v.row = v.cols * a.stride_w;
    v.plane = ceil_div(v.rows * v.row, 16) * 16 | 16;  // an odd number of cache lines: planes spread over its sets
  }
  for (int64_t t = 0; t < n; ++t) {
    int64_t left = floor_div(taps[t].x, a.stride_w), rest = taps[t].x - left * a.stride_w;
    taps[t].offset =
        v.direct ? taps[t].y * a.w + taps[t].x : (taps[t].y - v.top) * v.row + rest * v.cols + left - v.left;
  }
  return v;
}

// The rows of a copy are written in order, in whole packs: what runs over into the next row is overwritten by it.
// After the last one there must be room for kCopySlack values.
inline constexpr int64_t kCopySlack = 32;

template <class T> INK_INLINE void copy_row(T* to, const T* from, int64_t n) {
  using P = Pack<T, kLanes<T>>;
  int64_t i = 0;
  for (; i + P::lanes <= n; i += P::lanes) P::load(from + i).store(to + i);
  if (i < n) P::load(from + i, n - i).store(to + i);
}
// Every second value.
template <class T> INK_INLINE void copy_every_second(T* to, const T* from, int64_t n) {
  using P = Pack<T, kLanes<T>>;
  int64_t i = 0;
  for (; i + P::lanes < n; i += P::lanes) {
    P a = P::load(from + 2 * i), b = P::load(from + 2 * i + P::lanes);
    split(a, b);
    a.store(to + i);
  }
  for (; i < n; ++i) to[i] = from[2 * i];
}
template <class T> INK_INLINE void clear_row(T* to, int64_t n) {
  using P = Pack<T, kLanes<T>>;
  for (int64_t i = 0; i < n; i += P::lanes) P(T(0)).store(to + i);
}
// Copies `planes` planes of x into this layout, for output rows from `first` on.
template <class T> void copy_input(const InputLayout& v, T* to, const T* x, int64_t planes, int64_t first) {
  const int64_t top = first * v.stride_h + v.top;
  const int64_t begin_row = larger(-top, 0), end_row = smaller(v.h - top, v.rows);
  const int64_t begin = smaller(larger(-v.left, 0), v.cols);
  auto columns_from = [&](int64_t rest) {  // column begin + j holds x column (begin + left + j) * stride_w + rest
    int64_t end = (v.stride_w == 1 ? v.w : ceil_div(v.w - rest, v.stride_w)) - v.left;
    return smaller(end, v.cols) - begin;
  };
  const int64_t n = columns_from(0);
  for (int64_t c = 0; c < planes; ++c, to += v.plane) {
    clear_row(to, v.rows * v.row);
    const T* from = x + (c * v.h + top) * v.w + (begin + v.left) * v.stride_w;
    for (int64_t i = begin_row; i < end_row; ++i) {
      T* row = to + i * v.row + begin;
      if (v.stride_w == 1) {
        copy_row(row, from + i * v.w, n);
      } else if (v.stride_w == 2) {
        copy_every_second(row, from + i * v.w, n);
        copy_every_second(row + v.cols, from + i * v.w + 1, columns_from(1));
      } else {
        for (int64_t rest = 0; rest < v.stride_w; ++rest)
          for (int64_t j = 0, m = columns_from(rest); j < m; ++j)
            row[rest * v.cols + j] = from[i * v.w + j * v.stride_w + rest];
      }
    }
  }
}

}  // namespace ink::INK_CPU_LEVEL
