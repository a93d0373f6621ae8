// The gradient of conv2d to the weights: dw[o, c, t] = sum over images and pixels of dy[o, pixel] x[c, t + pixel].
#include "tensor/cpu/conv/conv_plane.h"
#include "tensor/cpu/conv/conv_tile.h"
#include "tensor/cpu/elementwise/transpose.h"
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

constexpr int64_t kChunkBytes = 256 << 10;   // of the inputs that are in the cache together
constexpr int64_t kPieces = 16;              // wanted of the whole
constexpr int64_t kPieceProducts = 1 << 17;  // of the smallest piece worth a thread's while
constexpr int64_t kPiecePixels = 128;        // so that adding up the pieces costs little

template <class T> struct WeightSum {
  ConvArgs a;
  const T *dy, *x;
  T* dw;
  int64_t in = a.group_in(), out = a.group_out(), taps = a.taps();
  int64_t sums = in * taps;  // of one output channel
  int64_t blocks = ceil_div(out, kBlock<T>);

  INK_INLINE const T* dy_at(int64_t image, int64_t c) const { return dy + (image * a.out + c) * a.out_plane(); }
  INK_INLINE const T* x_at(int64_t image, int64_t c) const { return x + (image * a.in + c) * a.plane(); }
};

// What is summed in one go: units of work, some rows of one image each, read through one layout.
struct Units {
  int64_t strip, strips;  // rows of a unit; units of an image
  InputLayout layout;
  const int64_t* offset;  // of the sums of an output channel, by input channel and tap
};

// Units [begin, end) for block b (counted over groups) are summed into part.
template <class T>
void sum_units(const WeightSum<T>& s, const Units& u, int64_t b, int64_t begin, int64_t end, T* part) {
  constexpr int64_t B = kBlock<T>;
  const ConvArgs& a = s.a;
  const InputLayout& v = u.layout;
  const int64_t image = s.in * v.plane, g = b / s.blocks, o = b % s.blocks * B, lanes = smaller(s.out - o, B);
  int64_t together = u.strips > 1 || v.direct ? 1 : ceil_div(kChunkBytes, image * int64_t(sizeof(T)));
  together = smaller(together, end - begin);
  Scratch<T> copy(v.direct ? 0 : together * image + kCopySlack), dy(together * u.strip * a.ow * B);
  clear_row(part, s.sums * B);
  for (int64_t unit = begin; unit < end; unit += together) {
    const int64_t count = smaller(end - unit, together);
    const int64_t n = unit / u.strips, first = unit % u.strips * u.strip, rows = smaller(a.oh - first, u.strip);
    for (int64_t i = 0; i < count; ++i) {
      if (!v.direct) copy_input(v, copy.data() + i * image, s.x_at(n + i, g * s.in), s.in, first);
      transpose(dy.data() + i * rows * a.ow * B, B, s.dy_at(n + i, g * s.out + o) + first * a.ow, a.out_plane(), lanes,
                rows * a.ow, true);
    }
    const T* from = v.direct ? s.x_at(n, g * s.in) + first * a.stride_h * a.w : copy.data();
    const Pixels pixels{
        .images = count, .image = image, .rows = rows, .cols = a.ow, .output_row = v.output_row(), .step = v.step};
    const int64_t tiles = ceil_div(s.sums, kTileWeights);
    for (int64_t i = 0, j = 0; i < tiles; ++i) {
      int64_t size = s.sums / tiles + (i < s.sums % tiles);
      with_constant<kTileWeights>(size, [&]<int Q>() {
        if (lanes > kLanes<T>)
          tile_weight<T, 2, Q>(pixels, part + j * B, from, u.offset + j, dy.data());
        else
          tile_weight<T, 1, Q>(pixels, part + j * B, from, u.offset + j, dy.data());
      });
      j += size;
    }
  }
}

// The sums of `pieces` pieces, [piece][block][sum][lane], added up in order and brought to dw's layout.
template <class T> void add_pieces(const WeightSum<T>& s, T* part, int64_t pieces) {
  constexpr int64_t chunk = 64, B = kBlock<T>;
  using P = Pack<T, kLanes<T>>;
  const int64_t all_blocks = s.a.groups * s.blocks, size = s.sums * B, chunks = ceil_div(s.sums, chunk);
  parallel_for(all_blocks * chunks, ceil_div(kPieceProducts / 8, pieces * chunk * B), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t b = i / chunks, j = i % chunks * chunk, count = smaller(s.sums - j, chunk);
      int64_t o = b % s.blocks * B, lanes = smaller(s.out - o, B);
      T* sum = part + b * size + j * B;
      for (int64_t k = 0; k < count * B; k += P::lanes) {
        P total = P::load(sum + k);
        for (int64_t piece = 1; piece < pieces; ++piece) total += P::load(sum + piece * all_blocks * size + k);
        total.store(sum + k);
      }
      transpose(s.dw + (b / s.blocks * s.out + o) * s.sums + j, s.sums, sum, B, count, lanes, false);
    }
  });
}

