// Convolution. y = x * w is linear in x and in w, and so are its two adjoints; with <u, .> the inner product,
//   <u, conv(x, w)> = <backward_input(u, w), x> = <backward_weight(u, x), w>.
// Hence the rules of each of the three are the other two, and any order of derivative follows.
#include <fmt/format.h>

#include <algorithm>

#include "autograd/graph/call.h"
#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "tensor/raw/conv.h"

namespace ink {

using B = const Backward&;

namespace {

const ConvArgs& args_of(B b) { return b.context<ConvArgs>(); }
Tensor conv(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvArgs& args);
Tensor backward_input(const Tensor& dy, const Tensor& w, const ConvArgs& args);
Tensor backward_weight(const Tensor& dy, const Tensor& x, const ConvArgs& args);

Tensor conv(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvArgs& args) {
  static constexpr Op op{"conv2d",
                         {{[](B b) { return backward_input(b.grad(), b.in(1), args_of(b)); }, kIn1},
                          {[](B b) { return backward_weight(b.grad(), b.in(0), args_of(b)); }, kIn0},
                          {[](B b) {
                            return sum(b.grad(), {0, 2, 3});
                          }}},
                         nullptr,
                         0,
                         Cast::lower};
  auto forward = [&](const Tensor& x, const Tensor& w, const Tensor& b) {
    return raw::conv2d("conv2d", args, x, w, b);
  };
  return call(op, args, forward, x, w, bias);
}
Tensor backward_input(const Tensor& dy, const Tensor& w, const ConvArgs& args) {
  static constexpr Op op{"conv2d_backward_input",
                         {{[](B b) { return conv(b.grad(), b.in(1), {}, args_of(b)); }, kIn1},
                          {[](B b) { return backward_weight(b.in(0), b.grad(), args_of(b)); }, kIn0}},
                         nullptr,
                         0,
                         Cast::lower};
  auto forward = [&](const Tensor& g, const Tensor& w) { return raw::conv2d_backward_input(op.name, args, g, w); };
  return call(op, args, forward, dy, w);
}
Tensor backward_weight(const Tensor& dy, const Tensor& x, const ConvArgs& args) {
  static constexpr Op op{"conv2d_backward_weight",
                         {{[](B b) { return conv(b.in(1), b.grad(), {}, args_of(b)); }, kIn1},
                          {[](B b) { return backward_input(b.in(0), b.grad(), args_of(b)); }, kIn0}},
                         nullptr,
                         0,
                         Cast::lower};
  auto forward = [&](const Tensor& g, const Tensor& x) { return raw::conv2d_backward_weight(op.name, args, g, x); };
  return call(op, args, forward, dy, x);
}

void check(const char* op, int dims, const Tensor& x, const Tensor& w, const Tensor& bias, int64_t out,
           const Conv2dOptions& o) {
  if (x.dim() != dims || w.dim() != dims)
    throw ShapeError(
        fmt::format("{}: wrong number of dims; got input {} and weight {}; expected {} dims each; hint: unsqueeze(0) "
                    "adds a batch dim",
                    op, x.shape().str(), w.shape().str(), dims));
  if (o.stride < 1 || o.dilation < 1 || o.groups < 1 || o.padding < 0 || o.output_padding < 0)
    throw ValueError(fmt::format(
        "{}: got stride {}, dilation {}, groups {}, padding {}, output_padding {}; expected the first three at "
        "least 1, the others at least 0",
        op, o.stride, o.dilation, o.groups, o.padding, o.output_padding));
  if (std::max({o.stride, o.dilation, o.groups, o.padding, o.output_padding}) > kMaxOption)
    throw ValueError(fmt::format(
        "{}: got stride {}, dilation {}, groups {}, padding {}, output_padding {}; expected each at most {}", op, o.stride, o.dilation,
        o.groups, o.padding, o.output_padding, kMaxOption));
  if (bias.defined() && !(bias.shape() == Shape{out}))
    throw ShapeError(fmt::format("{}: bias has the wrong shape; got {}; expected [{}]", op, bias.shape().str(), out));
}

// The number of places of the kernel along one dim.
int64_t places(const char* op, int64_t size, int64_t kernel, const Conv2dOptions& o) {
  const int64_t reach = o.dilation * (kernel - 1) + 1, padded = size + 2 * o.padding;
  if (kernel < 1 || padded < reach)
    throw ShapeError(
        fmt::format("{}: the kernel does not fit the padded input; got kernel {} (reach {}) and input {} padded to {}",
                    op, kernel, reach, size, padded));
  return (padded - reach) / o.stride + 1;
}

// Forward and transposed convolution over the last one or two dims; a 1-D one is a 2-D one of height 1.
struct Plane {
  int64_t h, w;
};
Plane plane(const Tensor& t, int dims) { return {dims == 4 ? t.size(2) : 1, t.size(-1)}; }
ConvArgs make_args(const Conv2dOptions& o, int dims, int64_t batch, int64_t in, int64_t out, Plane image, Plane kernel,
                   Plane places) {
  const bool flat = dims == 3;
  return {f32,       batch,
          in,        out,
          o.groups,  image.h,
          image.w,   kernel.h,
          kernel.w,  places.h,
          places.w,  flat ? 1 : o.stride,
          o.stride,  flat ? 0 : o.padding,
          o.padding, flat ? 1 : o.dilation,
          o.dilation};
}
Tensor to_plane(const Tensor& x) { return x.dim() == 3 ? unsqueeze(x, 2) : x; }

Tensor forward(const char* op, int dims, const Tensor& x, const Tensor& w, const Tensor& bias, const Conv2dOptions& o) {
  check(op, dims, x, w, bias, w.dim() ? w.size(0) : 0, o);
  const int64_t in = x.size(1), out = w.size(0);
  if (in != w.size(1) * o.groups || out % o.groups != 0)
    throw ShapeError(fmt::format(
        "{}: channels do not fit; got input {}, weight {} and groups {}; expected [batch, in, ...], [out, in / "
        "groups, ...] and out a multiple of groups",
        op, x.shape().str(), w.shape().str(), o.groups));
  if (o.output_padding != 0)
    throw ValueError(fmt::format("{}: output_padding belongs to the transpose; got {}", op, o.output_padding));
  Plane image = plane(x, dims), kernel = plane(w, dims), y{1, places(op, image.w, kernel.w, o)};
  if (dims == 4) y.h = places(op, image.h, kernel.h, o);
  ConvArgs args = make_args(o, dims, x.size(0), in, out, image, kernel, y);
  Tensor result = conv(to_plane(x), to_plane(w), bias, args);
  return dims == 3 ? squeeze(result, 2) : result;
}

// The adjoint of the convolution that takes [batch, out, image] to x: x stands in the place of its result.
Tensor transposed(const char* op, int dims, const Tensor& x, const Tensor& w, const Tensor& bias,
                  const Conv2dOptions& o) {
  check(op, dims, x, w, bias, w.dim() > 1 ? w.size(1) * o.groups : 0, o);
  const int64_t in = x.size(1), out = w.size(1) * o.groups;
  if (in != w.size(0) || in % o.groups != 0)
    throw ShapeError(fmt::format(
        "{}: channels do not fit; got input {}, weight {} and groups {}; expected [batch, in, ...], [in, out / "
        "groups, ...] and in a multiple of groups",
        op, x.shape().str(), w.shape().str(), o.groups));
  if (o.output_padding >= std::max(o.stride, o.dilation))
    throw ValueError(fmt::format("{}: output_padding got {}; expected less than stride {} or dilation {}", op,
                                 o.output_padding, o.stride, o.dilation));
  auto size = [&](int64_t places, int64_t kernel) {
    int64_t n = (places - 1) * o.stride - 2 * o.padding + o.dilation * (kernel - 1) + 1 + o.output_padding;
    if (n < 1 || places < 1 || kernel < 1)
      throw ShapeError(fmt::format("{}: nothing is left of the output; got size {} from input {} and kernel {}", op, n,
                                   places, kernel));
    return n;
  };
  Plane y = plane(x, dims), kernel = plane(w, dims), image{1, size(y.w, kernel.w)};
  if (dims == 4) image.h = size(y.h, kernel.h);
  ConvArgs args = make_args(o, dims, x.size(0), out, in, image, kernel, y);
  auto biased = [&](const Tensor& x, const Tensor& w, const Tensor& bias) {
    return backward_input(to_plane(x), to_plane(w), args) + reshape(bias, {out, 1, 1});
  };
  Tensor result = bias.defined() ? in_f32_if_half(biased, x, w, bias) : backward_input(to_plane(x), to_plane(w), args);
  return dims == 3 ? squeeze(result, 2) : result;
}

}  // namespace

Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options) {
  return forward("conv1d", 3, x, weight, bias, options);
}
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options) {
  return forward("conv2d", 4, x, weight, bias, options);
}
Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options) {
  return transposed("conv_transpose1d", 3, x, weight, bias, options);
}
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options) {
  return transposed("conv_transpose2d", 4, x, weight, bias, options);
}

}  // namespace ink
