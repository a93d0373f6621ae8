// The conjugate transpose over the last two dims; a plain transpose (a view) for real tensors.
#pragma once
#include "autograd/ops.h"

namespace ink {

inline Tensor adjoint(const Tensor& x) { return conj(transpose(x, -2, -1)); }

}  // namespace ink
