// The gradient of conv2d to the weights: dw[o, c, t] = sum over images and pixels of dy[o, pixel] x[c, t + pixel].
#include "tensor/cpu/conv/conv_plane.h"
#include "tensor/cpu/conv/conv_tile.h"
#include "tensor/cpu/table.h"
#include "tensor/cpu/elementwise/transpose.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

constexpr int64_t kChunkBytes = 256 << 10;   // of the windows that are in the cache together
constexpr int64_t kPieces = 16;              // wanted of the whole
constexpr int64_t kPieceProducts = 1 << 17;  // of the smallest piece worth a thread's while
constexpr int64_t kPiecePixels = 128;        // so that adding up the pieces costs little

template <class T>
struct WeightSum {
  ConvArgs a;
  int64_t in, out, taps;  // channels of a group; kh * kw
  const T *dy, *x;
  T* dw;

  int64_t blocks() const { return ceil_div(out, kBlock<T>); }
  int64_t sums() const { return in * taps; }  // of one output channel
};

// A unit of work is some rows of one image. Units [begin, end) for block b (counted over groups) are summed into part.
template <class T>
void sum_units(const WeightSum<T>& s, const Window& v, const int64_t* offset, int64_t strip, int64_t b, int64_t begin,
               int64_t end, T* part) {
  constexpr int64_t B = kBlock<T>;
  const ConvArgs& a = s.a;
  int64_t strips = ceil_div(a.oh, strip), image = s.in * v.plane, plane = a.oh * a.ow;
  int64_t together = strips > 1 || v.direct ? 1 : ceil_div(kChunkBytes, image * int64_t(sizeof(T)));
  if (together > end - begin) together = end - begin;
  int64_t g = b / s.blocks(), o = b % s.blocks() * B, lanes = s.out - o < B ? s.out - o : B;
  Scratch<T> window(v.direct ? 0 : together * image + kWindowSlack), swapped(together * strip * a.ow * B);
  put_zeros(part, s.sums() * B);
  for (int64_t unit = begin; unit < end; unit += together) {
    int64_t count = end - unit < together ? end - unit : together;
    int64_t n = unit / strips, first = unit % strips * strip, rows = a.oh - first < strip ? a.oh - first : strip;
    const T* x = s.x + (n * a.groups + g) * s.in * a.h * a.w;
    for (int64_t i = 0; i < count; ++i) {
      if (!v.direct) fill_window(v, window.data() + i * image, x + i * a.in * a.h * a.w, s.in, a.h, a.w, first);
      transpose(swapped.data() + i * rows * a.ow * B, B,
                s.dy + (((n + i) * a.groups + g) * s.out + o) * plane + first * a.ow, plane, lanes, rows * a.ow, true);
    }
    const T* from = v.direct ? x + first * a.stride_h * a.w : window.data();
    Pixels pixels{count, image, rows, a.ow, v.output_row(), v.step};
    int64_t tiles = ceil_div(s.sums(), kTileWeights);
    for (int64_t i = 0, j = 0; i < tiles; ++i) {
      int64_t size = s.sums() / tiles + (i < s.sums() % tiles);
      with_constant<kTileWeights>(size, [&]<int Q>() {
        if (lanes > kLanes<T>) {
          tile_weight<T, 2, Q>(pixels, part + j * B, from, offset + j, swapped.data());
        } else {
          tile_weight<T, 1, Q>(pixels, part + j * B, from, offset + j, swapped.data());
        }
      });
      j += size;
    }
  }
}

