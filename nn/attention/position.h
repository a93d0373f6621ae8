// Telling positions apart.
#pragma once
#include "tensor/tensor.h"

namespace ink {

// [length, dim]: sin(p / base^(2i/dim)) in even columns, cos in odd ones; Vaswani et al. 2017, section 3.5.
Tensor sinusoidal_positions(int64_t length, int64_t dim, double base = 10000);

// Rotates each pair (x_2i, x_2i+1) of x [..., time, dim] by the angle (p + offset) base^(-2i/dim), so that q.k depends
// on the distance of their positions only; Su et al. 2021, eq. 34. ShapeError for an odd dim.
Tensor rotary(const Tensor& x, int64_t offset = 0, double base = 10000);
// The same by positions of one's own, i64 [time], or [batch, 1, time] for one list a sample.
Tensor rotary(const Tensor& x, const Tensor& positions, double base = 10000);

}  // namespace ink
