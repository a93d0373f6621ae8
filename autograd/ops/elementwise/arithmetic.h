// Elementwise ops of two or three operands, comparisons and logic.
//
// Shapes broadcast: counted from the last dim, sizes are equal or one of them is 1 or missing; else ShapeError. Tensors
// of different dtypes are computed in the dtype that both promote to; a number, or a tensor without dims, raises the
// kind of the other at most (bool < integer < float < complex), never its size. Tensors on different devices are a
// DeviceError.
#pragma once
#include "tensor/tensor.h"

namespace ink {

// ---- arithmetic: all dtypes. Of two bools, add is "or", mul is "and", and sub a DTypeError
Tensor add(const Tensor& a, const Tensor& b, const Scalar& alpha = 1);  // a + alpha b
Tensor add(const Tensor& a, const Scalar& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Scalar& b);
Tensor sub(const Scalar& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Scalar& b);
Tensor div(const Tensor& a, const Tensor& b);  // true division: integers give f32
Tensor div(const Tensor& a, const Scalar& b);
Tensor div(const Scalar& a, const Tensor& b);
// The quotient rounded down, and what is left of a, with b's sign: a = b floor_divide(a, b) + remainder(a, b). Integers
// stay integers, and division by 0 is then a ValueError; complex is a DTypeError. floor_divide has no gradient.
Tensor floor_divide(const Tensor& a, const Tensor& b);
Tensor floor_divide(const Tensor& a, const Scalar& b);
Tensor remainder(const Tensor& a, const Tensor& b);
Tensor remainder(const Tensor& a, const Scalar& b);
// a^b. Integers stay integers (ValueError for a negative integer exponent as a number). The gradient to the exponent is
// 0 where the base is 0.
Tensor pow(const Tensor& a, const Tensor& b);
Tensor pow(const Tensor& a, const Scalar& b);
Tensor pow(const Scalar& a, const Tensor& b);
Tensor atan2(const Tensor& y,
             const Tensor& x);  // the angle of (x, y), in (-pi, pi]; DTypeError for complex; gradient 0 at (0, 0)
// NaN propagates; at a tie each side gets half the gradient. DTypeError for complex.
Tensor maximum(const Tensor& a, const Tensor& b);
Tensor minimum(const Tensor& a, const Tensor& b);
// a + weight (b - a), exact at the weights 0 and 1.
Tensor lerp(const Tensor& a, const Tensor& b, const Tensor& weight);
Tensor lerp(const Tensor& a, const Tensor& b, double weight);

// ---- choice
// a where the condition holds, else b; all three broadcast. DTypeError unless the condition is bool.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
// x, but `value` where the mask (bool, broadcast with x) holds; x's dtype. DTypeError if the number is of a higher kind
// than x.
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Scalar& value);

// ---- comparisons and logic: bool (no gradient). Order is not defined for complex numbers: DTypeError. A number is
// compared as it is: a tensor of integers with 2.5, one of u8 with 300
Tensor eq(const Tensor& a, const Tensor& b);
Tensor eq(const Tensor& a, const Scalar& b);
Tensor ne(const Tensor& a, const Tensor& b);
Tensor ne(const Tensor& a, const Scalar& b);
Tensor lt(const Tensor& a, const Tensor& b);
Tensor lt(const Tensor& a, const Scalar& b);
Tensor le(const Tensor& a, const Tensor& b);
Tensor le(const Tensor& a, const Scalar& b);
Tensor gt(const Tensor& a, const Tensor& b);
Tensor gt(const Tensor& a, const Scalar& b);
Tensor ge(const Tensor& a, const Tensor& b);
Tensor ge(const Tensor& a, const Scalar& b);
Tensor logical_and(const Tensor& a, const Tensor& b);  // a number counts as true unless it is 0
Tensor logical_or(const Tensor& a, const Tensor& b);
Tensor logical_xor(const Tensor& a, const Tensor& b);
// Have both the same shape and elements? NaN equals nothing.
bool equal(const Tensor& a, const Tensor& b);
// Is |a - b| <= atol + rtol |b| everywhere, or a and b the same infinity (or, with equal_nan, both NaN)? a and b
// broadcast.
bool allclose(const Tensor& a, const Tensor& b, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false);

}  // namespace ink
