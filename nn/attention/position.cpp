// Sinusoidal positions and rotation by positions.
#include "nn/attention/position.h"

#include <fmt/format.h>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink {

namespace {
// [.., time, dim / 2]: position times frequency, for positions f64 [.., time].
Tensor angles(const Tensor& positions, int64_t dim, double base) {
  NoGrad guard;
  Tensor frequency = pow(Scalar(base), arange(0, dim, 2, {f64, positions.device()}) * (-1.0 / double(dim)));
  return positions.unsqueeze(-1) * frequency;
}
Tensor in_order(int64_t offset, int64_t length, Device device) {
  NoGrad guard;
  return arange(offset, offset + length, 1, {f64, device});
}
void check_even(const char* op, int64_t dim) {
  if (dim < 2 || dim % 2)
    throw ShapeError(fmt::format("{}: the last dim must be even, pairs are rotated; got {}", op, dim));
}
// x with its pairs turned by the angles of f64 positions.
Tensor turned(const Tensor& x, const Tensor& positions, double base) {
  const int64_t dim = x.size(-1);
  check_even("rotary", dim);
  Tensor a = angles(positions, dim, base);
  Tensor c = cos(a).to(x.dtype()), s = sin(a).to(x.dtype());
  Shape pairs = x.shape();
  pairs[x.dim() - 1] = dim / 2;
  pairs.push_back(2);
  Tensor p = reshape(x, pairs), even = select(p, -1, 0), odd = select(p, -1, 1);
  return reshape(stack({even * c - odd * s, even * s + odd * c}, -1), x.shape());
}
}  // namespace

Tensor sinusoidal_positions(int64_t length, int64_t dim, double base) {
  check_even("sinusoidal_positions", dim);
  Tensor a = angles(in_order(0, length, {}), dim, base);
  return reshape(stack({sin(a), cos(a)}, -1), {length, dim}).to(f32);
}

Tensor rotary(const Tensor& x, int64_t offset, double base) {
  if (x.dim() < 2) throw ShapeError(fmt::format("rotary: needs [..., time, dim]; got {}", x.shape().str()));
  return turned(x, in_order(offset, x.size(-2), x.device()), base);
}
Tensor rotary(const Tensor& x, const Tensor& positions, double base) {
  if (x.dim() < 2 || positions.dim() < 1 || positions.size(-1) != x.size(-2))
    throw ShapeError(fmt::format("rotary: needs x [..., time, dim] and a position a token; got {} and {}",
                                 x.shape().str(), positions.shape().str()));
  return turned(x, positions.to(f64), base);
}

}  // namespace ink
