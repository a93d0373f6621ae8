// Reading and writing at places given by indices: checks, allocation, the call of the kernel.
#include "tensor/raw/index.h"

#include <fmt/format.h>

#include "tensor/raw/operand.h"

namespace ink::raw {

void throw_bad_index(const IndexCheck& c, int64_t value, int64_t place) {
  const int64_t last = c.n > 0 ? c.n - 1 : -1;
  if (c.ignores)
    throw IndexError(fmt::format("{}: a target is not a class; got {} in row {}; expected 0 .. {} or ignore_index {}",
                                 c.op, value, place, last, c.ignored));
  if (!c.wrap) throw IndexError(fmt::format("{}: class out of range; got {}; expected 0 to {}", c.op, value, last));
  throw IndexError(fmt::format("{}: index out of range; got {}; expected {}", c.op, value,
                               c.n ? fmt::format("{} to {}", -c.n, last) : "none, the dim has no elements"));
}

Tensor checked_index(const IndexCheck& check, const Tensor& index) {
  if (index.dtype() != i64 && index.dtype() != i32)
    throw DTypeError(
        fmt::format("{}: an index has the wrong dtype; got {}; expected i64 or i32", check.op, name_of(index.dtype())));
  Tensor i = contiguous_in(index, i64), out = empty(i.shape(), i.options());
  if (i.numel() == 0) return out;
  const int64_t* from = index_data(i);
  int64_t place = kernels_of(i).check_index(check, index_data(out), from, i.numel());
  if (place >= 0) throw_bad_index(check, from[place], place);
  return out;
}

static void check_inside(const char* op, const Tensor& x, int dim, const Tensor& index) {
  bool fits = x.dim() == index.dim();
  for (int d = 0; fits && d < x.dim(); ++d) fits = d == dim || index.shape()[d] <= x.shape()[d];
  if (!fits)
    throw ShapeError(fmt::format(
        "{}: the index does not fit; got index {} for a tensor {}; expected as many dims, and no larger sizes "
        "except in dim {}",
        op, index.shape().str(), x.shape().str(), dim));
}

Tensor gather(const char* op, const Tensor& x, int dim, const Tensor& checked) {
  check_inside(op, x, dim, checked);
  Tensor out = empty(checked.shape(), x.options());
  if (out.numel() > 0) kernels_of(x).gather(array(out), array(x), array(checked), dim);
  return out;
}

Tensor scatter(const char* op, const Tensor& x, int dim, const Tensor& checked, const Tensor& source, bool add) {
  check_inside(op, x, dim, checked);
  if (add && is_half(x.dtype()))  // many contributions may go to one element: they are added in f32 and rounded once
    return cast(scatter(op, cast(x, f32), dim, checked, cast(source, f32), add), x.dtype());
  Tensor out = clone(x);
  if (checked.numel() > 0) kernels_of(x).scatter(array(out), array(source), array(checked), dim, add);
  return out;
}

Tensor index_select(const Tensor& x, int dim, const Tensor& checked) {
  int64_t k = checked.numel();
  Shape shape = x.shape();
  shape[dim] = k;
  if (!x.is_contiguous()) {  // reads the rows where they are, instead of copying all of x first
    Shape strides = Shape::filled(shape.size(), 0);
    strides[dim] = 1;
    return gather("index_select", x, dim, as_strided(checked, shape, strides, checked.storage_offset()));
  }
  Tensor out = empty(shape, x.options());
  if (out.numel() > 0)
    kernels_of(x).index_select(out.raw_data(), x.raw_data(), index_data(checked), k, lines_of(x.shape(), dim),
                               size_of(x.dtype()));
  return out;
}

Tensor index_add(const Tensor& x, int dim, const Tensor& checked, const Tensor& source) {
  Shape wanted = x.shape();
  wanted[dim] = checked.numel();
  if (!(source.shape() == wanted))
    throw ShapeError(
        fmt::format("index_add: the source does not fit; got {}; expected {}", source.shape().str(), wanted.str()));
  if (is_half(x.dtype())) return cast(index_add(cast(x, f32), dim, checked, cast(source, f32)), x.dtype());
  Tensor out = clone(x), from = contiguous(source);
  if (from.numel() > 0)
    kernels_of(x).index_add(x.dtype(), out.raw_data(), from.raw_data(), index_data(checked), checked.numel(),
                            lines_of(x.shape(), dim));
  return out;
}

Tensor true_positions(const Tensor& mask) {
  check_domain("nonzero", mask.dtype(), kBool);
  Tensor m = contiguous(mask);
  auto flags = static_cast<const bool*>(m.raw_data());
  int64_t count = m.numel() ? kernels_of(m).nonzero(flags, m.numel(), nullptr) : 0;
  Tensor out = empty({count}, {i64, m.device()});
  if (count > 0) kernels_of(m).nonzero(flags, m.numel(), index_data(out));
  return out;
}

}  // namespace ink::raw
