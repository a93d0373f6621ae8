// What layers of a linear, time-invariant system share: y = K * u, the convolution of the input with the response to an
// impulse, and ways to compute it.
#pragma once
#include <cstdint>

#include "tensor/tensor.h"

namespace ink {

// How a layer with a linear, time-invariant state computes a sequence. All agree to rounding.
enum class SsmForm {
  convolution,  // with the kernel, by FFT: O(n log n) for n steps, no state in memory
  recurrent,    // step by step
  scan,         // all states by linear_recurrence (autograd/recurrence.h); for a diagonal state only
};

// x^0, x^1, .., x^{n-1} along a new last dim, [..] -> [.., n], real or complex, by repeated doubling: no logarithm, so
// 0 and negative numbers are as good as others.
Tensor powers(const Tensor& x, int64_t n);

// K_t = the real part of sum over i of weight_i x_i^t, t = 0 .. n - 1: the response of modes that decay, a product with
// a Vandermonde matrix. weight, x [.., modes], real or complex -> [.., n] real. With t = s r + q the matrix is a
// product of x^{s r} and x^q, s about sqrt(n): O(modes sqrt(n)) powers, and O(modes n) multiplications in one product
// of matrices; the whole matrix is never stored.
Tensor mode_sum(const Tensor& weight, const Tensor& x, int64_t n);

}  // namespace ink
