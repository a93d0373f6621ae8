// The geometry that the convolution kernels share. All of them are one operation, a correlation: output pixel (p, q) of
// a channel is the sum over input channels c and taps t of w[c, t] x[c, p stride_h + t.y, q stride_w + t.x], x being 0
// outside its plane. The gradient to the input is a correlation of dy with taps of the other sign; with stride s its
// pixels fall into s x s phases, each of which sees only some of the taps.
#pragma once
#include "tensor/cpu/pack/pack_split.h"
#include "tensor/cpu/scratch.h"
#include "tensor/backend/kernels.h"

namespace ink::INK_CPU_LEVEL {

struct Tap {
  int64_t y, x;    // where it looks, from the output pixel
  int64_t weight;  // its place among the kh * kw weights
  int64_t offset;  // its place in a Window, from that of the output pixel
};

INK_INLINE int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }
INK_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// A 1x1 convolution does not care where rows end.
INK_INLINE ConvArgs flattened(ConvArgs a) {
  if (a.kh != 1 || a.kw != 1 || a.stride_h != 1 || a.stride_w != 1 || a.pad_h != 0 || a.pad_w != 0) return a;
  a.w *= a.h;
  a.ow *= a.oh;
  a.h = a.oh = 1;
  return a;
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

// How the input of some output rows lies in memory: planes with their zeros around them, so that no kernel tests for
// borders, the columns sorted by their remainder modulo stride_w, so that neighbouring output pixels read neighbours.
struct Window {
  int64_t top, left;   // the first row and (divided by stride_w) column, from the first output pixel
  int64_t rows, cols;  // of one remainder
  int64_t row, plane;  // elements between rows of x and between planes
  int64_t stride_h, stride_w;
  int64_t step;  // elements between neighbouring output pixels: 1, or stride_w where x serves directly
  bool direct;   // nothing to pad: x itself serves

  INK_INLINE int64_t output_row() const { return row * stride_h; }  // elements between output rows
};

// For oh rows of ow output pixels; sets the taps' offsets. x has planes of h x w, and may serve directly if its columns
// need no sorting, or if stride_w is at most max_step.
INK_INLINE Window window_of(Tap* taps, int64_t n, int64_t h, int64_t w, int64_t oh, int64_t ow, int64_t stride_h,
                            int64_t stride_w, int64_t max_step) {
  Window v{0, 0, 0, 0, 0, 0, stride_h, stride_w, 1, false};
  int64_t furthest = 0;
  int64_t bottom = 0, right = 0;
  for (int64_t t = 0; t < n; ++t) {
    int64_t left = floor_div(taps[t].x, stride_w);
    if (t == 0 || taps[t].y < v.top) v.top = taps[t].y;
    if (t == 0 || taps[t].y > bottom) bottom = taps[t].y;
    if (t == 0 || left < v.left) v.left = left;
    if (t == 0 || taps[t].x > furthest) furthest = taps[t].x;
    if (t == 0 || left > right) right = left;
  }
  v.rows = (oh - 1) * stride_h + 1 + bottom - v.top;
  v.cols = ow + right - v.left;
  v.direct =
      stride_w <= max_step && v.top >= 0 && v.left >= 0 && v.top + v.rows <= h && (ow - 1) * stride_w + furthest < w;
  if (v.direct) {
    v.row = w;
    v.step = stride_w;
    v.plane = h * w;
  } else {
    v.row = v.cols * stride_w;
    v.plane =
        ceil_div(v.rows * v.row, 16) * 16 | 16;  // an odd number of cache lines: planes spread over the cache's sets
  }
  for (int64_t t = 0; t < n; ++t) {
    int64_t left = floor_div(taps[t].x, stride_w), rest = taps[t].x - left * stride_w;
    taps[t].offset = v.direct ? taps[t].y * w + taps[t].x : (taps[t].y - v.top) * v.row + rest * v.cols + left - v.left;
  }
  return v;
}

// The rows of a window are written in order, in whole packs: what runs over into the next row is overwritten by it.
// After the last one there must be room for kWindowSlack values.
inline constexpr int64_t kWindowSlack = 32;

template <class T>
INK_INLINE void put(T* to, const T* from, int64_t n) {
  using P = Pack<T, kLanes<T>>;
  int64_t i = 0;
  for (; i + P::lanes <= n; i += P::lanes) P::load(from + i).store(to + i);
  if (i < n) P::load(from + i, n - i).store(to + i);
}
// Every second value.
template <class T>
INK_INLINE void put_halves(T* to, const T* from, int64_t n) {
  using P = Pack<T, kLanes<T>>;
  int64_t i = 0;
  for (; i + P::lanes < n; i += P::lanes) {
    P a = P::load(from + 2 * i), b = P::load(from + 2 * i + P::lanes);
    split(a, b);
    a.store(to + i);
  }
  for (; i < n; ++i) to[i] = from[2 * i];
}
template <class T>
INK_INLINE void put_zeros(T* to, int64_t n) {
  using P = Pack<T, kLanes<T>>;
  for (int64_t i = 0; i < n; i += P::lanes) P(T(0)).store(to + i);
}
// Fills `planes` planes of a window whose first output row is `first` from planes x of h x w.
template <class T>
void fill_window(const Window& v, T* to, const T* x, int64_t planes, int64_t h, int64_t w, int64_t first) {
  const int64_t top = first * v.stride_h + v.top;
  const int64_t begin_row = top < 0 ? -top : 0, end_row = h - top < v.rows ? h - top : v.rows;
  const int64_t begin = v.left < 0 ? (-v.left < v.cols ? -v.left : v.cols) : 0;
  auto columns_from = [&](int64_t rest) {  // column begin + j holds x column (begin + left + j) * stride_w + rest
    int64_t end = (v.stride_w == 1 ? w : ceil_div(w - rest, v.stride_w)) - v.left;
    return (end < v.cols ? end : v.cols) - begin;
  };
  const int64_t n = columns_from(0);
  for (int64_t c = 0; c < planes; ++c, to += v.plane) {
    put_zeros(to, v.rows * v.row);
    const T* from = x + (c * h + top) * w + (begin + v.left) * v.stride_w;
    for (int64_t i = begin_row; i < end_row; ++i) {
      T* row = to + i * v.row + begin;
      if (v.stride_w == 1) {
        put(row, from + i * w, n);
      } else if (v.stride_w == 2) {
        put_halves(row, from + i * w, n);
        put_halves(row + v.cols, from + i * w + 1, columns_from(1));
      } else {
        for (int64_t rest = 0; rest < v.stride_w; ++rest)
          for (int64_t j = 0, m = columns_from(rest); j < m; ++j)
            row[rest * v.cols + j] = from[i * w + j * v.stride_w + rest];
      }
    }
  }
}

}  // namespace ink::INK_CPU_LEVEL
