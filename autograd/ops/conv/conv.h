// Convolution, pooling and upsampling over the last one or two dims. Floating point dtypes (DTypeError else), which
// results keep; operands promote to one dtype. f16 and bf16 are summed in f32.
#pragma once
#include "tensor/tensor.h"

namespace ink {

// Of convolutions in one or two dims, as ops and as layers. A layer makes its weight and bias from the fields that are
// marked; the ops read those off their operands.
struct ConvOptions {
  int64_t in = 0, out = 0;     // channels; layers only
  int64_t kernel = 0;          // side of the kernel; layers only
  int64_t stride = 1;          // distance of the kernel's places
  int64_t padding = 0;         // zeros on both sides of the input
  int64_t dilation = 1;        // distance of the kernel's elements
  int64_t groups = 1;          // channels are cut into so many groups, each convolved by itself
  int64_t output_padding = 0;  // of a transposed one: so much longer at the end; less than stride or dilation
  bool bias = true;            // layers only
};
// y[b, o, p] = bias[o] + sum over c, r of x[b, c, p stride - padding + r dilation] weight[o, c, r], and the same over
// planes.
//   conv1d: x [batch, in, n],    weight [out, in / groups, k],      bias [out] or none -> [batch, out, m]
//   conv2d: x [batch, in, h, w], weight [out, in / groups, kh, kw], bias [out] or none -> [batch, out, h', w']
// with m = (n + 2 padding - dilation (k - 1) - 1) / stride + 1, rounded down. ShapeError for another number of dims,
// channels or a bias that do not fit, or a kernel that is larger than the padded input; ValueError for options below 1
// (padding: below 0) or 2^31 and above, and for output_padding.
Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const ConvOptions& options = {});
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const ConvOptions& options = {});
// The adjoint of the convolution with that weight, plus the bias: each x adds a copy of its kernel to the output.
//   conv_transpose1d: x [batch, in, n],    weight [in, out / groups, k]      -> [batch, out, m]
//   conv_transpose2d: x [batch, in, h, w], weight [in, out / groups, kh, kw] -> [batch, out, h', w']
// with m = (n - 1) stride - 2 padding + dilation (k - 1) + 1 + output_padding. Errors as above; ShapeError if nothing
// is left of the output, ValueError for an output_padding that is not less than stride or dilation.
Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvOptions& options = {});
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvOptions& options = {});

struct PoolOptions {              // in one or two dims, as ops and as layers
  int64_t kernel = 2;             // the window's size, in each of the dims
  int64_t stride = 0;             // distance of windows; 0: kernel
  int64_t padding = 0;            // on both sides, at most half the kernel; never a maximum
  int64_t dilation = 1;           // distance of a window's elements; for maxima only
  bool count_include_pad = true;  // does padding count when a mean divides?
};
// The maximum, or the mean, of each window:
//   1d: x [batch, channels, n]    -> [batch, channels, m]
//   2d: x [batch, channels, h, w] -> [batch, channels, h', w']
// with m = (n + 2 padding - dilation (kernel - 1) - 1) / stride + 1, rounded down. The gradient of a maximum goes to
// the window's first. NaN counts as the largest. ShapeError for another number of dims, a window larger than the padded
// input, or one over padding only; ValueError for sizes below 1 or 2^31 and above, a padding above half the kernel, and
// for a mean with dilation.
Tensor max_pool1d(const Tensor& x, const PoolOptions& options);
Tensor max_pool2d(const Tensor& x, const PoolOptions& options);
Tensor avg_pool1d(const Tensor& x, const PoolOptions& options);
Tensor avg_pool2d(const Tensor& x, const PoolOptions& options);
// Each pixel as a block of scale x scale: [batch, channels, h, w] -> [batch, channels, scale h, scale w], any dtype.
// ShapeError for another number of dims, ValueError for scale < 1.
Tensor upsample_nearest2d(const Tensor& x, int64_t scale);

}  // namespace ink
