// conv2d and its gradient to the input: the same correlation (conv_window.h) with other taps, strides and weights.
#include "tensor/cpu/conv/conv_plane.h"
#include "tensor/cpu/conv/conv_tile.h"
#include "tensor/cpu/table.h"
#include "tensor/cpu/elementwise/transpose.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

struct Phase {  // the output pixels (y + i write_h, x + j write_w), i < oh, j < ow
  int64_t y, x, oh, ow;
  Tap* tap;
  int64_t taps;
  Window window;
};

template <class T>
struct Correlation {
  int64_t batch, groups, in, out;  // channels of a group
  int64_t h, w, oh, ow;            // planes of x and y
  int64_t read_h, read_w, write_h, write_w;
  const T* x;
  T* y;
  const T *weight, *bias;
  int64_t weight_out, weight_in, weight_taps;  // elements between output channels and input channels; kh * kw
  Phase* phase;
  int64_t phases;
  int64_t strip;  // output rows (of each phase) that a piece of work computes

  INK_INLINE bool few() const { return 2 * out < kLanes<T>; }
  INK_INLINE int64_t blocks() const { return ceil_div(out, kBlock<T>); }
  INK_INLINE int64_t packed_block() const { return in * weight_taps * kBlock<T>; }
  // Where pixel (i, j) of a phase stands in y's plane.
  INK_INLINE int64_t pixel(const Phase& f, int64_t i, int64_t j) const {
    return (f.y + i * write_h) * ow + f.x + j * write_w;
  }
};

constexpr int64_t kStripBytes = 256 << 10;   // of the window of a strip: leaves room in a 1 MiB cache for weights
constexpr int64_t kPieces = 16;              // wanted of a convolution
constexpr int64_t kPieceProducts = 1 << 17;  // of the smallest piece worth a thread's while

// w[group][block][in][tap][lane] from w[out][in][tap], either of the first two dims outermost.
template <class T>
void pack_weights(const Correlation<T>& s, T* packed) {
  constexpr int64_t chunk = 16;
  int64_t chunks = ceil_div(s.in, chunk), size = chunk * s.weight_taps * kBlock<T>;
  parallel_for(s.groups * s.blocks() * chunks, ceil_div(kPieceProducts / 4, size), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t b = i / chunks, first = i % chunks * chunk, last = first + chunk < s.in ? first + chunk : s.in;
      int64_t o = b % s.blocks() * kBlock<T>, lanes = s.out - o < kBlock<T> ? s.out - o : kBlock<T>;
      // A group's weights follow each other in both uses: out first (forward) or in first (adjoint).
      const T* from = s.weight + b / s.blocks() * s.in * s.out * s.weight_taps + o * s.weight_out;
      T* to = packed + b * s.packed_block();
      int64_t step = s.weight_in == s.weight_taps ? last - first : 1;  // channels whose taps follow each other
      for (int64_t c = first; c < last; c += step)
        transpose(to + c * s.weight_taps * kBlock<T>, kBlock<T>, from + c * s.weight_in, s.weight_out, lanes,
                  step * s.weight_taps, true);
    }
  });
}

// `rows` x `cols` pixels of one block of channels; rows > 1 only for whole rows.
template <class T, int V, int step>
void tile_block(const Sum& sum, T* out, const T* x, const T* w, const T* start, int64_t rows, int64_t cols) {
  constexpr int max = kTilePixels;
  auto tiles = [&]<int R, int P>(int64_t p, int64_t q) {
    tile_forward<T, V, step, R, P>(sum, out + (p * cols + q) * kBlock<T>, x + p * sum.output_row + q * step, w, start);
  };
  int64_t p = 0;
  auto rows_together = [&]<int R>() {  // R short rows fill the registers where one would not
    for (; p + R <= rows; p += R) with_constant<max / R>(cols, [&]<int P>() { tiles.template operator()<R, P>(p, 0); });
  };
  if (cols <= max / 4) rows_together.template operator()<4>();
  if (cols <= max / 2) rows_together.template operator()<2>();
  int64_t count = ceil_div(cols, max);
  for (; p < rows; ++p)
    for (int64_t i = 0, q = 0; i < count; ++i) {
      int64_t width = cols / count + (i < cols % count);
      with_constant<max>(width, [&]<int P>() { tiles.template operator()<1, P>(p, q); });
      q += width;
    }
}

