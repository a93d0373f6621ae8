// Convolutions as matrix products (Chellapilla et al. 2006, "High performance convolutional neural networks"): unfold
// lays the pixels that each output pixel looks at under each other, so that per image and group
//   y [out, pixels] = weight [out, in taps] unfolded [in taps, pixels].
// The gradient to the input makes the same product with weight^T and folds it back; the one to the weight multiplies dy
// with unfolded^T. The unfolded array is made for some images (or some channels of one) at a time.
#include "tensor/cuda/conv/conv.h"

#include <algorithm>

#include "tensor/cuda/conv/window.h"
#include "tensor/cuda/device/planes.h"
#include "tensor/cuda/host/scratch.h"
#include "tensor/cuda/host/table.h"

namespace ink::cuda {
namespace {

constexpr int64_t kUnfoldedBytes = int64_t(64) << 20;

// Where unfolded pixel i of (image, channel c, tap t) stands: image * image_step + (c * taps + t) * row_step + i.
struct Unfolded {
  int64_t image_step, row_step;
};

// One thread per output pixel of an (image, channel): it copies the pixels of its window, a row apart; so all threads
// write in order. Each pixel of x is read once per tap, from the caches.
template <class T>
__global__ void unfold(const Planes planes, const Divisor channels, const Window v, const Unfolded to, T* unfolded,
                       const T* x, const int64_t x_image) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= planes.count) return;
  const Pixel at = planes.at(i);
  const uint32_t image = channels.divide(at.plane), channel = at.plane - image * channels.size;
  x += image * x_image + int64_t(channel) * v.h * v.w;
  unfolded += image * to.image_step + int64_t(channel) * v.kh * v.kw * to.row_step + at.place;
  for (int r = 0; r < v.kh; ++r)
    for (int s = 0; s < v.kw; ++s, unfolded += to.row_step) {
      const int row = v.row(at.y, r), col = v.col(at.x, s);
      *unfolded = v.inside(row, col) ? x[row * v.w + col] : T(0);
    }
}

// The adjoint as a gather: one thread per pixel of x, which sums what unfold copied it to, by taps.
template <class T>
__global__ void fold(const Planes planes, const Divisor channels, const Window v, const Unfolded from, T* x,
                     const int64_t x_image, const T* unfolded) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= planes.count) return;
  const Pixel at = planes.at(i);
  const uint32_t image = channels.divide(at.plane), channel = at.plane - image * channels.size;
  unfolded += image * from.image_step + int64_t(channel) * v.kh * v.kw * from.row_step;
  T sum = 0;
  for (int r = 0; r < v.kh; ++r) {
    const int p = v.output_row(at.y, r);
    if (p < 0) continue;
    for (int s = 0; s < v.kw; ++s) {
      const int q = v.output_col(at.x, s);
      if (q >= 0) sum += unfolded[(r * v.kw + s) * from.row_step + p * v.ow + q];
    }
  }
  x[image * x_image + int64_t(channel) * v.h * v.w + at.place] = sum;
}

// A convolution as products, piece by piece: some images, or some channels of one, of one group.
struct UnfoldedConv : ConvArgs {
  int64_t pixels;            // of an output plane
  int64_t images, channels;  // of a piece at most
  bool pointwise;            // 1x1: the planes of x are unfolded as they are

  explicit UnfoldedConv(const ConvArgs& a)
      : ConvArgs(a),
        pixels(out_plane()),
        pointwise(taps() == 1 && stride_h == 1 && stride_w == 1 && pad_h == 0 && pad_w == 0) {
    const int64_t row = taps() * pixels * size_of(dtype), most = std::max<int64_t>(1, kUnfoldedBytes / row);
    channels = std::min(group_in(), most);
    images = channels < group_in() ? 1 : std::min(batch, std::max<int64_t>(1, most / group_in()));
  }
  int64_t unfolded_size() const { return images * channels * taps() * pixels; }
  int64_t x_at(int64_t image, int64_t group, int64_t channel) const {
    return (image * in + group * group_in() + channel) * plane();
  }
  int64_t y_at(int64_t image, int64_t group) const { return (image * out + group * group_out()) * pixels; }
  int64_t weight_at(int64_t group, int64_t channel) const {
    return (group * group_out() * group_in() + channel) * taps();
  }

  struct Piece {
    int64_t group, image, images, channel, channels;
  };
  template <class F> void for_pieces(F&& f) const {
    for (int64_t g = 0; g < groups; ++g)
      for (int64_t n = 0; n < batch; n += images)
        for (int64_t c = 0; c < group_in(); c += channels)
          f(Piece{.group = g,
                  .image = n,
                  .images = std::min(images, batch - n),
                  .channel = c,
                  .channels = std::min(channels, group_in() - c)});
  }

  template <class T>
  void unfold_piece(const char* name, const Piece& p, const Window& v, Unfolded to, T* unfolded, const T* x) const {
    x += x_at(p.image, p.group, p.channel);
    for_planes(p.images, p.channels, oh, ow, [&](const Planes& planes, int64_t image, dim3 grid, dim3 block) {
      launch(name, unfold<T>, grid, block, 0, planes, Divisor(p.channels), v, to, unfolded + image * to.image_step,
             x + image * in * plane(), in * plane());
    });
  }
};

}  // namespace

