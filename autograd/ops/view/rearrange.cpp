// Rearranging and repeating elements: compositions of views, and one copy read from the other end.
#include <fmt/format.h>

#include <algorithm>

#include "autograd/graph/call.h"
#include "autograd/ops.h"
#include "tensor/raw/index.h"
#include "tensor/raw/raw.h"

namespace ink {

using B = const Backward&;

Tensor roll(const Tensor& x, int64_t shift, int64_t dim) {
  int64_t n = x.dim() ? x.size(dim) : 0;
  if (n == 0) return clone(x);
  int64_t s = shift % n < 0 ? shift % n + n : shift % n;
  return cat({slice(x, dim, n - s, n), slice(x, dim, 0, n - s)}, dim);
}
Tensor flip(const Tensor& x, const Dims& dims) {
  static constexpr Op op{.name = "flip", .rules = {{[](B b) { return flip(b.grad(), b.context<Dims>()); }}}};
  uint32_t mask = dims.empty() ? 0 : raw::dim_mask("flip", dims, x.dim());
  return call(
      op, dims,
      [&](const Tensor& x) {
        if (x.numel() == 0) return raw::clone(x);
        Shape strides = x.strides();  // read from the other end
        int64_t offset = x.storage_offset();
        for (int d = 0; d < x.dim(); ++d)
          if (mask >> d & 1) {
            offset += (x.shape()[d] - 1) * strides[d];
            strides[d] = -strides[d];
          }
        return raw::clone(raw::as_strided(x, x.shape(), strides, offset));
      },
      x);
}

static Tensor triangle(const char* op, const Tensor& x) {
  if (x.dim() < 2) throw ShapeError(fmt::format("{}: needs at least 2 dims; got shape {}", op, x.shape().str()));
  return zeros({}, x.options());
}
Tensor tril(const Tensor& x, int64_t diagonal) {
  Tensor zero = triangle("tril", x);
  return where(to(tri(x.size(-2), x.size(-1), diagonal), x.device()), x, zero);
}
Tensor triu(const Tensor& x, int64_t diagonal) {
  Tensor zero = triangle("triu", x);
  return where(to(tri(x.size(-2), x.size(-1), std::max(diagonal, -x.size(-2)) - 1), x.device()), zero, x);
}
Tensor diag(const Tensor& x) {
  if (x.dim() != 1)
    throw ShapeError(fmt::format("diag: takes 1 dim; got shape {}; hint: diagonal() reads the diagonal of a matrix",
                                 x.shape().str()));
  // n zeros after every element: each next one stands one place further right in rows of n
  const int64_t n = x.numel(), area = checked_product("diag", n, n);
  return reshape(slice(reshape(pad(unsqueeze(x, 1), {0, n}), {-1}), 0, 0, area), {n, n});
}

// ---- repeating

// Blocks of `block` elements in memory order, each `times` in a row.
static Tensor repeat_blocks(const Tensor& x, int64_t blocks, int64_t block, int64_t times, const Shape& shape) {
  return reshape(expand(reshape(x, {blocks, 1, block}), {blocks, times, block}), shape);
}
Tensor repeat(const Tensor& x, const Shape& times) {
  if (times.size() < x.dim())
    throw ShapeError(
        fmt::format("repeat: needs a number for every dim; got {} for shape {}", times.str(), x.shape().str()));
  Shape shape = x.shape();
  while (shape.size() < times.size()) shape.insert(0, 1);
  Tensor y = reshape(x, shape);
  for (int d = 0; d < times.size(); ++d) {
    if (times[d] < 0) throw ValueError(fmt::format("repeat: negative number; got {}", times.str()));
    if (times[d] == 1) continue;
    Lines l = raw::lines_of(y.shape(), d);
    shape[d] = checked_product("repeat", shape[d], times[d]);
    y = repeat_blocks(y, l.outer, l.n * l.inner, times[d], shape);
  }
  return y.shares_storage(x) ? clone(y) : y;
}
Tensor repeat_interleave(const Tensor& x, int64_t times, int64_t dim) {
  if (times < 0) throw ValueError(fmt::format("repeat_interleave: negative number; got {}", times));
  if (x.dim() == 0) throw ShapeError("repeat_interleave: needs at least 1 dim; hint: reshape(x, {1})");
  int d = wrap_dim("repeat_interleave", dim, x.dim());
  Lines l = raw::lines_of(x.shape(), d);
  Shape shape = x.shape();
  shape[d] = checked_product("repeat_interleave", shape[d], times);
  Tensor y = repeat_blocks(x, l.outer * l.n, l.inner, times, shape);
  return y.shares_storage(x) ? clone(y) : y;
}

Tensor one_hot(const Tensor& index, int64_t classes) {
  if (index.dtype() != i64 && index.dtype() != i32)
    throw DTypeError(
        fmt::format("one_hot: the index has the wrong dtype; got {}; expected i64 or i32", name_of(index.dtype())));
  Tensor checked = raw::checked_index({"one_hot", classes, false}, index);
  return to(eq(unsqueeze(checked, -1), arange(0, classes, 1, {i64, index.device()})), f32);
}

}  // namespace ink
