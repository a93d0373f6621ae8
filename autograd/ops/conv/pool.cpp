// Pooling and upsampling over the last one or two dims; a 1-D one is a 2-D one of height 1.
#include <fmt/format.h>

#include <algorithm>

#include "autograd/graph/call.h"
#include "autograd/ops.h"
#include "tensor/raw/conv.h"

namespace ink {

using B = const Backward&;

namespace {

PoolArgs make_args(const char* op, int dims, const Tensor& x, const Pool2dOptions& o) {
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
    throw ValueError(fmt::format("{}: got kernel {}, stride {}, dilation {}; expected each at most {}", op, o.kernel, stride, o.dilation,
                                 kMaxOption));
  const int64_t reach = o.dilation * (o.kernel - 1) + 1;
  auto places = [&](int64_t size) {
    if (size + 2 * o.padding < reach)
      throw ShapeError(
          fmt::format("{}: the window does not fit the padded input; got window {} and input {} padded to {}", op,
                      reach, size, size + 2 * o.padding));
    const int64_t count = (size + 2 * o.padding - reach) / stride + 1;
    // A window that starts inside begins with an element, and none starts behind the last: padding is at most half a window.
    for (int64_t at = -o.padding, k = 0; at < 0 && k < count; at += stride, ++k) {
      // the first tap at or after 0; a dilated window may step over all elements
      const int64_t first = at + (-at + o.dilation - 1) / o.dilation * o.dilation;
      if (first >= size || first > at + reach - 1)
        throw ShapeError(fmt::format("{}: the window at {} covers padding only; got kernel {}, dilation {}, padding {} and size {}", op, at,
                                     o.kernel, o.dilation, o.padding, size));
    }
    return count;
  };
  const bool flat = dims == 3;
  const int64_t h = flat ? 1 : x.size(2), w = x.size(-1);
  return {f32,
          x.size(0) * x.size(1),
          h,
          w,
          flat ? 1 : o.kernel,
          o.kernel,
          flat ? 1 : places(h),
          places(w),
          flat ? 1 : stride,
          stride,
          flat ? 0 : o.padding,
          o.padding,
          flat ? 1 : o.dilation,
          o.dilation,
          o.count_include_pad};
}

template <class F>
Tensor on_plane(const Tensor& x, F pool) {
  return x.dim() == 3 ? squeeze(pool(unsqueeze(x, 2)), 2) : pool(x);
}

// The gradient of a maximum goes to the element that was chosen.
Tensor max_pool(const char* name, int dims, const Tensor& x, const Pool2dOptions& options) {
  static constexpr Op op{"max_pool2d",
                         {{[](B b) {
                             const Shape& s = b.in_shape(0);  // [batch, channels, h, w]
                             const Shape chosen{s[0], s[1], b.out(1).size(2) * b.out(1).size(3)};
                             Tensor dx = zeros({s[0], s[1], s[2] * s[3]}, b.grad().options());
                             return reshape(scatter_add(dx, 2, reshape(b.out(1), chosen), reshape(b.grad(), chosen)),
                                            s);
                           },
                           kOut1}}};
  PoolArgs args = make_args(name, dims, x, options);
  return on_plane(x, [&](const Tensor& x) {
    return call(
        op, NoContext{}, [&](const Tensor& x) { return raw::max_pool2d(name, args, x); }, x)[0];
  });
}

// A mean and its adjoint: each is the gradient of the other.
Tensor avg_pool_backward(const Tensor& dy, const PoolArgs& args);
Tensor avg_pool(const Tensor& x, const PoolArgs& args) {
  static constexpr Op op{"avg_pool2d", {{[](B b) { return avg_pool_backward(b.grad(), b.context<PoolArgs>()); }}}};
  return call(
      op, args, [&](const Tensor& x) { return raw::avg_pool2d(op.name, args, x); }, x);
}
Tensor avg_pool_backward(const Tensor& dy, const PoolArgs& args) {
  static constexpr Op op{"avg_pool2d_backward", {{[](B b) { return avg_pool(b.grad(), b.context<PoolArgs>()); }}}};
  return call(
      op, args, [&](const Tensor& g) { return raw::avg_pool2d_backward(op.name, args, g); }, dy);
}
Tensor avg_pool(const char* name, int dims, const Tensor& x, const Pool2dOptions& options) {
  if (options.dilation != 1) throw ValueError(fmt::format("{}: dilation got {}; expected 1", name, options.dilation));
  PoolArgs args = make_args(name, dims, x, options);
  return on_plane(x, [&](const Tensor& x) { return avg_pool(x, args); });
}

}  // namespace

Tensor max_pool1d(const Tensor& x, const Pool2dOptions& options) { return max_pool("max_pool1d", 3, x, options); }
Tensor max_pool2d(const Tensor& x, const Pool2dOptions& options) { return max_pool("max_pool2d", 4, x, options); }
Tensor avg_pool1d(const Tensor& x, const Pool2dOptions& options) { return avg_pool("avg_pool1d", 3, x, options); }
Tensor avg_pool2d(const Tensor& x, const Pool2dOptions& options) { return avg_pool("avg_pool2d", 4, x, options); }

// Each pixel becomes a block of scale x scale equal ones.
Tensor upsample_nearest2d(const Tensor& x, int64_t scale) {
  if (x.dim() != 4)
    throw ShapeError(fmt::format("upsample_nearest2d: got {}; expected [batch, channels, h, w]", x.shape().str()));
  if (scale < 1) throw ValueError(fmt::format("upsample_nearest2d: scale got {}; expected at least 1", scale));
  const int64_t n = x.size(0), c = x.size(1), h = x.size(2), w = x.size(3);
  Tensor blocks = expand(reshape(x, {n, c, h, 1, w, 1}), {n, c, h, scale, w, scale});
  return reshape(blocks, {n, c, checked_product("upsample_nearest2d", h, scale), checked_product("upsample_nearest2d", w, scale)});
}

}  // namespace ink
