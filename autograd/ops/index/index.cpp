// Reading and writing along one dim at positions given by an index tensor. Reading and adding are each other's
// gradient: gather and scatter_add, index_select and index_add.
#include <fmt/format.h>

#include "autograd/observe/cost.h"
#include "autograd/ops.h"
#include "tensor/raw/index.h"

namespace ink {

using B = const Backward&;

namespace {

struct DimContext {
  int dim;
};
int dim_of(B b) { return b.context<DimContext>().dim; }
// One addition for each element that is written.
double flops_of_source(const Call& c) { return double(c.in(2).numel()); }

// What is written into x: in x's dtype.
Tensor as_source(const char* op, const Tensor& x, const Tensor& source) {
  raw::common_device(op, {&x, &source});
  if (domain_of(source.dtype()) > domain_of(x.dtype()))
    throw DTypeError(fmt::format("{}: the source does not fit the tensor; got {} into {}", op, name_of(source.dtype()),
                                 name_of(x.dtype())));
  return to(source, x.dtype());
}
// The part of source that an index reads from: source may be larger than the index, or one number.
Tensor source_part(const char* op, const Tensor& source, const Shape& index) {
  if (source.shape() == index) return source;
  if (source.dim() == 0) return expand(source, index);
  bool fits = source.dim() == index.size();
  for (int d = 0; fits && d < index.size(); ++d) fits = index[d] <= source.shape()[d];
  if (!fits)
    throw ShapeError(fmt::format("{}: the source does not fit; got {}; expected at least the index's shape {}", op,
                                 source.shape().str(), index.str()));
  Tensor part = source;
  for (int d = 0; d < index.size(); ++d) part = slice(part, d, 0, index[d]);
  return part;
}
Tensor checked(const char* op, const Tensor& x, int dim, const Tensor& index) {
  raw::common_device(op, {&x, &index});
  return raw::checked_index({op, x.dim() ? x.shape()[dim] : 1, true}, index);
}

// A 0-dim tensor as one element along a dim.
Tensor as_line(const Tensor& x) { return x.dim() == 0 ? reshape(x, {1}) : x; }

}  // namespace

static Tensor gather_rule(B b) {
  return scatter_add(zeros(b.in_shape(0), b.grad().options()), dim_of(b), b.in(1), b.grad());
}
Tensor gather(const Tensor& x, int64_t dim, const Tensor& index) {
  if (x.dim() + index.dim() == 1) return reshape(gather(as_line(x), dim, as_line(index)), index.shape());
  static constexpr Op op{.name = "gather", .rules = {{gather_rule, kIn1}}};
  int d = wrap_dim("gather", dim, x.dim());
  Tensor i = checked("gather", x, d, index);
  return call(
      op, DimContext{d}, [&](const Tensor& x, const Tensor& i) { return raw::gather("gather", x, d, i); }, x, i);
}
Tensor take_along_dim(const Tensor& x, const Tensor& index, int64_t dim) {
  if (x.dim() != index.dim())
    throw ShapeError(fmt::format("take_along_dim: index and tensor need as many dims; got {} and {}",
                                 index.shape().str(), x.shape().str()));
  if (x.dim() == 0) return gather(x, dim, index);
  int d = wrap_dim("take_along_dim", dim, x.dim());
  Shape a = x.shape(), i = index.shape();
  a[d] = i[d] = 1;  // along dim, sizes need not agree
  Shape common = broadcast_shapes("take_along_dim", a, i), from = common, at = common;
  from[d] = x.shape()[d];
  at[d] = index.shape()[d];
  return gather(expand(x, from), d, expand(index, at));
}

Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  static constexpr Op op{
      .name = "scatter_add",
      .rules = {{[](B b) { return b.grad(); }}, {}, {[](B b) { return gather(b.grad(), dim_of(b), b.in(1)); }, kIn1}},
      .flops = flops_of_source};
  int d = wrap_dim("scatter_add", dim, x.dim());
  Tensor i = checked("scatter_add", x, d, index);
  Tensor from = source_part("scatter_add", as_source("scatter_add", x, source), i.shape());
  return call(
      op, DimContext{d},
      [&](const Tensor& x, const Tensor& i, const Tensor& s) { return raw::scatter("scatter_add", x, d, i, s, true); },
      x, i, from);
}

// True where an index is the last to write its position: number the writes, write the numbers, and see which survive.
static Tensor survives(const Shape& shape, int dim, const Tensor& index) {
  Tensor number = reshape(arange(0, index.numel(), 1, {i64, index.device()}), index.shape());
  Tensor written = raw::scatter("scatter", raw::zeros(shape, number.options()), dim, index, number, false);
  return eq(raw::gather("scatter", written, dim, index), number);
}
static Tensor source_of_scatter_rule(B b) {
  Tensor g = gather(b.grad(), dim_of(b), b.in(1));
  return where(survives(b.grad().shape(), dim_of(b), b.in(1)), g, zeros_like(g));
}
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  static constexpr Op op{
      .name = "scatter",
      .rules = {{[](B b) { return scatter(b.grad(), dim_of(b), b.in(1), zeros({}, b.grad().options())); }, kIn1},
                {},
                {source_of_scatter_rule, kIn1}}};
  int d = wrap_dim("scatter", dim, x.dim());
  Tensor i = checked("scatter", x, d, index);
  Tensor from = source_part("scatter", as_source("scatter", x, source), i.shape());
  return call(
      op, DimContext{d},
      [&](const Tensor& x, const Tensor& i, const Tensor& s) { return raw::scatter("scatter", x, d, i, s, false); }, x,
      i, from);
}

