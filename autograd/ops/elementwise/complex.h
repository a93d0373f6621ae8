// Complex numbers and their parts. c64 has parts in f32, c128 in f64. Gradients follow torch: for a real loss L, grad =
// dL/d(re) + i dL/d(im).
#pragma once
#include "tensor/tensor.h"

namespace ink {

Tensor real(const Tensor& x);   // real, of x's shape; x itself if it is real
Tensor imag(const Tensor& x);   // real, of x's shape; zeros if x is real
Tensor conj(const Tensor& x);   // re - i im; x itself if it is real
Tensor angle(const Tensor& x);  // real, in (-pi, pi]; of real numbers 0 or pi; gradient 0 at 0
// re + i im, and abs e^{i angle}, of the shape that both broadcast to: c128 if one is f64, else c64. DTypeError for
// complex parts.
Tensor complex_of(const Tensor& re, const Tensor& im);
Tensor polar(const Tensor& abs, const Tensor& angle);
// The same memory as pairs of real numbers, [...] -> [..., 2]; DTypeError for real x.
Tensor view_as_real(const Tensor& x);
// Pairs as complex numbers, [..., 2] -> [...]: a view where the pairs lie together, else a copy. ShapeError unless x is
// f32 or f64 with a last dim of 2.
Tensor view_as_complex(const Tensor& x);

}  // namespace ink
