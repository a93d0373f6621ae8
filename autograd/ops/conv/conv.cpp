// Convolution. y = x * w is linear in x and in w, and so are its two adjoints; with <u, .> the inner product,
//   <u, conv(x, w)> = <backward_input(u, w), x> = <backward_weight(u, x), w>.
// Hence the rules of each of the three are the other two, and any order of derivative follows.
#include <fmt/format.h>

#include <algorithm>

#include "autograd/observe/cost.h"
#include "autograd/ops.h"
#include "autograd/ops/conv/window.h"
#include "autograd/ops/halves.h"
#include "tensor/raw/conv.h"

namespace ink {

using B = const Backward&;

namespace {

const ConvArgs& args_of(B b) { return b.context<ConvArgs>(); }
Tensor conv(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvArgs& args);
Tensor backward_input(const Tensor& dy, const Tensor& w, const ConvArgs& args);
Tensor backward_weight(const Tensor& dy, const Tensor& x, const ConvArgs& args);

// Each output, of the convolution and so of its adjoints too, is a sum over the kernel's places and the channels of a
// group; those in the padding count as well. A bias is one addition each.
double conv_flops(const Call& c) {
  const ConvArgs& a = c.context<ConvArgs>();
  const double outputs = double(a.batch * a.out) * double(a.oh * a.ow),
               bias = c.num_inputs > 2 && c.in(2).defined() ? outputs : 0;
  return multiply_adds(c.out().dtype(), outputs * double(a.in / a.groups * a.kh * a.kw)) + bias;
}

Tensor conv(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvArgs& args) {
  static constexpr Op op{.name = "conv2d",
                         .rules = {{[](B b) { return backward_input(b.grad(), b.in(1), args_of(b)); }, kIn1},
                                   {[](B b) { return backward_weight(b.grad(), b.in(0), args_of(b)); }, kIn0},
                                   {[](B b) {
                                     return sum(b.grad(), {0, 2, 3});
                                   }}},
                         .cast = Cast::lower,
                         .flops = conv_flops};
  auto forward = [&](const Tensor& x, const Tensor& w, const Tensor& b) { return raw::conv2d(op.name, args, x, w, b); };
  return call(op, args, forward, x, w, bias);
}
Tensor backward_input(const Tensor& dy, const Tensor& w, const ConvArgs& args) {
  static constexpr Op op{.name = "conv2d_backward_input",
                         .rules = {{[](B b) { return conv(b.grad(), b.in(1), {}, args_of(b)); }, kIn1},
                                   {[](B b) { return backward_weight(b.in(0), b.grad(), args_of(b)); }, kIn0}},
                         .cast = Cast::lower,
                         .flops = conv_flops};
  auto forward = [&](const Tensor& g, const Tensor& w) { return raw::conv2d_backward_input(op.name, args, g, w); };
  return call(op, args, forward, dy, w);
}
Tensor backward_weight(const Tensor& dy, const Tensor& x, const ConvArgs& args) {
  static constexpr Op op{.name = "conv2d_backward_weight",
                         .rules = {{[](B b) { return conv(b.in(1), b.grad(), {}, args_of(b)); }, kIn1},
                                   {[](B b) { return backward_input(b.in(0), b.grad(), args_of(b)); }, kIn0}},
                         .cast = Cast::lower,
                         .flops = conv_flops};
  auto forward = [&](const Tensor& g, const Tensor& x) { return raw::conv2d_backward_weight(op.name, args, g, x); };
  return call(op, args, forward, dy, x);
}

void check(const char* op, int dims, const Tensor& x, const Tensor& w, const Tensor& bias, int64_t out,
           const ConvOptions& o) {
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
        "{}: got stride {}, dilation {}, groups {}, padding {}, output_padding {}; expected each at most {}", op,
        o.stride, o.dilation, o.groups, o.padding, o.output_padding, kMaxOption));
  if (bias.defined() && !(bias.shape() == Shape{out}))
    throw ShapeError(fmt::format("{}: bias has the wrong shape; got {}; expected [{}]", op, bias.shape().str(), out));
}

