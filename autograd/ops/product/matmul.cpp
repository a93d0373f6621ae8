// Matrix products. With Y = A B the rules are dA = dY B^H and dB = A^H dY (conj() is free for real tensors).
#include <fmt/format.h>

#include "autograd/observe/cost.h"
#include "autograd/ops.h"
#include "autograd/ops/linalg/adjoint.h"
#include "tensor/raw/product.h"

namespace ink {

using B = const Backward&;

namespace {

Tensor rows(const Tensor& x) { return reshape(x, {-1, x.size(-1)}); }  // [..., m, n] -> [batch m, n]
Tensor columns(const Tensor& x) {                                      // [..., m, n] -> [m, batch n]
  return reshape(movedim(x, -2, 0), {x.size(-2), -1});
}
bool empty_batch(const Tensor& x) { return x.numel() == 0; }  // a size of -1 cannot be inferred then

// The gradient of one matrix that was used for a whole batch is one product over all rows (or columns) of the batch,
// instead of a product per entry and a sum.
Tensor left_gradient(const Tensor& g, const Tensor& right, const Shape& left) {
  bool shared = left.size() == 2 && right.dim() > 2 && !empty_batch(g) && !empty_batch(right);
  if (shared) return matmul(columns(g), adjoint(columns(right)));
  return matmul(g, adjoint(right));
}
Tensor right_gradient(const Tensor& g, const Tensor& left, const Shape& right) {
  bool shared = right.size() == 2 && left.dim() > 2 && !empty_batch(g) && !empty_batch(left);
  if (shared) return matmul(adjoint(rows(left)), rows(g));
  return matmul(adjoint(left), g);
}

// A sum over the inner dim for each output; a bias is one addition each.
double product_flops(const Call& c) {
  const double outputs = double(c.out().numel()), bias = c.num_inputs > 2 && c.in(2).defined() ? outputs : 0;
  return multiply_adds(c.out().dtype(), outputs * double(c.in(0).size(-1))) + bias;
}
struct Factors {  // of addmm
  double beta, alpha;
};
// The product, its multiplication with alpha, and beta c added to it, as far as the factors ask for that.
double addmm_flops(const Call& c) {
  const auto [beta, alpha] = c.context<Factors>();
  const int more = (alpha != 1) + (beta != 0) + (beta != 0 && beta != 1);
  return multiply_adds(c.out().dtype(), double(c.out().numel()) * double(c.in(1).size(-1))) +
         more * double(c.out().numel());
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  static constexpr Op op{.name = "matmul",
                         .rules = {{[](B b) { return left_gradient(b.grad(), b.in(1), b.in_shape(0)); }, kIn1},
                                   {[](B b) { return right_gradient(b.grad(), b.in(0), b.in_shape(1)); }, kIn0}},
                         .cast = Cast::lower,
                         .flops = product_flops};
  if (a.dim() == 0 || b.dim() == 0)
    throw ShapeError(
        fmt::format("matmul: an operand has no dims; got {} and {}; expected at least one dim each; hint: use mul",
                    a.shape().str(), b.shape().str()));
  if (a.dim() == 1) {  // a row, dropped again from the result
    if (b.dim() == 1 && a.size(0) != b.size(0))
      throw ShapeError(
          fmt::format("matmul: vectors of different sizes; got {} and {}", a.shape().str(), b.shape().str()));
    return squeeze(matmul(unsqueeze(a, 0), b), b.dim() == 1 ? 0 : -2);
  }
  if (b.dim() == 1) return squeeze(matmul(a, unsqueeze(b, 1)), -1);
  return call(
      op, NoContext{}, [](const Tensor& x, const Tensor& y) { return raw::matmul("matmul", x, y); }, a, b);
}

Tensor bmm(const Tensor& a, const Tensor& b) {
  if (a.dim() != 3 || b.dim() != 3 || a.size(0) != b.size(0))
    throw ShapeError(fmt::format(
        "bmm: shapes do not fit; got {} and {}; expected [batch, m, k] and [batch, k, n]; hint: matmul broadcasts",
        a.shape().str(), b.shape().str()));
  return matmul(a, b);
}

Tensor addmm(const Tensor& c, const Tensor& a, const Tensor& b, double beta, double alpha) {
  static constexpr Op op{
      .name = "addmm",
      .rules = {{[](B b) { return b.grad() * b.context<Factors>().beta; }},
                {[](B b) { return matmul(b.grad(), adjoint(b.in(2))) * b.context<Factors>().alpha; }, kIn2},
                {[](B b) { return matmul(adjoint(b.in(1)), b.grad()) * b.context<Factors>().alpha; }, kIn1}},
      .cast = Cast::lower,
      .flops = addmm_flops};
  auto forward = [&](const Tensor& z, const Tensor& x, const Tensor& y) {
    return raw::addmm("addmm", z, x, y, beta, alpha);
  };
  return call(op, Factors{beta, alpha}, forward, c, a, b);
}

static Tensor linear_weight_rule(B b) {
  Tensor g = b.grad(), x = b.in(0);
  if (x.numel() == 0 || g.numel() == 0) return zeros(b.in_shape(1), g.options());
  return matmul(transpose(rows(g), 0, 1), conj(rows(x)));
}
// Y = X W^T + b over the flattened rows of X; the engine sums the gradient of b over the rows.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  static constexpr Op op{.name = "linear",
                         .rules = {{[](B b) { return matmul(b.grad(), conj(b.in(1))); }, kIn1},
                                   {linear_weight_rule, kIn0},
                                   {[](B b) { return b.grad(); }}},
                         .cast = Cast::lower,
                         .flops = product_flops};
  auto forward = [](const Tensor& x, const Tensor& w, const Tensor& b) { return raw::linear("linear", x, w, b); };
  return call(op, NoContext{}, forward, x, weight, bias);
}

Tensor outer(const Tensor& a, const Tensor& b) {
  if (a.dim() != 1 || b.dim() != 1)
    throw ShapeError(fmt::format("outer: expected two vectors; got {} and {}", a.shape().str(), b.shape().str()));
  return unsqueeze(a, 1) * unsqueeze(b, 0);
}

Tensor dot(const Tensor& a, const Tensor& b) {
  if (a.dim() != 1 || b.dim() != 1 || a.size(0) != b.size(0))
    throw ShapeError(
        fmt::format("dot: expected two vectors of one size; got {} and {}", a.shape().str(), b.shape().str()));
  return matmul(a, b);
}

}  // namespace ink