template <class T>
void many_channels(const WeightSum<T>& s, Tap* taps) {
  constexpr int64_t B = kBlock<T>;
  const ConvArgs& a = s.a;
  int64_t strips = ceil_div(s.in * a.h * a.w * int64_t(sizeof(T)), 2 * kChunkBytes);
  int64_t strip = ceil_div(a.oh, strips < a.oh ? strips : a.oh);
  strips = ceil_div(a.oh, strip);
  Window v = window_of(taps, s.taps, a.h, a.w, strip, a.ow, a.stride_h, a.stride_w, a.oh == strip ? a.stride_w : 0);
  Scratch<int64_t> offset(s.sums());
  for (int64_t j = 0; j < s.sums(); ++j) offset[j] = j / s.taps * v.plane + taps[j % s.taps].offset;

  // Each piece has sums of its own, added in order below: the result does not depend on who computes what.
  int64_t units = a.batch * strips, all_blocks = a.groups * s.blocks();
  int64_t unit_products = s.sums() * B * strip * a.ow, pieces = ceil_div(kPieces, all_blocks);
  int64_t most = ceil_div(units * strip * a.ow, kPiecePixels),
          most_by_work = ceil_div(units * unit_products, kPieceProducts);
  if (pieces > most) pieces = most;
  if (pieces > most_by_work) pieces = most_by_work;
  int64_t per_piece = ceil_div(units, pieces < 1 ? 1 : pieces);
  pieces = per_piece ? ceil_div(units, per_piece) : 1;
  int64_t size = s.sums() * B;
  Scratch<T> part(pieces * all_blocks * size);
  parallel_for(
      pieces * all_blocks, ceil_div(kPieceProducts, per_piece * unit_products + 1), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          int64_t first = i / all_blocks * per_piece, last = first + per_piece < units ? first + per_piece : units;
          sum_units(s, v, offset.data(), strip, i % all_blocks, first, last, part.data() + i * size);
        }
      });

  constexpr int64_t chunk = 64;
  using P = Pack<T, kLanes<T>>;
  int64_t chunks = ceil_div(s.sums(), chunk);
  parallel_for(all_blocks * chunks, ceil_div(kPieceProducts / 8, pieces * chunk * B), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t b = i / chunks, j = i % chunks * chunk, count = s.sums() - j < chunk ? s.sums() - j : chunk;
      int64_t o = b % s.blocks() * B, lanes = s.out - o < B ? s.out - o : B;
      T* sum = part.data() + b * size + j * B;
      for (int64_t k = 0; k < count * B; k += P::lanes) {
        P total = P::load(sum + k);
        for (int64_t piece = 1; piece < pieces; ++piece) total += P::load(sum + piece * all_blocks * size + k);
        total.store(sum + k);
      }
      transpose(s.dw + (b / s.blocks() * s.out + o) * s.sums() + j, s.sums(), sum, B, count, lanes, false);
    }
  });
}

template <class T>
void few_channels(const WeightSum<T>& s, Tap* taps) {
  const ConvArgs& a = s.a;
  Window v = window_of(taps, s.taps, a.h, a.w, a.oh, a.ow, a.stride_h, a.stride_w, 1);
  int64_t products = a.batch * s.taps * a.oh * a.ow;
  parallel_for(a.out * s.in, ceil_div(kPieceProducts, products + 1), [&](int64_t begin, int64_t end) {
    Scratch<T> window(v.direct ? 0 : v.plane + kWindowSlack);
    for (int64_t i = begin; i < end; ++i) {
      int64_t o = i / s.in, c = o / s.out * s.in + i % s.in;
      T* dw = s.dw + i * s.taps;
      for (int64_t t = 0; t < s.taps; ++t) dw[t] = T(0);
      for (int64_t n = 0; n < a.batch; ++n) {
        const T* x = s.x + (n * a.in + c) * a.h * a.w;
        if (!v.direct) fill_window(v, window.data(), x, 1, a.h, a.w, 0);
        for (int64_t t = 0; t < s.taps; t += kTileWeights)
          with_constant<kTileWeights>(s.taps - t < kTileWeights ? s.taps - t : kTileWeights, [&]<int Q>() {
            plane_weight<T, Q>(dw, taps + t, v.direct ? x : window.data(), v.output_row(),
                               s.dy + (n * a.out + o) * a.oh * a.ow, a.oh, a.ow);
          });
      }
    }
  });
}

}  // namespace

void conv2d_backward_weight(const ConvArgs& args, void* dweight, const void* dy, const void* x) {
  const ConvArgs a = flattened(args);
  visit_float(a.dtype, [&]<class T>() {
    Scratch<Tap> taps(a.kh * a.kw);
    forward_taps(a, taps.data());
    WeightSum<T> s{a,
                   a.in / a.groups,
                   a.out / a.groups,
                   a.kh * a.kw,
                   static_cast<const T*>(dy),
                   static_cast<const T*>(x),
                   static_cast<T*>(dweight)};
    2 * s.out < kLanes<T> ? few_channels(s, taps.data()) : many_channels(s, taps.data());
  });
}

}  // namespace ink::INK_CPU_LEVEL