// Output rows [first, first + rows) of a phase, channels [o, o + lanes) of group g of image n. x is the window.
template <class T>
void correlate_block(const Correlation<T>& s, const Phase& f, const Sum& sum, const T* x, const T* w, int64_t n,
                     int64_t g, int64_t o, int64_t lanes, int64_t first, int64_t rows, T* pixels) {
  constexpr int64_t chunk = 8 * kTilePixels, B = kBlock<T>;
  alignas(64) T start[B];
  T* swapped = pixels + 2 * chunk * B;
  for (int64_t i = 0; i < B; ++i) start[i] = s.bias && i < lanes ? s.bias[g * s.out + o + i] : T(0);
  T* y = s.y + ((n * s.groups + g) * s.out + o) * s.oh * s.ow;
  int64_t height = f.ow < chunk ? chunk / f.ow : 1, width = f.ow < chunk ? f.ow : chunk;
  for (int64_t p = 0; p < rows; p += height)
    for (int64_t q = 0; q < f.ow; q += width) {
      int64_t ph = rows - p < height ? rows - p : height, qw = f.ow - q < width ? f.ow - q : width, count = ph * qw;
      const T* from = x + p * sum.output_row + q * f.window.step;
      auto tile = lanes > kLanes<T> ? (f.window.step == 1 ? tile_block<T, 2, 1> : tile_block<T, 2, 2>)
                                    : (f.window.step == 1 ? tile_block<T, 1, 1> : tile_block<T, 1, 2>);
      tile(sum, pixels, from, w, start, ph, qw);
      if (s.write_h == 1 && s.write_w == 1) {
        transpose(y + s.pixel(f, first + p, q), s.oh * s.ow, pixels, B, count, lanes, false);
        continue;
      }
      transpose(swapped, chunk, pixels, B, count, lanes, false);
      for (int64_t c = 0; c < lanes; ++c)
        for (int64_t i = 0; i < ph; ++i) {
          T* to = y + c * s.oh * s.ow + s.pixel(f, first + p + i, q);
          for (int64_t j = 0; j < qw; ++j) to[j * s.write_w] = swapped[c * chunk + i * qw + j];
        }
    }
}

// The same for a few output channels: lanes are pixels.
template <class T>
void correlate_few(const Correlation<T>& s, const Phase& f, const Sum& sum, const T* x, int64_t n, int64_t g,
                   int64_t first, int64_t rows, T* pixels) {
  for (int64_t o = 0; o < s.out; ++o) {
    T* y = s.y + ((n * s.groups + g) * s.out + o) * s.oh * s.ow;
    const T* w = s.weight + g * s.in * s.out * s.weight_taps + o * s.weight_out;
    T start = s.bias ? s.bias[g * s.out + o] : T(0);
    if (s.write_h == 1 && s.write_w == 1) {
      plane_forward(sum, y + s.pixel(f, first, 0), f.ow, x, w, s.weight_in, start, rows, f.ow);
      continue;
    }
    plane_forward(sum, pixels, f.ow, x, w, s.weight_in, start, rows, f.ow);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < f.ow; ++j) y[s.pixel(f, first + i, j)] = pixels[i * f.ow + j];
  }
}

