// Pooling and upsampling over the last one or two dims; a 1-D one is a 2-D one of height 1.
#include <fmt/format.h>

#include <algorithm>

#include "autograd/observe/cost.h"
#include "autograd/ops.h"
#include "autograd/ops/conv/window.h"
#include "tensor/raw/conv.h"

namespace ink {

using B = const Backward&;

namespace {

PoolArgs make_args(const char* op, int dims, const Tensor& x, const PoolOptions& o) {
  if (x.dim() != dims)
    throw ShapeError(
        fmt::format("{}: got {}; expected [batch, channels, {}]", op, x.shape().str(), dims == 3 ? "length" : "h, w"));
  const int64_t stride = o.stride == 0 ? o.kernel : o.stride;
  if (o.kernel < 1 || stride < 1 || o.dilation < 1 || o.padding < 0 || o.padding > o.kernel / 2)
    throw ValueError(fmt::format(
        "{}: got kernel {}, stride {}, dilation {}, padding {}; expected at least 1, and a padding of at most half "
        "the kernel",
        op, o.kernel, stride, o.dilation, o.padding));
  if (std::max({o.kernel, stride, o.dilation}) > kMaxOption)
    throw ValueError(fmt::format("{}: got kernel {}, stride {}, dilation {}; expected each at most {}", op, o.kernel,
                                 stride, o.dilation, kMaxOption));
  const int64_t reach = o.dilation * (o.kernel - 1) + 1;
  auto positions = [&](int64_t size) {
    const int64_t padded = checked_sum(op, size, 2 * o.padding);
    if (padded < reach)
      throw ShapeError(
          fmt::format("{}: the window does not fit the padded input; got window {} and input {} padded to {}", op,
                      reach, size, padded));
    const int64_t count = (padded - reach) / stride + 1;
    // A window that starts inside begins with an element, and none starts behind the last: padding is at most half a
    // window.
    for (int64_t at = -o.padding, k = 0; at < 0 && k < count; at += stride, ++k) {
      // the first tap at or after 0; a dilated window may step over all elements
      const int64_t first = at + (-at + o.dilation - 1) / o.dilation * o.dilation;
      if (first >= size || first > at + reach - 1)
        throw ShapeError(
            fmt::format("{}: the window at {} covers padding only; got kernel {}, dilation {}, padding {} and size {}",
                        op, at, o.kernel, o.dilation, o.padding, size));
    }
    return count;
  };
  const Plane image = plane_of(x), kernel{dims == 3 ? 1 : o.kernel, o.kernel};
  PoolOptions spaced = o;
  spaced.stride = stride;
  const Plane output{dims == 3 ? 1 : positions(image.h), positions(image.w)};
  return {window_args(dims, image, kernel, output, spaced), f32, x.size(0) * x.size(1), o.count_include_pad};
}

// An addition or a comparison for each place of each window.
double pool_flops(const Call& c) {
  const PoolArgs& a = c.context<PoolArgs>();
  return double(a.planes * a.oh * a.ow) * double(a.kh * a.kw);
}

// The gradient of a maximum goes to the element that was chosen.
Tensor max_pool_rule(B b) {
  const Shape& s = b.in_shape(0);  // [batch, channels, h, w]
  if (s.numel() == 0) return zeros(s, b.grad().options());
  const Shape chosen{s[0], s[1], b.out(1).size(2) * b.out(1).size(3)};
  Tensor dx = zeros({s[0], s[1], s[2] * s[3]}, b.grad().options());
  return reshape(scatter_add(dx, 2, reshape(b.out(1), chosen), reshape(b.grad(), chosen)), s);
}
Tensor max_pool(const char* name, int dims, const Tensor& x, const PoolOptions& options) {
  static constexpr Op op{.name = "max_pool2d", .rules = {{max_pool_rule, kOut1}}, .flops = pool_flops};
  PoolArgs args = make_args(name, dims, x, options);
  return on_plane(x, [&](const Tensor& x) {
    return call(
        op, args, [&](const Tensor& x) { return raw::max_pool2d(name, args, x); }, x)[0];
  });
}

// A mean and its adjoint: each is the gradient of the other.
Tensor avg_pool_backward(const Tensor& dy, const PoolArgs& args);
Tensor avg_pool(const Tensor& x, const PoolArgs& args) {
  static constexpr Op op{.name = "avg_pool2d",
                         .rules = {{[](B b) { return avg_pool_backward(b.grad(), b.context<PoolArgs>()); }}},
                         .flops = pool_flops};
  return call(
      op, args, [&](const Tensor& x) { return raw::avg_pool2d(op.name, args, x); }, x);
}
Tensor avg_pool_backward(const Tensor& dy, const PoolArgs& args) {
  static constexpr Op op{.name = "avg_pool2d_backward",
                         .rules = {{[](B b) { return avg_pool(b.grad(), b.context<PoolArgs>()); }}},
                         .flops = pool_flops};
  return call(
      op, args, [&](const Tensor& g) { return raw::avg_pool2d_backward(op.name, args, g); }, dy);
}
Tensor avg_pool(const char* name, int dims, const Tensor& x, const PoolOptions& options) {
  if (options.dilation != 1) throw ValueError(fmt::format("{}: dilation got {}; expected 1", name, options.dilation));
  PoolArgs args = make_args(name, dims, x, options);
  return on_plane(x, [&](const Tensor& x) { return avg_pool(x, args); });
}

}  // namespace

Tensor max_pool1d(const Tensor& x, const PoolOptions& options) { return max_pool("max_pool1d", 3, x, options); }
Tensor max_pool2d(const Tensor& x, const PoolOptions& options) { return max_pool("max_pool2d", 4, x, options); }
Tensor avg_pool1d(const Tensor& x, const PoolOptions& options) { return avg_pool("avg_pool1d", 3, x, options); }
Tensor avg_pool2d(const Tensor& x, const PoolOptions& options) { return avg_pool("avg_pool2d", 4, x, options); }

// Each pixel becomes a block of scale x scale equal ones.
Tensor upsample_nearest2d(const Tensor& x, int64_t scale) {
  if (x.dim() != 4)
    throw ShapeError(fmt::format("upsample_nearest2d: got {}; expected [batch, channels, h, w]", x.shape().str()));
  if (scale < 1) throw ValueError(fmt::format("upsample_nearest2d: scale got {}; expected at least 1", scale));
  const int64_t n = x.size(0), c = x.size(1), h = x.size(2), w = x.size(3);
  Tensor blocks = expand(reshape(x, {n, c, h, 1, w, 1}), {n, c, h, scale, w, scale});
  return reshape(blocks, {n, c, checked_product("upsample_nearest2d", h, scale),
                          checked_product("upsample_nearest2d", w, scale)});
}

}  // namespace ink
