// Scans, extremes, sorting and sliding windows along a dim: dtypes, allocation, the call of the kernel.
#include "tensor/raw/scan.h"

#include <fmt/format.h>

#include "tensor/raw/operand.h"

namespace ink::raw {

namespace {

Shape with_size(Shape shape, int dim, int64_t n) {
  if (!shape.empty()) shape[dim] = n;
  return shape;
}

// Outputs of x's dtype as computed, with n elements in dim; run(values, indices, in, lines) fills them.
template <class F> Pair pair_along(const Tensor& x, int dim, int64_t n, F run) {
  Tensor in = contiguous_in(x, compute_type(x.dtype()));
  Shape shape = with_size(x.shape(), dim, n);
  Tensor values = empty(shape, in.options()), indices = empty(shape, {i64, x.device()});
  if (values.numel() > 0) run(values.raw_data(), index_data(indices), in, lines_of(x.shape(), dim));
  return {cast(values, x.dtype()), indices};
}

}  // namespace

Tensor scan(const char* op, ScanOp kind, const Tensor& x, int dim, bool reverse) {
  bool log = kind == ScanOp::logsumexp;
  check_domain(op, x.dtype(), log ? unsigned(kOrdered) : unsigned(kAny));
  Tensor in = contiguous_in(x, is_integral(x.dtype()) ? (log ? f32 : i64) : compute_type(x.dtype()));
  Tensor out = empty(x.shape(), in.options());
  if (out.numel() > 0)
    kernels_of(x).scan(kind, in.dtype(), out.raw_data(), nullptr, in.raw_data(), lines_of(x.shape(), dim), reverse);
  return is_half(x.dtype()) ? cast(out, x.dtype()) : out;
}

Pair cummax(const Tensor& x, int dim) {
  check_domain("cummax", x.dtype(), kOrdered);
  return pair_along(x, dim, x.dim() ? x.shape()[dim] : 1, [&](void* v, int64_t* i, const Tensor& in, Lines lines) {
    kernels_of(x).scan(ScanOp::max, in.dtype(), v, i, in.raw_data(), lines, false);
  });
}

Pair arg_reduce(const char* op, bool max, const Tensor& x, int dim) {
  check_domain(op, x.dtype(), kOrdered);
  if (x.dim() && x.shape()[dim] == 0)
    throw ShapeError(fmt::format("{}: nothing to reduce in dim {}; got shape {}; expected at least one element", op,
                                 dim, x.shape().str()));
  Tensor in = contiguous(x);
  Shape shape = with_size(x.shape(), dim, 1);
  Tensor values = empty(shape, x.options()), indices = empty(shape, {i64, x.device()});
  if (values.numel() > 0)
    kernels_of(x).arg_reduce(max, array(values), array(indices), array(in), lines_of(x.shape(), dim));
  return {values, indices};
}

Pair sort(const Tensor& x, int dim, bool descending) {
  check_domain("sort", x.dtype(), kOrdered);
  return pair_along(x, dim, x.dim() ? x.shape()[dim] : 1, [&](void* v, int64_t* i, const Tensor& in, Lines lines) {
    kernels_of(x).sort(in.dtype(), v, i, in.raw_data(), lines, descending);
  });
}

Pair topk(const Tensor& x, int64_t k, int dim, bool largest) {
  check_domain("topk", x.dtype(), kOrdered);
  int64_t n = x.dim() ? x.shape()[dim] : 1;
  if (k < (x.dim() ? 0 : 1) || k > n)
    throw ValueError(fmt::format("topk: k out of range; got {}; expected at most {}, the size of dim {}", k, n, dim));
  return pair_along(x, dim, k, [&](void* v, int64_t* i, const Tensor& in, Lines lines) {
    kernels_of(x).topk(in.dtype(), v, i, in.raw_data(), lines, k, largest);
  });
}

Pair window_max(const Tensor& x, int64_t window, int dim) {
  check_domain("sliding_window_max", x.dtype(), kReal);
  int64_t n = x.dim() ? x.shape()[dim] : 1;
  if (window < 1 || window > n)
    throw ValueError(fmt::format(
        "sliding_window_max: window out of range; got {}; expected 1 to {}, the size of dim {}", window, n, dim));
  Tensor y = is_integral(x.dtype()) ? cast(x, f64) : x;  // exact up to 2^53
  if (x.dtype() == i64 && x.numel() > 0)
    for (double extreme : {reduce<fn::Min>("min", y).item(), reduce<fn::Max>("max", y).item()})
      if (extreme < -0x1p53 || extreme > 0x1p53)
        throw ValueError(fmt::format("sliding_window_max: an integer beyond 2^53; got {}", extreme));
  Pair p = pair_along(y, dim, n - window + 1, [&](void* v, int64_t* i, const Tensor& in, Lines lines) {
    kernels_of(x).window_max(in.dtype(), v, i, in.raw_data(), lines, window);
  });
  return {cast(p[0], x.dtype()), p[1]};
}

}  // namespace ink::raw
