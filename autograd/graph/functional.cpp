// Derivatives as values: vjp, jvp, jacobian, hessian.
#include "autograd/graph/functional.h"

#include "autograd/graph/engine.h"
#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink {

namespace {
Tensor variable(const Tensor& x, bool keep_history) {
  if (keep_history && x.requires_grad()) return x;
  Tensor leaf = x.detach();
  leaf.requires_grad_();
  return leaf;
}
GradOptions options(bool create_graph) { return {create_graph, true, true}; }
Tensor or_zeros(const Tensor& g, const Tensor& like) { return g.defined() ? g : zeros_like(like); }
}  // namespace

Tensor vjp(TensorFn f, const Tensor& x, const Tensor& v, bool create_graph) {
  EnableGrad enable;
  Tensor in = variable(x, create_graph), y = f(in);
  if (!y.requires_grad()) return zeros_like(x);
  return or_zeros(grad(y, in, v, options(create_graph)), x);
}

Tensor jvp(TensorFn f, const Tensor& x, const Tensor& v, bool create_graph) {
  EnableGrad enable;
  Tensor in = variable(x, create_graph), y = f(in);
  if (!y.requires_grad()) return zeros_like(y);
  Tensor u = variable(zeros_like(y), false);
  Tensor g = grad(y, in, u, {true, true, true});  // u^T J, linear in u
  if (!g.defined() || !g.requires_grad()) return zeros_like(y);
  return or_zeros(grad(g, u, v, options(create_graph)), y);
}

Tensor jacobian(TensorFn f, const Tensor& x, bool create_graph) {
  EnableGrad enable;
  Tensor in = variable(x, create_graph), y = f(in);
  Shape shape = y.shape();
  for (int64_t s : x.shape()) shape.push_back(s);
  if (!y.requires_grad() || y.numel() == 0) return zeros(shape, y.options());
  Tensor flat = reshape(y, {y.numel()});
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < y.numel(); ++i)
    rows.push_back(or_zeros(grad(select(flat, 0, i), in, {}, options(create_graph)), x));
  return reshape(stack(rows, 0), shape);
}

Tensor hessian(TensorFn f, const Tensor& x) {
  return jacobian(
             [&](const Tensor& in) {
               Tensor y = f(in);
               if (!y.requires_grad()) return zeros_like(in);
               return or_zeros(grad(y, in, {}, {true, true, true}), in);
             },
             x, true)
      .detach();
}

}  // namespace ink
