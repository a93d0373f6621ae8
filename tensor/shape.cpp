#include "tensor/shape.h"

#include <fmt/format.h>

#include "tensor/error.h"

namespace ink {

void throw_too_many_dims(int64_t n) {
  throw ShapeError(fmt::format("shape: too many dims; got {}; expected at most {}", n, kMaxDims));
}

std::string Shape::str() const { return fmt::format("[{}]", fmt::join(begin(), end(), ", ")); }

Shape contiguous_strides(const Shape& shape) {
  Shape strides = shape;
  int64_t step = 1;
  for (int i = shape.size() - 1; i >= 0; --i) {
    strides[i] = step;
    step *= shape[i] > 1 ? shape[i] : 1;
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
      throw ShapeError(fmt::format("{}: shapes do not broadcast; got {} and {}; expected equal sizes or 1 in dim {}", op, a.str(),
                                   b.str(), i + shift));
    out[i + shift] = x == 1 ? y : x;
  }
  return out;
}

int wrap_dim(const char* op, int64_t dim, int ndim) {
  int64_t n = ndim > 0 ? ndim : 1;
  if (dim < -n || dim >= n)
    throw IndexError(fmt::format("{}: dim out of range; got {}; expected a dim in [{}, {}] for {} dims", op, dim, -n, n - 1, ndim));
  return int(dim < 0 ? dim + n : dim);
}

}  // namespace ink
