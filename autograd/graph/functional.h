// Derivatives of functions, built on grad().
#pragma once
#include "autograd/observe/gradcheck.h"

namespace ink {

using TensorFn = FunctionRef<Tensor(const Tensor&)>;

// v^T J at x: [shape of x] for v of f's output shape.
Tensor vjp(TensorFn f, const Tensor& x, const Tensor& v, bool create_graph = false);
// J v at x, by differentiating the vjp with respect to its v (two reverse passes).
Tensor jvp(TensorFn f, const Tensor& x, const Tensor& v, bool create_graph = false);
// J at x: [output shape..., input shape...].
Tensor jacobian(TensorFn f, const Tensor& x, bool create_graph = false);
// Second derivatives of a one-element f at x: [shape..., shape...].
Tensor hessian(TensorFn f, const Tensor& x);

}  // namespace ink