// The number of positions of the kernel along one dim.
int64_t positions(const char* op, int64_t size, int64_t kernel, const ConvOptions& o) {
  const int64_t reach = checked_sum(op, checked_product(op, o.dilation, kernel - 1), 1);
  const int64_t padded = checked_sum(op, size, 2 * o.padding);
  if (kernel < 1 || padded < reach)
    throw ShapeError(
        fmt::format("{}: the kernel does not fit the padded input; got kernel {} (reach {}) and input {} padded to {}",
                    op, kernel, reach, size, padded));
  return (padded - reach) / o.stride + 1;
}

Tensor forward(const char* op, int dims, const Tensor& x, const Tensor& w, const Tensor& bias, const ConvOptions& o) {
  check(op, dims, x, w, bias, w.dim() ? w.size(0) : 0, o);
  const int64_t in = x.size(1), out = w.size(0);
  if (in != checked_product(op, w.size(1), o.groups) || out % o.groups != 0)
    throw ShapeError(fmt::format(
        "{}: channels do not fit; got input {}, weight {} and groups {}; expected [batch, in, ...], [out, in / "
        "groups, ...] and out a multiple of groups",
        op, x.shape().str(), w.shape().str(), o.groups));
  if (o.output_padding != 0)
    throw ValueError(fmt::format("{}: output_padding belongs to the transpose; got {}", op, o.output_padding));
  Plane image = plane_of(x), kernel = plane_of(w), y{1, positions(op, image.w, kernel.w, o)};
  if (dims == 4) y.h = positions(op, image.h, kernel.h, o);
  ConvArgs args{window_args(dims, image, kernel, y, o), f32, x.size(0), in, out, o.groups};
  return on_plane(x, [&](const Tensor& x) { return conv(x, dims == 3 ? unsqueeze(w, 2) : w, bias, args); });
}

// The adjoint of the convolution that takes [batch, out, image] to x: x stands in the place of its result.
Tensor transposed(const char* op, int dims, const Tensor& x, const Tensor& w, const Tensor& bias,
                  const ConvOptions& o) {
  check(op, dims, x, w, bias, w.dim() > 1 ? checked_product(op, w.size(1), o.groups) : 0, o);
  const int64_t in = x.size(1), out = w.size(1) * o.groups;
  if (in != w.size(0) || in % o.groups != 0)
    throw ShapeError(fmt::format(
        "{}: channels do not fit; got input {}, weight {} and groups {}; expected [batch, in, ...], [in, out / "
        "groups, ...] and in a multiple of groups",
        op, x.shape().str(), w.shape().str(), o.groups));
  if (o.output_padding >= std::max(o.stride, o.dilation))
    throw ValueError(fmt::format("{}: output_padding got {}; expected less than stride {} or dilation {}", op,
                                 o.output_padding, o.stride, o.dilation));
  auto size = [&](int64_t positions, int64_t kernel) {
    const int64_t spread = checked_product(op, positions - 1, o.stride),
                  reach = checked_product(op, o.dilation, kernel - 1);
    const int64_t n = checked_sum(op, checked_sum(op, spread, reach), 1 + o.output_padding - 2 * o.padding);
    if (n < 1 || positions < 1 || kernel < 1)
      throw ShapeError(fmt::format("{}: nothing is left of the output; got size {} from input {} and kernel {}", op, n,
                                   positions, kernel));
    return n;
  };
  Plane y = plane_of(x), kernel = plane_of(w), image{1, size(y.w, kernel.w)};
  if (dims == 4) image.h = size(y.h, kernel.h);
  ConvArgs args{window_args(dims, image, kernel, y, o), f32, x.size(0), out, in, o.groups};
  return on_plane(x, [&](const Tensor& x) {
    const auto transposed = [&](const Tensor& x, const Tensor& w) {
      return backward_input(x, dims == 3 ? unsqueeze(w, 2) : w, args);
    };
    const auto biased = [&](const Tensor& x, const Tensor& w, const Tensor& bias) {
      return transposed(x, w) + reshape(bias, {out, 1, 1});
    };
    return bias.defined() ? in_f32_if_half(biased, x, w, bias) : transposed(x, w);
  });
}

}  // namespace

Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvOptions& options) {
  return forward("conv1d", 3, x, weight, bias, options);
}
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvOptions& options) {
  return forward("conv2d", 4, x, weight, bias, options);
}
Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvOptions& options) {
  return transposed("conv_transpose1d", 3, x, weight, bias, options);
}
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvOptions& options) {
  return transposed("conv_transpose2d", 4, x, weight, bias, options);
}

}  // namespace ink
