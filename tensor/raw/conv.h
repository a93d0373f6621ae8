// Convolution, pooling and Fourier transforms of the graph-free layer. f16 and bf16 are computed in f32 and rounded
// once.
#pragma once
#include <array>

#include "tensor/raw/raw.h"

namespace ink::raw {

// A 2-D convolution y = x * w and its two adjoints. Shapes as in ConvArgs, checked by the caller; args.dtype is filled
// in.
Tensor conv2d(const char* op, ConvArgs args, const Tensor& x, const Tensor& weight, const Tensor& bias);
Tensor conv2d_backward_input(const char* op, ConvArgs args, const Tensor& dy, const Tensor& weight);
Tensor conv2d_backward_weight(const char* op, ConvArgs args, const Tensor& dy, const Tensor& x);

// x [batch, channels, h, w] -> {maxima, i64 positions within the plane} [batch, channels, oh, ow].
std::array<Tensor, 2> max_pool2d(const char* op, PoolArgs args, const Tensor& x);
Tensor avg_pool2d(const char* op, PoolArgs args, const Tensor& x);
Tensor avg_pool2d_backward(const char* op, PoolArgs args, const Tensor& dy);

// scale * sum_j x_j e^(-+ 2 pi i j k / n) along `dim` (+ when inverse), for complex x.
Tensor dft(const char* op, const Tensor& x, int dim, bool inverse, double scale);

// The transform of n real numbers along `dim`, of which the first n / 2 + 1 entries are kept, and from those the n real
// numbers: parts of entries that are their own partner count as real. f32 and f64, c64 and c128.
Tensor dft_of_real(const char* op, const Tensor& x, int dim, double scale);
Tensor dft_to_real(const char* op, const Tensor& x, int dim, int64_t n, double scale);

// How often each of the n / 2 + 1 entries counts in a transform of n real numbers: 2, for it and its conjugate, but 1
// for entries that are their own partner, the first and (n even) the last.
Tensor partners(int64_t n, const Options& options);

// A causal convolution of rows or one of its adjoints: operands and result as FftConvolutionArgs says, checked by the
// caller; args.dtype is filled in.
Tensor fft_convolution(const char* op, FftConvolutionArgs args, const Tensor& a, const Tensor& b);

}  // namespace ink::raw
