// Sorting and extremes with their positions. Every value is taken from somewhere, and its gradient goes back there.
#include "autograd/observe/cost.h"
#include "autograd/ops.h"
#include "tensor/raw/scan.h"

namespace ink {

using B = const Backward&;

namespace {

struct DimContext {
  int dim;
};

// Positions are distinct within a line, so writing is enough.
Tensor to_source(B b) {
  return scatter(zeros(b.in_shape(0), b.grad().options()), b.context<DimContext>().dim, b.out(1), b.grad());
}
std::tuple<Tensor, Tensor> unpack(const raw::Pair& p) { return {p[0], p[1]}; }

Tensor drop(const Tensor& x, int dim, bool keepdim) { return keepdim || x.dim() == 0 ? x : squeeze(x, dim); }

std::tuple<Tensor, Tensor> extreme(const Op& op, bool largest, const Tensor& x, int64_t dim, bool keepdim) {
  int d = wrap_dim(op.name, dim, x.dim());
  raw::Pair p = call(
      op, DimContext{d}, [&](const Tensor& x) { return raw::arg_reduce(op.name, largest, x, d); }, x);
  return {drop(p[0], d, keepdim), drop(p[1], d, keepdim)};
}

}  // namespace

// Comparisons are not counted as operations: how many there are is the kernel's business.
std::tuple<Tensor, Tensor> sort(const Tensor& x, int64_t dim, bool descending) {
  static constexpr Op op{.name = "sort", .rules = {{to_source, kOut1}}};
  int d = wrap_dim("sort", dim, x.dim());
  return unpack(call(
      op, DimContext{d}, [&](const Tensor& x) { return raw::sort(x, d, descending); }, x));
}
Tensor argsort(const Tensor& x, int64_t dim, bool descending) {
  return raw::sort(x, wrap_dim("argsort", dim, x.dim()), descending)[1];
}
std::tuple<Tensor, Tensor> topk(const Tensor& x, int64_t k, int64_t dim, bool largest) {
  static constexpr Op op{.name = "topk", .rules = {{to_source, kOut1}}};
  int d = wrap_dim("topk", dim, x.dim());
  return unpack(call(
      op, DimContext{d}, [&](const Tensor& x) { return raw::topk(x, k, d, largest); }, x));
}
std::tuple<Tensor, Tensor> max_with_indices(const Tensor& x, int64_t dim, bool keepdim) {
  static constexpr Op op{.name = "max", .rules = {{to_source, kOut1}}, .flops = flops_per_input<1>};
  return extreme(op, true, x, dim, keepdim);
}
std::tuple<Tensor, Tensor> min_with_indices(const Tensor& x, int64_t dim, bool keepdim) {
  static constexpr Op op{.name = "min", .rules = {{to_source, kOut1}}, .flops = flops_per_input<1>};
  return extreme(op, false, x, dim, keepdim);
}
static Tensor place_of_extreme(const char* name, bool largest, const Tensor& x, std::optional<int64_t> dim,
                               bool keepdim) {
  NoGrad guard;
  if (!dim) {
    Tensor place = select(raw::arg_reduce(name, largest, flatten(x), 0)[1], 0, 0);
    return keepdim ? place.reshape(Shape::filled(x.dim(), 1)) : place;
  }
  int d = wrap_dim(name, *dim, x.dim());
  return drop(raw::arg_reduce(name, largest, x, d)[1], d, keepdim);
}
Tensor argmax(const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
  return place_of_extreme("argmax", true, x, dim, keepdim);
}
Tensor argmin(const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
  return place_of_extreme("argmin", false, x, dim, keepdim);
}

}  // namespace ink
