// Sinusoidal positions and rotation by positions.
#include "nn/attention/position.h"

#include <fmt/format.h>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink {

namespace {
// [length, dim / 2]: position times frequency.
Tensor angles(int64_t offset, int64_t length, int64_t dim, double base, Device device) {
  NoGrad guard;
  Tensor frequency = pow(Scalar(base), arange(0, dim, 2, {f64, device}) * (-1.0 / double(dim)));
  return outer(arange(offset, offset + length, 1, {f64, device}), frequency);
}
void check_even(const char* op, int64_t dim) {
  if (dim < 2 || dim % 2)
    throw ShapeError(fmt::format("{}: the last dim must be even, pairs are rotated; got {}", op, dim));
}
}  // namespace

Tensor sinusoidal_positions(int64_t length, int64_t dim, double base) {
  check_even("sinusoidal_positions", dim);
  Tensor a = angles(0, length, dim, base, {});
  return reshape(stack({sin(a), cos(a)}, -1), {length, dim}).to(f32);
}

Tensor rotary(const Tensor& x, int64_t offset, double base) {
  if (x.dim() < 2) throw ShapeError(fmt::format("rotary: needs [..., time, dim]; got {}", x.shape().str()));
  int64_t time = x.size(-2), dim = x.size(-1);
  check_even("rotary", dim);
  Tensor a = angles(offset, time, dim, base, x.device());
  Tensor c = cos(a).to(x.dtype()), s = sin(a).to(x.dtype());
  Shape pairs = x.shape();
  pairs[x.dim() - 1] = dim / 2;
  pairs.push_back(2);
  Tensor p = reshape(x, pairs), even = select(p, -1, 0), odd = select(p, -1, 1);
  return reshape(stack({even * c - odd * s, even * s + odd * c}, -1), x.shape());
}

}  // namespace ink