static int row_dim(const char* op, const Tensor& x, int64_t dim, const Tensor& index) {
  if (index.dim() > 1 || (x.dim() == 0 && index.numel() != 1))
    throw ShapeError(fmt::format("{}: takes a 1-D index, of one element for a 0-dim tensor; got {} and {}", op,
                                 index.shape().str(), x.shape().str()));
  return wrap_dim(op, dim, x.dim());
}
Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index) {
  static constexpr Op op{
      .name = "index_select",
      .rules = {{[](B b) { return index_add(zeros(b.in_shape(0), b.grad().options()), dim_of(b), b.in(1), b.grad()); },
                 kIn1}}};
  int d = row_dim("index_select", x, dim, index);
  if (x.dim() == 0 || index.dim() == 0) {
    Tensor y = index_select(as_line(x), d, as_line(index));
    return x.dim() == 0 ? reshape(y, {}) : y;
  }
  Tensor i = checked("index_select", x, d, index);
  return call(
      op, DimContext{d}, [&](const Tensor& x, const Tensor& i) { return raw::index_select(x, d, i); }, x, i);
}
Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  static constexpr Op op{.name = "index_add",
                         .rules = {{[](B b) { return b.grad(); }},
                                   {},
                                   {[](B b) { return index_select(b.grad(), dim_of(b), b.in(1)); }, kIn1}},
                         .flops = flops_of_source};
  int d = row_dim("index_add", x, dim, index);
  if (x.dim() == 0 || index.dim() == 0)
    return reshape(index_add(as_line(x), d, as_line(index), as_line(source)), x.shape());
  Tensor i = checked("index_add", x, d, index);
  return call(
      op, DimContext{d}, [&](const Tensor& x, const Tensor& i, const Tensor& s) { return raw::index_add(x, d, i, s); },
      x, i, as_source("index_add", x, source));
}
Tensor embedding(const Tensor& weight, const Tensor& index) {
  if (weight.dim() != 2) throw ShapeError(fmt::format("embedding: weight is [rows, d]; got {}", weight.shape().str()));
  Shape shape = index.shape();
  shape.push_back(weight.shape()[1]);
  return reshape(index_select(weight, 0, reshape(index, {index.numel()})), shape);
}

Tensor masked_select(const Tensor& x, const Tensor& mask) {
  raw::common_device("masked_select", {&x, &mask});
  raw::check_domain("masked_select", mask.dtype(), kBool);
  Shape shape = broadcast_shapes("masked_select", x.shape(), mask.shape());
  return index_select(reshape(expand(x, shape), {shape.numel()}), 0, raw::true_positions(raw::expand(mask, shape)));
}
Tensor nonzero(const Tensor& x) {
  NoGrad guard;
  Tensor flat = raw::true_positions(x.dtype() == boolean ? x : ne(x, 0));
  Tensor out = raw::empty({flat.numel(), x.dim()}, flat.options());
  for (int d = x.dim() - 1; d >= 0; --d) {  // the last dim counts fastest
    int64_t n = x.shape()[d] > 0 ? x.shape()[d] : 1;
    raw::copy_into(select(out, 1, d), remainder(flat, n));
    flat = floor_divide(flat, n);
  }
  return out;
}

// Binary search, for all values at once: `at` counts the elements known to stand before the value, and grows by halving
// steps.
Tensor searchsorted(const Tensor& sorted, const Tensor& values, bool right) {
  NoGrad guard;
  bool shared = sorted.dim() == 1;
  Shape a = sorted.shape(), v = values.shape();
  if (!a.empty()) a.pop_back();
  if (!v.empty()) v.pop_back();
  if (sorted.dim() == 0 || !(shared || (values.dim() > 0 && a == v)))
    throw ShapeError(fmt::format(
        "searchsorted: the values do not fit; got {} for sorted {}; expected equal shapes but for the last dim, or "
        "1-D sorted",
        values.shape().str(), sorted.shape().str()));
  int64_t n = sorted.size(-1), rows = shared ? 1 : a.numel(), k = rows ? values.numel() / rows : 0;
  Tensor line = reshape(sorted, {rows, n}), x = reshape(values, {rows, k}),
         at = zeros({rows, k}, {i64, values.device()});
  int64_t step = 1;
  while (step <= n / 2) step *= 2;
  for (; n > 0 && step > 0; step /= 2) {
    Tensor probe = at + step;
    Tensor e = gather(line, 1, clamp(probe, {}, n) - 1);
    Tensor before =
        right ? logical_or(e <= x, isnan(x)) : logical_or(e < x, logical_and(isnan(x), logical_not(isnan(e))));
    at = ink::where(logical_and(probe <= n, before), probe, at);
  }
  return reshape(at, values.shape());
}

}  // namespace ink