template <class T>
void correlate(Correlation<T>& s) {
  constexpr int64_t B = kBlock<T>, chunk = 8 * kTilePixels;
  int64_t all_rows = 0, all_cols = 0, taps = 0;
  for (int64_t i = 0; i < s.phases; ++i) {
    Phase& f = s.phase[i];
    f.oh = s.oh > f.y ? ceil_div(s.oh - f.y, s.write_h) : 0;
    f.ow = s.ow > f.x ? ceil_div(s.ow - f.x, s.write_w) : 0;
    all_rows = f.oh > all_rows ? f.oh : all_rows;
    all_cols = f.ow > all_cols ? f.ow : all_cols;
    taps = f.taps > taps ? f.taps : taps;
  }
  if (s.batch == 0 || all_rows == 0 || all_cols == 0) return;

  // The pieces: images and groups, then strips of rows where the window would not fit, or there are too few pieces.
  int64_t row_products = s.in * s.out * taps * all_cols * s.phases, plane = s.in * s.h * s.w * int64_t(sizeof(T));
  int64_t strips = ceil_div(plane, kStripBytes), most = ceil_div(all_rows * row_products, kPieceProducts);
  if (s.batch * s.groups * strips < kPieces) strips = ceil_div(kPieces, s.batch * s.groups);
  strips = strips > most ? most : strips;
  s.strip = ceil_div(all_rows, strips < 1 ? 1 : strips);
  strips = ceil_div(all_rows, s.strip);

  int64_t window = 0;
  for (int64_t i = 0; i < s.phases; ++i) {
    Phase& f = s.phase[i];
    if (f.oh == 0 || f.ow == 0) continue;
    int64_t rows = f.oh < s.strip ? f.oh : s.strip;
    f.window = window_of(f.tap, f.taps, s.h, s.w, rows, f.ow, s.read_h, s.read_w, s.few() || strips > 1 ? 0 : 2);
    int64_t size = f.window.direct ? 0 : s.in * f.window.plane;
    window = size > window ? size : window;
  }
  Scratch<T> packed(s.few() ? 0 : s.groups * s.blocks() * s.packed_block());
  if (!s.few()) pack_weights(s, packed.data());

  int64_t products = s.strip * row_products, scratch = s.few() ? s.strip * all_cols : 4 * chunk * B;
  parallel_for(s.batch * s.groups * strips, ceil_div(kPieceProducts, products), [&](int64_t begin, int64_t end) {
    Scratch<T> buffer(window + kWindowSlack), pixels(scratch);
    for (int64_t i = begin; i < end; ++i) {
      int64_t n = i / (s.groups * strips), g = i / strips % s.groups, first = i % strips * s.strip;
      const T* image = s.x + (n * s.groups + g) * s.in * s.h * s.w;
      for (int64_t k = 0; k < s.phases; ++k) {
        Phase& f = s.phase[k];
        int64_t rows = f.oh - first < s.strip ? f.oh - first : s.strip;
        if (rows <= 0 || f.ow == 0) continue;
        const Window& v = f.window;
        if (!v.direct) fill_window(v, buffer.data(), image, s.in, s.h, s.w, first);
        const T* x = v.direct ? image : buffer.data();
        Sum sum{s.in, v.plane, f.tap, f.taps, s.weight_taps * B, v.output_row()};
        if (s.few()) {
          correlate_few(s, f, sum, x, n, g, first, rows, pixels.data());
          continue;
        }
        for (int64_t b = 0; b < s.blocks(); ++b) {
          int64_t o = b * B, lanes = s.out - o < B ? s.out - o : B;
          const T* w = packed.data() + (g * s.blocks() + b) * s.packed_block();
          correlate_block(s, f, sum, x, w, n, g, o, lanes, first, rows, pixels.data());
        }
      }
    }
  });
}

}  // namespace

void conv2d(const ConvArgs& args, void* y, const void* x, const void* weight, const void* bias) {
  const ConvArgs a = flattened(args);
  visit_float(a.dtype, [&]<class T>() {
    Scratch<Tap> taps(a.kh * a.kw);
    Phase phase{0, 0, 0, 0, taps.data(), forward_taps(a, taps.data()), {}};
    int64_t k = a.kh * a.kw, in = a.in / a.groups;
    Correlation<T> s{a.batch,
                     a.groups,
                     in,
                     a.out / a.groups,
                     a.h,
                     a.w,
                     a.oh,
                     a.ow,
                     a.stride_h,
                     a.stride_w,
                     1,
                     1,
                     static_cast<const T*>(x),
                     static_cast<T*>(y),
                     static_cast<const T*>(weight),
                     static_cast<const T*>(bias),
                     in * k,
                     k,
                     k,
                     &phase,
                     1,
                     0};
    correlate(s);
  });
}

void conv2d_backward_input(const ConvArgs& args, void* dx, const void* dy, const void* weight) {
  const ConvArgs a = flattened(args);
  visit_float(a.dtype, [&]<class T>() {
    int64_t k = a.kh * a.kw, in = a.in / a.groups, phases = a.stride_h * a.stride_w;
    Scratch<Tap> taps(k);  // every tap belongs to one phase
    Scratch<Phase> phase(phases);
    Tap* next = taps.data();
    for (int64_t i = 0; i < phases; ++i) {
      phase[i] = {i / a.stride_w, i % a.stride_w, 0, 0, next, 0, {}};
      next += phase[i].taps = adjoint_taps(a, phase[i].y, phase[i].x, next);
    }
    Correlation<T> s{a.batch,
                     a.groups,
                     a.out / a.groups,
                     in,
                     a.oh,
                     a.ow,
                     a.h,
                     a.w,
                     1,
                     1,
                     a.stride_h,
                     a.stride_w,
                     static_cast<const T*>(dy),
                     static_cast<T*>(dx),
                     static_cast<const T*>(weight),
                     nullptr,
                     k,
                     in * k,
                     k,
                     phase.data(),
                     phases,
                     0};
    correlate(s);
  });
}

}  // namespace ink::INK_CPU_LEVEL
