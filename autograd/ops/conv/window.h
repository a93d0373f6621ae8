// The windows of convolution and pooling, over the last one or two dims: a 1-D one is a 2-D one of height 1.
#pragma once
#include "autograd/ops.h"
#include "tensor/backend/kernels.h"

namespace ink {

struct Plane {
  int64_t h, w;
};
// t [.., .., h, w] or [.., .., w]
inline Plane plane_of(const Tensor& t) { return {t.dim() == 4 ? t.size(2) : 1, t.size(-1)}; }

// Options: ConvOptions or PoolOptions.
template <class Options> WindowArgs window_args(int dims, Plane image, Plane kernel, Plane output, const Options& o) {
  const bool line = dims == 3;
  return {.h = image.h,
          .w = image.w,
          .kh = kernel.h,
          .kw = kernel.w,
          .oh = output.h,
          .ow = output.w,
          .stride_h = line ? 1 : o.stride,
          .stride_w = o.stride,
          .pad_h = line ? 0 : o.padding,
          .pad_w = o.padding,
          .dilation_h = line ? 1 : o.dilation,
          .dilation_w = o.dilation};
}

// op(x) of x as a plane: [batch, channels, w] as [batch, channels, 1, w].
template <class F> Tensor on_plane(const Tensor& x, F op) {
  return x.dim() == 3 ? squeeze(op(unsqueeze(x, 2)), 2) : op(x);
}

}  // namespace ink
