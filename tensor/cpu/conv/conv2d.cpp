// conv2d and its gradient to the input: the same correlation (conv_window.h) with other taps, strides and weights.
#include "tensor/cpu/conv/conv_plane.h"
#include "tensor/cpu/conv/conv_tile.h"
#include "tensor/cpu/elementwise/transpose.h"
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

struct Phase {  // the output pixels (y + i write_h, x + j write_w), i < oh, j < ow
  int64_t y, x;
  Tap* tap;
  int64_t taps;
  int64_t oh = 0, ow = 0;
  InputLayout layout{};
};

// The work of conv2d and of conv2d_backward_input: `a` reads x and writes y. For the gradient to the input it is the
// adjoint; x then stands for dy, and y for dx.
template <class T> struct Correlation {
  ConvArgs a;
  int64_t write_h, write_w;       // rows and columns between the output pixels of a phase
  int64_t weight_out, weight_in;  // elements between the weights of neighbouring output and input channels
  const T* x;
  T* y;
  const T *weight, *bias;  // bias may be null
  Phase* phase;
  int64_t phases;
  int64_t in = a.group_in(), out = a.group_out();

  // Output channels that do not fill a register: then lanes are pixels (conv_plane.h), else channels (conv_tile.h).
  INK_INLINE bool few() const { return 2 * out < kLanes<T>; }
  INK_INLINE bool dense() const { return write_h == 1 && write_w == 1; }  // a phase writes whole rows
  INK_INLINE int64_t blocks() const { return ceil_div(out, kBlock<T>); }
  INK_INLINE int64_t packed_block() const { return in * a.taps() * kBlock<T>; }
  // The position of pixel (i, j) of a phase in y's plane.
  INK_INLINE int64_t pixel(const Phase& f, int64_t i, int64_t j) const {
    return (f.y + i * write_h) * a.ow + f.x + j * write_w;
  }
};

constexpr int64_t kStripBytes = 256 << 10;        // of the input of a strip: leaves room in a 1 MiB cache for weights
constexpr int64_t kPieces = 16;                   // wanted of a convolution
constexpr int64_t kPieceProducts = 1 << 17;       // of the smallest piece worth a thread's while
constexpr int64_t kPixelChunk = 8 * kTilePixels;  // pixels that are computed before they are brought to y's order

// A piece of work: output rows [first, first + rows) of a phase, of one group of one image.
template <class T> struct Strip {
  const Correlation<T>& s;
  const Phase& phase;
  TapSum sum;
  const T* input;  // of the first row, stored as phase.layout says
  int64_t image, group, first, rows;
  T* scratch;  // for results in another order than y's

  INK_INLINE T* output(int64_t channel) const {
    return s.y + ((image * s.a.groups + group) * s.out + channel) * s.a.out_plane();
  }
  INK_INLINE T start(int64_t channel) const { return s.bias ? s.bias[group * s.out + channel] : T(0); }
};

// w[group][block][in][tap][lane] from w[out][in][tap], either of the first two dims outermost.
template <class T> void pack_weights(const Correlation<T>& s, T* packed) {
  constexpr int64_t chunk = 16;
  const int64_t taps = s.a.taps(), chunks = ceil_div(s.in, chunk), size = chunk * taps * kBlock<T>;
  parallel_for(s.a.groups * s.blocks() * chunks, ceil_div(kPieceProducts / 4, size), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t b = i / chunks, first = i % chunks * chunk, last = smaller(first + chunk, s.in);
      int64_t o = b % s.blocks() * kBlock<T>, lanes = smaller(s.out - o, kBlock<T>);
      // A group's weights follow each other in both uses: out first (forward) or in first (adjoint).
      const T* from = s.weight + b / s.blocks() * s.in * s.out * taps + o * s.weight_out;
      T* to = packed + b * s.packed_block();
      int64_t step = s.weight_in == taps ? last - first : 1;  // channels whose taps follow each other
      for (int64_t c = first; c < last; c += step)
        transpose(to + c * taps * kBlock<T>, kBlock<T>, from + c * s.weight_in, s.weight_out, lanes, step * taps, true);
    }
  });
}

