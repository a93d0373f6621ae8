// Convolutions as matrix products (Chellapilla et al. 2006, "High performance convolutional neural networks"): unfold lays
// the pixels that each output pixel looks at under each other, so that per image and group
//   y [out, pixels] = weight [out, in taps] unfolded [in taps, pixels].
// The gradient to the input makes the same product with weight^T and folds it back; the one to the weight multiplies dy
// with unfolded^T. The unfolded array is made for some images (or some channels of one) at a time.
#include "tensor/cuda/conv/conv.h"

#include <algorithm>

#include "tensor/cuda/device/planes.h"
#include "tensor/cuda/host/scratch.h"
#include "tensor/cuda/host/table.h"
#include "tensor/cuda/conv/window.h"

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
__global__ void unfold(const Planes planes, const Divisor channels, const Window v, const Unfolded to, T* unfolded, const T* x,
                       const int64_t x_image) {
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
__global__ void fold(const Planes planes, const Divisor channels, const Window v, const Unfolded from, T* x, const int64_t x_image,
                     const T* unfolded) {
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

// What the three convolutions share: sizes, and the walk over groups, images and channels.
struct Products {
  ConvArgs a;
  int64_t in, out;                // channels of a group
  int64_t taps, pixels, plane;    // kh kw, oh ow, h w
  int64_t images, channels;       // of a piece at most
  bool pointwise;                 // 1x1: the planes of x are unfolded as they are

  explicit Products(const ConvArgs& a)
      : a(a), in(a.in / a.groups), out(a.out / a.groups), taps(a.kh * a.kw), pixels(a.oh * a.ow), plane(a.h * a.w),
        pointwise(taps == 1 && a.stride_h == 1 && a.stride_w == 1 && a.pad_h == 0 && a.pad_w == 0) {
    const int64_t row = taps * pixels * size_of(a.dtype), most = std::max<int64_t>(1, kUnfoldedBytes / row);
    channels = std::min(in, most);
    images = channels < in ? 1 : std::min(a.batch, std::max<int64_t>(1, most / in));
  }
  int64_t rows() const { return channels * taps; }  // of the unfolded array
  int64_t x_at(int64_t image, int64_t group, int64_t channel) const { return (image * a.in + group * in + channel) * plane; }
  int64_t y_at(int64_t image, int64_t group) const { return (image * a.out + group * out) * pixels; }
  int64_t weight_at(int64_t group, int64_t channel) const { return (group * out * in + channel) * taps; }

  struct Piece {
    int64_t group, image, images, channel, channels;
  };
  template <class F>
  void for_pieces(F&& f) const {
    for (int64_t g = 0; g < a.groups; ++g)
      for (int64_t n = 0; n < a.batch; n += images)
        for (int64_t c = 0; c < in; c += channels) f(Piece{g, n, std::min(images, a.batch - n), c, std::min(channels, in - c)});
  }

  template <class T>
  void unfold_piece(const char* name, const Piece& p, const Window& v, Unfolded to, T* unfolded, const T* x) const {
    x += x_at(p.image, p.group, p.channel);
    for_planes(p.images, p.channels, a.oh, a.ow, [&](const Planes& planes, int64_t image, dim3 grid, dim3 block) {
      launch(name, unfold<T>, grid, block, 0, planes, Divisor(p.channels), v, to, unfolded + image * to.image_step,
             x + image * a.in * plane, a.in * plane);
    });
  }
};

}  // namespace

void conv2d(const ConvArgs& a, void* y, const void* x, const void* weight, const void* bias) {
  if (is_depthwise(a)) return depthwise(a, y, x, weight, bias);
  const Products s(a);
  const Window v = window_of("conv2d", a);
  if (bias) {  // y starts as the bias
    const Shape shape{a.batch, a.out, s.pixels};
    copy({y, a.dtype, shape, {a.out * s.pixels, s.pixels, 1}}, {const_cast<void*>(bias), a.dtype, shape, {0, 1, 0}});
  }
  visit_float(a.dtype, [&]<class T>() {
    Scratch<T> unfolded(s.pointwise ? 0 : s.images * s.rows() * s.pixels);
    s.for_pieces([&](const Products::Piece& p) {
      GemmArgs g{};
      g.dtype = a.dtype, g.batch = p.images, g.m = s.out, g.n = s.pixels, g.k = p.channels * s.taps, g.alpha = 1;
      g.a = static_cast<const T*>(weight) + s.weight_at(p.group, p.channel), g.a_row = s.in * s.taps, g.a_col = 1;
      g.b_row = s.pixels, g.b_col = 1;
      if (s.pointwise) {
        g.b = static_cast<const T*>(x) + s.x_at(p.image, p.group, p.channel), g.b_batch = a.in * s.plane;
      } else {
        g.b = unfolded.data(), g.b_batch = g.k * s.pixels;
        s.unfold_piece("conv2d", p, v, {g.b_batch, s.pixels}, unfolded.data(), static_cast<const T*>(x));
      }
      g.c = static_cast<T*>(y) + s.y_at(p.image, p.group), g.c_row = s.pixels, g.c_batch = a.out * s.pixels;
      g.beta = bias || p.channel > 0;
      gemm(g);
    });
  });
}

void conv2d_backward_input(const ConvArgs& a, void* dx, const void* dy, const void* weight) {
  if (is_depthwise(a)) return depthwise_backward_input(a, dx, dy, weight);
  const Products s(a);
  const Window v = window_of("conv2d_backward_input", a);
  visit_float(a.dtype, [&]<class T>() {
    Scratch<T> unfolded(s.pointwise ? 0 : s.images * s.rows() * s.pixels);
    s.for_pieces([&](const Products::Piece& p) {
      T* to = static_cast<T*>(dx) + s.x_at(p.image, p.group, p.channel);
      GemmArgs g{};
      g.dtype = a.dtype, g.batch = p.images, g.m = p.channels * s.taps, g.n = s.pixels, g.k = s.out, g.alpha = 1;
      g.a = static_cast<const T*>(weight) + s.weight_at(p.group, p.channel), g.a_row = 1, g.a_col = s.in * s.taps;
      g.b = static_cast<const T*>(dy) + s.y_at(p.image, p.group);
      g.b_row = s.pixels, g.b_col = 1, g.b_batch = a.out * s.pixels;
      g.c = s.pointwise ? to : unfolded.data(), g.c_row = s.pixels, g.c_batch = s.pointwise ? a.in * s.plane : g.m * s.pixels;
      gemm(g);
      if (s.pointwise) return;
      for_planes(p.images, p.channels, a.h, a.w, [&](const Planes& planes, int64_t image, dim3 grid, dim3 block) {
        launch("conv2d_backward_input", fold<T>, grid, block, 0, planes, Divisor(p.channels), v, Unfolded{g.c_batch, s.pixels},
               to + image * a.in * s.plane, a.in * s.plane, unfolded.data() + image * g.c_batch);
      });
    });
  });
}

void conv2d_backward_weight(const ConvArgs& a, void* dweight, const void* dy, const void* x) {
  if (is_depthwise(a)) return depthwise_backward_weight(a, dweight, dy, x);
  const Products s(a);
  const Window v = window_of("conv2d_backward_weight", a);
  visit_float(a.dtype, [&]<class T>() {
    // One sum over the pixels of all images of a piece: both factors have the images side by side in each row.
    Scratch<T> unfolded(s.images * s.rows() * s.pixels), beside(s.images * s.out * s.pixels);
    s.for_pieces([&](const Products::Piece& p) {
      GemmArgs g{};
      g.dtype = a.dtype, g.batch = 1, g.m = s.out, g.n = p.channels * s.taps, g.k = p.images * s.pixels, g.alpha = 1;
      if (p.channel == 0) {
        const Shape shape{s.out, p.images, s.pixels};
        const T* from = static_cast<const T*>(dy) + s.y_at(p.image, p.group);
        copy({beside.data(), a.dtype, shape, {g.k, s.pixels, 1}}, {const_cast<T*>(from), a.dtype, shape, {s.pixels, a.out * s.pixels, 1}});
      }
      s.unfold_piece("conv2d_backward_weight", p, v, {s.pixels, g.k}, unfolded.data(), static_cast<const T*>(x));
      g.a = beside.data(), g.a_row = g.k, g.a_col = 1;
      g.b = unfolded.data(), g.b_row = 1, g.b_col = g.k;
      g.c = static_cast<T*>(dweight) + s.weight_at(p.group, p.channel), g.c_row = s.in * s.taps;
      g.beta = p.image > 0;
      gemm(g);
    });
  });
}

}  // namespace ink::cuda