template <class T> void many_channels(const WeightSum<T>& s, Tap* taps) {
  constexpr int64_t B = kBlock<T>;
  const ConvArgs& a = s.a;
  WindowArgs part = a;
  part.oh = ceil_div(a.oh, smaller(ceil_div(s.in * a.plane() * int64_t(sizeof(T)), 2 * kChunkBytes), a.oh));
  Scratch<int64_t> offset(s.sums);
  const Units u{.strip = part.oh,
                .strips = ceil_div(a.oh, part.oh),
                .layout = layout_for(part, taps, s.taps, a.oh == part.oh ? a.stride_w : 0),
                .offset = offset.data()};
  for (int64_t j = 0; j < s.sums; ++j) offset[j] = j / s.taps * u.layout.plane + taps[j % s.taps].offset;

  // Each piece has sums of its own, added in order afterwards: the result does not depend on who computes what.
  const int64_t units = a.batch * u.strips, all_blocks = a.groups * s.blocks;
  const int64_t unit_products = s.sums * B * u.strip * a.ow;
  int64_t pieces = smaller(ceil_div(kPieces, all_blocks), ceil_div(units * u.strip * a.ow, kPiecePixels));
  pieces = smaller(pieces, ceil_div(units * unit_products, kPieceProducts));
  const int64_t per_piece = ceil_div(units, larger(pieces, 1)), size = s.sums * B;
  pieces = per_piece ? ceil_div(units, per_piece) : 1;
  Scratch<T> sums(pieces * all_blocks * size);
  const int64_t grain = ceil_div(kPieceProducts, per_piece * unit_products + 1);
  parallel_for(pieces * all_blocks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i / all_blocks * per_piece;
      sum_units(s, u, i % all_blocks, first, smaller(first + per_piece, units), sums.data() + i * size);
    }
  });
  add_pieces(s, sums.data(), pieces);
}

template <class T> void few_channels(const WeightSum<T>& s, Tap* taps) {
  const ConvArgs& a = s.a;
  const InputLayout v = layout_for(a, taps, s.taps, 1);
  const Pixels pixels{.images = 1, .image = 0, .rows = a.oh, .cols = a.ow, .output_row = v.output_row(), .step = 1};
  const int64_t products = a.batch * s.taps * a.out_plane();
  parallel_for(a.out * s.in, ceil_div(kPieceProducts, products + 1), [&](int64_t begin, int64_t end) {
    Scratch<T> copy(v.direct ? 0 : v.plane + kCopySlack);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t o = i / s.in, c = o / s.out * s.in + i % s.in;
      T* dw = s.dw + i * s.taps;
      for (int64_t t = 0; t < s.taps; ++t) dw[t] = T(0);
      for (int64_t n = 0; n < a.batch; ++n) {
        if (!v.direct) copy_input(v, copy.data(), s.x_at(n, c), 1, 0);
        const T* x = v.direct ? s.x_at(n, c) : copy.data();
        for (int64_t t = 0; t < s.taps; t += kTileWeights)
          with_constant<kTileWeights>(smaller(s.taps - t, kTileWeights),
                                      [&]<int Q>() { plane_weight<T, Q>(pixels, dw, x, taps + t, s.dy_at(n, o)); });
      }
    }
  });
}

}  // namespace

void conv2d_backward_weight(const ConvArgs& args, void* dweight, const void* dy, const void* x) {
  const ConvArgs a = flattened(args);
  visit_float(a.dtype, [&]<class T>() {
    Scratch<Tap> taps(a.taps());
    forward_taps(a, taps.data());
    const WeightSum<T> s{
        .a = a, .dy = static_cast<const T*>(dy), .x = static_cast<const T*>(x), .dw = static_cast<T*>(dweight)};
    2 * s.out < kLanes<T> ? few_channels(s, taps.data()) : many_channels(s, taps.data());
  });
}

}  // namespace ink::INK_CPU_LEVEL
