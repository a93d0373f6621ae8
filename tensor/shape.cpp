// Shapes: checked counts, broadcasting, strides, text.
#include "tensor/shape.h"

#include <fmt/format.h>

#include "tensor/error.h"

namespace ink {

void throw_too_many_dims(int64_t n) {
  throw ShapeError(fmt::format("shape: too many dims; got {}; expected at most {}", n, kMaxDims));
}

std::string Shape::str() const { return fmt::format("[{}]", fmt::join(begin(), end(), ", ")); }

int64_t checked_sum(const char* op, int64_t a, int64_t b) {
  int64_t y;
  if (__builtin_add_overflow(a, b, &y))
    throw ShapeError(fmt::format("{}: a size is too large; got {} + {}; expected a sum that an i64 holds", op, a, b));
  return y;
}
int64_t checked_product(const char* op, int64_t a, int64_t b) {
  int64_t y;
  if (__builtin_mul_overflow(a, b, &y))
    throw ShapeError(
        fmt::format("{}: a size is too large; got {} times {}; expected a product that an i64 holds", op, a, b));
  return y;
}
bool count_elements(const char* op, const Shape& shape, int64_t& n) {
  bool fits = true, none = false;
  n = 1;
  for (int64_t s : shape) {
    if (s < 0) throw ShapeError(fmt::format("{}: negative size; got {}", op, shape.str()));
    none = none || s == 0;
    fits = fits && !__builtin_mul_overflow(n, s, &n);
  }
  if (none) n = 0;
  return fits || none;
}
int64_t checked_numel(const char* op, const Shape& shape) {
  int64_t n;
  if (!count_elements(op, shape, n))
    throw ShapeError(fmt::format("{}: more elements than an i64 can count; got {}", op, shape.str()));
  return n;
}

Shape contiguous_strides(const Shape& shape) {
  Shape strides = shape;
  int64_t step = 1;
  for (int i = shape.size() - 1; i >= 0; --i) {
    strides[i] = step;
    // Of a shape without elements the strides are never used; there the product may wrap, as unsigned numbers do.
    step = int64_t(uint64_t(step) * uint64_t(shape[i] > 1 ? shape[i] : 1));
  }
  return strides;
}

Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape out = longer;
  int shift = longer.size() - shorter.size();
  for (int i = 0; i < shorter.size(); ++i) {
    int64_t x = longer[i + shift], y = shorter[i];
    if (x != y && x != 1 && y != 1)
      throw ShapeError(fmt::format("{}: shapes do not broadcast; got {} and {}; expected equal sizes or 1 in dim {}",
                                   op, a.str(), b.str(), i + shift));
    out[i + shift] = x == 1 ? y : x;
  }
  return out;
}

int wrap_dim(const char* op, int64_t dim, int ndim) {
  int64_t n = ndim > 0 ? ndim : 1;
  if (dim < -n || dim >= n)
    throw IndexError(
        fmt::format("{}: dim out of range; got {}; expected a dim in [{}, {}] for {} dims", op, dim, -n, n - 1, ndim));
  return int(dim < 0 ? dim + n : dim);
}

}  // namespace ink