// `rows` x `cols` pixels of one block of channels; rows > 1 only for whole rows.
template <class T, int V, int step>
void tile_block(const TapSum& sum, T* out, const T* x, const T* w, const T* start, int64_t rows, int64_t cols) {
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

// Block `b` of the output channels of a strip.
template <class T> void correlate_block(const Strip<T>& t, int64_t b, const T* packed) {
  constexpr int64_t B = kBlock<T>;
  const Correlation<T>& s = t.s;
  const Phase& f = t.phase;
  const int64_t o = b * B, lanes = smaller(s.out - o, B), y_plane = s.a.out_plane();
  alignas(64) T start[B];
  for (int64_t i = 0; i < B; ++i) start[i] = i < lanes ? t.start(o + i) : T(0);
  const T* w = packed + (t.group * s.blocks() + b) * s.packed_block();
  T *y = t.output(o), *pixels = t.scratch, *channels = pixels + 2 * kPixelChunk * B;
  auto tile = lanes > kLanes<T> ? (f.layout.step == 1 ? tile_block<T, 2, 1> : tile_block<T, 2, 2>)
                                : (f.layout.step == 1 ? tile_block<T, 1, 1> : tile_block<T, 1, 2>);
  const int64_t height = f.ow < kPixelChunk ? kPixelChunk / f.ow : 1, width = smaller(f.ow, kPixelChunk);
  for (int64_t p = 0; p < t.rows; p += height)
    for (int64_t q = 0; q < f.ow; q += width) {
      const int64_t rows = smaller(t.rows - p, height), cols = smaller(f.ow - q, width), count = rows * cols;
      tile(t.sum, pixels, t.input + p * t.sum.output_row + q * f.layout.step, w, start, rows, cols);
      if (s.dense()) {
        transpose(y + s.pixel(f, t.first + p, q), y_plane, pixels, B, count, lanes, false);
        continue;
      }
      transpose(channels, kPixelChunk, pixels, B, count, lanes, false);
      for (int64_t c = 0; c < lanes; ++c)
        for (int64_t i = 0; i < rows; ++i) {
          T* to = y + c * y_plane + s.pixel(f, t.first + p + i, q);
          for (int64_t j = 0; j < cols; ++j) to[j * s.write_w] = channels[c * kPixelChunk + i * cols + j];
        }
    }
}

// The same for a few output channels: lanes are pixels.
template <class T> void correlate_few(const Strip<T>& t) {
  const Correlation<T>& s = t.s;
  const Phase& f = t.phase;
  for (int64_t o = 0; o < s.out; ++o) {
    T* y = t.output(o);
    PlaneTask<T> task{.out = s.dense() ? y + s.pixel(f, t.first, 0) : t.scratch,
                      .out_row = f.ow,
                      .x = t.input,
                      .weight = s.weight + t.group * s.in * s.out * s.a.taps() + o * s.weight_out,
                      .start = t.start(o),
                      .rows = t.rows,
                      .cols = f.ow};
    plane_forward(t.sum, task);
    if (s.dense()) continue;
    for (int64_t i = 0; i < t.rows; ++i)
      for (int64_t j = 0; j < f.ow; ++j) y[s.pixel(f, t.first + i, j)] = t.scratch[i * f.ow + j];
  }
}

// How a correlation is cut: images and groups, then strips of rows where the input would not fit the cache, or there
// are too few pieces.
struct Cuts {
  int64_t rows, cols;     // of the largest phase
  int64_t strip, strips;  // rows of a strip, of each phase; the number of strips
  int64_t products;       // multiplications of a strip
  int64_t input;          // elements of the largest copy of a strip's input
};
template <class T> Cuts cut(Correlation<T>& s) {
  Cuts c{};
  int64_t taps = 0;
  for (Phase* f = s.phase; f < s.phase + s.phases; ++f) {
    f->oh = s.a.oh > f->y ? ceil_div(s.a.oh - f->y, s.write_h) : 0;
    f->ow = s.a.ow > f->x ? ceil_div(s.a.ow - f->x, s.write_w) : 0;
    c.rows = larger(c.rows, f->oh), c.cols = larger(c.cols, f->ow), taps = larger(taps, f->taps);
  }
  if (c.rows == 0 || c.cols == 0) return c;
  const int64_t row_products = s.in * s.out * taps * c.cols * s.phases, images = s.a.batch * s.a.groups;
  int64_t strips = ceil_div(s.in * s.a.plane() * int64_t(sizeof(T)), kStripBytes);
  if (images * strips < kPieces) strips = ceil_div(kPieces, images);
  strips = smaller(strips, ceil_div(c.rows * row_products, kPieceProducts));
  c.strip = ceil_div(c.rows, larger(strips, 1));
  c.strips = ceil_div(c.rows, c.strip);
  c.products = c.strip * row_products;
  for (Phase* f = s.phase; f < s.phase + s.phases; ++f) {
    if (f->oh == 0 || f->ow == 0) continue;
    WindowArgs part = s.a;
    part.oh = smaller(f->oh, c.strip), part.ow = f->ow;
    f->layout = layout_for(part, f->tap, f->taps, s.few() || c.strips > 1 ? 0 : 2);
    if (!f->layout.direct) c.input = larger(c.input, s.in * f->layout.plane);
  }
  return c;
}

template <class T> void correlate(Correlation<T> s) {
  if (s.a.batch == 0) return;
  const Cuts c = cut(s);
  if (c.strip == 0) return;
  Scratch<T> packed(s.few() ? 0 : s.a.groups * s.blocks() * s.packed_block());
  if (!s.few()) pack_weights(s, packed.data());
  const int64_t scratch = s.few() ? c.strip * c.cols : 4 * kPixelChunk * kBlock<T>;
  const int64_t pieces = s.a.batch * s.a.groups * c.strips;
  parallel_for(pieces, ceil_div(kPieceProducts, c.products), [&](int64_t begin, int64_t end) {
    Scratch<T> copy(c.input + kCopySlack), pixels(scratch);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / (s.a.groups * c.strips), g = i / c.strips % s.a.groups, first = i % c.strips * c.strip;
      const T* image = s.x + (n * s.a.groups + g) * s.in * s.a.plane();
      for (const Phase* f = s.phase; f < s.phase + s.phases; ++f) {
        const int64_t rows = smaller(f->oh - first, c.strip);
        if (rows <= 0 || f->ow == 0) continue;
        const InputLayout& v = f->layout;
        if (!v.direct) copy_input(v, copy.data(), image, s.in, first);
        const Strip<T> t{.s = s,
                         .phase = *f,
                         .sum = {.channels = s.in,
                                 .plane = v.plane,
                                 .tap = f->tap,
                                 .taps = f->taps,
                                 .weights = s.few() ? s.weight_in : s.a.taps() * kBlock<T>,
                                 .output_row = v.output_row()},
                         .input = v.direct ? image : copy.data(),
                         .image = n,
                         .group = g,
                         .first = first,
                         .rows = rows,
                         .scratch = pixels.data()};
        if (s.few())
          correlate_few(t);
        else
          for (int64_t b = 0; b < s.blocks(); ++b) correlate_block(t, b, packed.data());
      }
    }
  });
}

}  // namespace