void conv2d(const ConvArgs& args, void* y, const void* x, const void* weight, const void* bias) {
  if (is_depthwise(args)) return depthwise(args, y, x, weight, bias);
  const UnfoldedConv a(args);
  const Window v = window_of("conv2d", a);
  if (bias) {  // y starts as the bias
    const Shape shape{a.batch, a.out, a.pixels};
    copy({y, a.dtype, shape, {a.out * a.pixels, a.pixels, 1}}, {const_cast<void*>(bias), a.dtype, shape, {0, 1, 0}});
  }
  visit_float(a.dtype, [&]<class T>() {
    Scratch<T> unfolded(a.pointwise ? 0 : a.unfolded_size());
    a.for_pieces([&](const UnfoldedConv::Piece& p) {
      const int64_t rows = p.channels * a.taps();
      if (!a.pointwise)
        a.unfold_piece("conv2d", p, v, {rows * a.pixels, a.pixels}, unfolded.data(), static_cast<const T*>(x));
      gemm({.dtype = a.dtype,
            .batch = p.images,
            .m = a.group_out(),
            .n = a.pixels,
            .k = rows,
            .a = static_cast<const T*>(weight) + a.weight_at(p.group, p.channel),
            .a_row = a.group_in() * a.taps(),
            .a_col = 1,
            .a_batch = 0,
            .b = a.pointwise ? static_cast<const T*>(x) + a.x_at(p.image, p.group, p.channel) : unfolded.data(),
            .b_row = a.pixels,
            .b_col = 1,
            .b_batch = a.pointwise ? a.in * a.plane() : rows * a.pixels,
            .c = static_cast<T*>(y) + a.y_at(p.image, p.group),
            .c_row = a.pixels,
            .c_batch = a.out * a.pixels,
            .alpha = 1,
            .beta = double(bias || p.channel > 0)});
    });
  });
}

void conv2d_backward_input(const ConvArgs& args, void* dx, const void* dy, const void* weight) {
  if (is_depthwise(args)) return depthwise_backward_input(args, dx, dy, weight);
  const UnfoldedConv a(args);
  const Window v = window_of("conv2d_backward_input", a);
  visit_float(a.dtype, [&]<class T>() {
    Scratch<T> unfolded(a.pointwise ? 0 : a.unfolded_size());
    a.for_pieces([&](const UnfoldedConv::Piece& p) {
      T* to = static_cast<T*>(dx) + a.x_at(p.image, p.group, p.channel);
      const int64_t rows = p.channels * a.taps(), image_step = a.pointwise ? a.in * a.plane() : rows * a.pixels;
      gemm({.dtype = a.dtype,
            .batch = p.images,
            .m = rows,
            .n = a.pixels,
            .k = a.group_out(),
            .a = static_cast<const T*>(weight) + a.weight_at(p.group, p.channel),
            .a_row = 1,
            .a_col = a.group_in() * a.taps(),
            .a_batch = 0,
            .b = static_cast<const T*>(dy) + a.y_at(p.image, p.group),
            .b_row = a.pixels,
            .b_col = 1,
            .b_batch = a.out * a.pixels,
            .c = a.pointwise ? to : unfolded.data(),
            .c_row = a.pixels,
            .c_batch = image_step,
            .alpha = 1,
            .beta = 0});
      if (a.pointwise) return;
      for_planes(p.images, p.channels, a.h, a.w, [&](const Planes& planes, int64_t image, dim3 grid, dim3 block) {
        launch("conv2d_backward_input", fold<T>, grid, block, 0, planes, Divisor(p.channels), v,
               Unfolded{image_step, a.pixels}, to + image * a.in * a.plane(), a.in * a.plane(),
               unfolded.data() + image * image_step);
      });
    });
  });
}

void conv2d_backward_weight(const ConvArgs& args, void* dweight, const void* dy, const void* x) {
  if (is_depthwise(args)) return depthwise_backward_weight(args, dweight, dy, x);
  const UnfoldedConv a(args);
  const Window v = window_of("conv2d_backward_weight", a);
  visit_float(a.dtype, [&]<class T>() {
    // One sum over the pixels of all images of a piece: both factors have the images side by side in each row.
    Scratch<T> unfolded(a.unfolded_size()), beside(a.images * a.group_out() * a.pixels);
    a.for_pieces([&](const UnfoldedConv::Piece& p) {
      const int64_t terms = p.images * a.pixels;
      if (p.channel == 0) {
        const Shape shape{a.group_out(), p.images, a.pixels};
        const T* from = static_cast<const T*>(dy) + a.y_at(p.image, p.group);
        copy({beside.data(), a.dtype, shape, {terms, a.pixels, 1}},
             {const_cast<T*>(from), a.dtype, shape, {a.pixels, a.out * a.pixels, 1}});
      }
      a.unfold_piece("conv2d_backward_weight", p, v, {a.pixels, terms}, unfolded.data(), static_cast<const T*>(x));
      gemm({.dtype = a.dtype,
            .batch = 1,
            .m = a.group_out(),
            .n = p.channels * a.taps(),
            .k = terms,
            .a = beside.data(),
            .a_row = terms,
            .a_col = 1,
            .a_batch = 0,
            .b = unfolded.data(),
            .b_row = 1,
            .b_col = terms,
            .b_batch = 0,
            .c = static_cast<T*>(dweight) + a.weight_at(p.group, p.channel),
            .c_row = a.group_in() * a.taps(),
            .c_batch = 0,
            .alpha = 1,
            .beta = double(p.image > 0)});
    });
  });
}

}  // namespace ink::cuda
