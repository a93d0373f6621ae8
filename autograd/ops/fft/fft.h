// Fourier transforms of any length along one dim, F_k = sum_j x_j e^{-2 pi i j k / n}; the inverse has the other sign
// and the factor 1 / n. O(n log n) for every n. f32 (and f16, bf16, integers) give c64, f64 gives c128.
//
// x is cut or padded with zeros to n along `dim`; n = -1 takes x's size. ShapeError for x without dims, ValueError for
// n < 1, IndexError for a dim that is not there.
#pragma once
#include "tensor/tensor.h"

namespace ink {

Tensor fft(const Tensor& x, int64_t n = -1, int64_t dim = -1);   // real or complex -> complex, n along dim
Tensor ifft(const Tensor& x, int64_t n = -1, int64_t dim = -1);  // the same, inverse
// Of a real signal the first half, n / 2 + 1 complex numbers along dim: the rest are their conjugates. DTypeError for
// complex x.
Tensor rfft(const Tensor& x, int64_t n = -1, int64_t dim = -1);
// From that half the real signal, n along dim; n = -1 takes 2 (size - 1).
Tensor irfft(const Tensor& x, int64_t n = -1, int64_t dim = -1);

// y_t = sum over j <= t of kernel_j u_{t-j}: u [.., n], kernel [.., taps] of any taps >= 1, those beyond n do not
// count; dims in front broadcast -> [.., n]. By FFTs: O(n log n). A later u changes an earlier y by rounding only. Real
// and complex; halves are computed in f32. ShapeError for operands without dims or a kernel without taps, DTypeError
// for integers.
Tensor causal_convolution(const Tensor& u, const Tensor& kernel);

}  // namespace ink
