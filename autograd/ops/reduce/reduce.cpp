// Reductions. A gradient of a reduction is spread back over the dims that were reduced: it is reshaped to keep them
// with size 1, and broadcasts from there.
#include <fmt/format.h>

#include <limits>

#include "autograd/observe/cost.h"
#include "autograd/ops/halves.h"
#include "autograd/ops/reduce/reduced.h"
#include "tensor/capture.h"

namespace ink {

using B = const Backward&;

namespace {

// x with the reduced dims moved to the end and flattened into one.
Tensor flat_reduced(const Tensor& x, const Reduced& r) {
  Shape shape = squeezed_shape(r);
  shape.push_back(count_of(r));
  return reshape(permute(x, reduced_last(r)), shape);
}

}  // namespace

Tensor sum(const Tensor& x, const Dims& dims, bool keepdim) {
  static constexpr Op op{.name = "sum",
                         .rules = {{[](B b) { return spread(b.grad(), b.context<Reduced>()); }}},
                         .cast = Cast::raise,
                         .flops = flops_per_input<1>};
  return call(
      op, reduced("sum", x, dims), [&](const Tensor& x) { return raw::reduce<fn::Sum>("sum", x, dims, keepdim); }, x);
}
Tensor mean(const Tensor& x, const Dims& dims, bool keepdim) {
  raw::check_domain("mean", x.dtype(), kField);
  const double count = double(count_of(reduced("mean", x, dims)));
  return in_f32_if_half([&](const Tensor& x) { return sum(x, dims, keepdim) / count; }, x);
}
Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  static constexpr Op op{.name = "sum_to",
                         .rules = {{[](B b) { return expand(b.grad(), b.in_shape(0)); }}},
                         .flops = flops_per_input<1>};
  return call(
      op, NoContext{}, [&](const Tensor& x) { return raw::alias(raw::sum_to(x, shape)); }, x);
}

// d prod / d x_i is the product of the others: from both sides by running products, so that zeros need no special case.
static Tensor products_of_others(const Tensor& x) {  // along the last dim
  int64_t n = x.size(-1);
  Tensor one = ones_like(slice(x, -1, 0, 1));
  Tensor left = cumprod(cat({one, slice(x, -1, 0, n - 1)}, -1), -1);
  Tensor right = flip(cumprod(cat({one, flip(slice(x, -1, 1, n), -1)}, -1), -1), -1);
  return left * right;
}
static Tensor prod_rule(B b) {
  const Reduced& r = b.context<Reduced>();
  if (count_of(r) == 0) return zeros_like(b.in(0));
  Tensor others = products_of_others(flat_reduced(b.in(0), r));
  // back to x's order of dims
  Shape moved, inverse = Shape::filled(r.shape.size(), 0);
  int at = 0;
  for (uint32_t wanted : {0u, 1u})
    for (int d = 0; d < r.shape.size(); ++d)
      if ((r.mask >> d & 1) == wanted) {
        moved.push_back(r.shape[d]);
        inverse[d] = at++;
      }
  return spread(b.grad(), r) * conj(permute(reshape(others, moved), inverse));
}
Tensor prod(const Tensor& x, const Dims& dims, bool keepdim) {
  static constexpr Op op{
      .name = "prod", .rules = {{prod_rule, kIn0 | kWide}}, .cast = Cast::raise, .flops = flops_per_input<1>};
  return call(
      op, reduced("prod", x, dims), [&](const Tensor& x) { return raw::reduce<fn::Prod>("prod", x, dims, keepdim); },
      x);
}

// The maximum over several dims; its gradient goes to the first one in row-major order.
static Tensor extreme(const char* name, const Tensor& x, const Dims& dims, bool keepdim, bool largest) {
  Reduced r = reduced(name, x, dims);
  if (count_of(r) == 0)
    throw ShapeError(
        fmt::format("{}: nothing to reduce; got shape {}; expected at least one element", name, x.shape().str()));
  if (!(grad_enabled() && x.requires_grad()))
    return largest ? raw::reduce<fn::Max>(name, x, dims, keepdim) : raw::reduce<fn::Min>(name, x, dims, keepdim);
  Tensor flat = flat_reduced(x, r);
  Tensor y = std::get<0>(largest ? max_with_indices(flat, -1) : min_with_indices(flat, -1));
  return keepdim ? with_kept_dims(y, r) : y;
}
Tensor max(const Tensor& x, const Dims& dims, bool keepdim) { return extreme("max", x, dims, keepdim, true); }
Tensor min(const Tensor& x, const Dims& dims, bool keepdim) { return extreme("min", x, dims, keepdim, false); }

Tensor count_nonzero(const Tensor& x, const Dims& dims, bool keepdim) {
  return raw::reduce<fn::CountNonzero>("count_nonzero", x, dims, keepdim);
}
Tensor any(const Tensor& x, const Dims& dims, bool keepdim) { return gt(count_nonzero(x, dims, keepdim), 0); }
Tensor all(const Tensor& x, const Dims& dims, bool keepdim) {
  return eq(count_nonzero(x, dims, keepdim), count_of(reduced("all", x, dims)));
}

bool out_of_range(const Tensor& squares) {
  if (squares.numel() == 0 || capture::active()) return false;  // a captured step cannot look at values
  NoGrad guard;
  const double least = min(squares).item(), most = max(squares).item();
  return !(least >= (squares.dtype() == f64 ? 1e-280 : 1e-32) && most <= std::numeric_limits<double>::max());
}
Tensor scale_of(const Tensor& x, const Dims& dims) {
  NoGrad guard;
  const Tensor largest = max(abs(x), dims, true);
  return where(logical_and(largest > 0, isfinite(largest)), largest, ones_like(largest));
}

// |x| along dims, which stay with size 1.
static Tensor euclidean(const Tensor& x, const Dims& dims) {
  Tensor squares = raw::reduce<fn::SumSquares>("norm", x, dims, true), scale;
  if (x.numel() > 0 && out_of_range(squares)) {
    scale = scale_of(x, dims);
    squares = raw::reduce<fn::SumSquares>("norm", x / scale, dims, true);
  }
  raw::unary_into("norm", fn::Sqrt{}, squares);
  return scale.defined() ? squares * scale : squares;
}
// x / |x|, 0 where |x| is 0
static Tensor euclidean_rule(B b) {
  const Reduced& r = b.context<Reduced>();
  Tensor y = with_kept_dims(b.out(), r), zero = y == 0;
  Tensor unit = b.in(0) / where(zero, ones_like(y), y);
  return with_kept_dims(b.grad(), r) * where(zero, zeros_like(unit), unit);
}
static Tensor norm_of_wide(const Tensor& x, const Dims& dims, bool keepdim) {
  static constexpr Op op{
      .name = "norm", .rules = {{euclidean_rule, kIn0 | kOut0}}, .cast = Cast::raise, .flops = flops_per_input<2>};
  raw::check_domain("norm", x.dtype(), kField);
  return call(
      op, reduced("norm", x, dims),
      [&](const Tensor& x) {
        NoGrad guard;
        Tensor y = euclidean(is_complex(x.dtype()) ? raw::unary("norm", fn::Abs{}, x) : x, dims);
        return keepdim ? y : raw::reshape(y, squeezed_shape(reduced("norm", x, dims)));
      },
      x);
}
Tensor norm(const Tensor& x, const Dims& dims, bool keepdim) {
  return in_f32_if_half([&](const Tensor& x) { return norm_of_wide(x, dims, keepdim); }, x);
}

}  // namespace ink