void conv2d(const ConvArgs& args, void* y, const void* x, const void* weight, const void* bias) {
  const ConvArgs a = flattened(args);
  visit_float(a.dtype, [&]<class T>() {
    Scratch<Tap> taps(a.taps());
    Phase all{.y = 0, .x = 0, .tap = taps.data(), .taps = forward_taps(a, taps.data())};
    correlate<T>({.a = a,
                  .write_h = 1,
                  .write_w = 1,
                  .weight_out = a.group_in() * a.taps(),
                  .weight_in = a.taps(),
                  .x = static_cast<const T*>(x),
                  .y = static_cast<T*>(y),
                  .weight = static_cast<const T*>(weight),
                  .bias = static_cast<const T*>(bias),
                  .phase = &all,
                  .phases = 1});
  });
}

void conv2d_backward_input(const ConvArgs& args, void* dx, const void* dy, const void* weight) {
  const ConvArgs a = flattened(args);
  visit_float(a.dtype, [&]<class T>() {
    const int64_t phases = a.stride_h * a.stride_w;
    Scratch<Tap> taps(a.taps());  // every tap belongs to one phase
    Scratch<Phase> phase(phases);
    Tap* next = taps.data();
    for (int64_t i = 0; i < phases; ++i) {
      const int64_t y = i / a.stride_w, x = i % a.stride_w, count = adjoint_taps(a, y, x, next);
      phase[i] = {.y = y, .x = x, .tap = next, .taps = count};
      next += count;
    }
    correlate<T>({.a = adjoint(a),
                  .write_h = a.stride_h,
                  .write_w = a.stride_w,
                  .weight_out = a.taps(),
                  .weight_in = a.group_in() * a.taps(),
                  .x = static_cast<const T*>(dy),
                  .y = static_cast<T*>(dx),
                  .weight = static_cast<const T*>(weight),
                  .bias = nullptr,
                  .phase = phase.data(),
                  .phases = phases});
  });
}

}  // namespace ink::INK_CPU_LEVEL
