// Initial values of parameters.
#include "nn/init.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink::init {

namespace {
struct Fans {
  double in, out;
};
Fans fans(const char* op, const Shape& shape) {
  if (shape.size() < 2) throw ShapeError(fmt::format("{}: needs at least 2 dims; got {}", op, shape.str()));
  double field = 1;
  for (int d = 2; d < shape.size(); ++d) field *= double(shape[d]);
  return {double(shape[1]) * field, double(shape[0]) * field};
}

thread_local bool skipped = false;
}  // namespace

Skip::Skip() : before_(std::exchange(skipped, true)) {}
Skip::~Skip() { skipped = before_; }

Tensor uniform(const Shape& shape, double low, double high, Generator* generator) {
  NoGrad guard;
  if (skipped) return empty(shape);
  return low + (high - low) * rand(shape, {}, generator);
}
Tensor normal(const Shape& shape, double std, double mean, Generator* generator) {
  NoGrad guard;
  if (skipped) return empty(shape);
  return mean + std * randn(shape, {}, generator);
}
Tensor kaiming_uniform(const Shape& shape, double a, Generator* generator) {
  double bound = std::sqrt(6 / ((1 + a * a) * fans("kaiming_uniform", shape).in));
  return uniform(shape, -bound, bound, generator);
}
Tensor kaiming_normal(const Shape& shape, double a, Generator* generator) {
  return normal(shape, std::sqrt(2 / ((1 + a * a) * fans("kaiming_normal", shape).in)), 0, generator);
}
Tensor xavier_uniform(const Shape& shape, double gain, Generator* generator) {
  Fans f = fans("xavier_uniform", shape);
  double bound = gain * std::sqrt(6 / (f.in + f.out));
  return uniform(shape, -bound, bound, generator);
}
Tensor xavier_normal(const Shape& shape, double gain, Generator* generator) {
  Fans f = fans("xavier_normal", shape);
  return normal(shape, gain * std::sqrt(2 / (f.in + f.out)), 0, generator);
}
Tensor trunc_normal(const Shape& shape, double std, double mean, Generator* generator) {
  NoGrad guard;
  if (skipped) return empty(shape);
  double edge = std::erf(2 / std::sqrt(2.));  // Phi(2) - Phi(-2)
  Tensor u = edge * (2 * rand(shape, f64, generator) - 1);
  return (mean + std * std::sqrt(2.) * erfinv(u)).to(f32);
}
Tensor orthogonal(const Shape& shape, double gain, Generator* generator) {
  NoGrad guard;
  fans("orthogonal", shape);
  if (skipped) return empty(shape);
  int64_t rows = shape[0], cols = shape.numel() / (rows > 0 ? rows : 1);
  Tensor a = randn({rows > cols ? rows : cols, rows > cols ? cols : rows}, {}, generator);
  auto [q, r] = qr(a);
  q = q * sign(diagonal(r));  // makes the factorisation unique, and Q uniform over the orthogonal matrices
  return (gain * reshape(contiguous(rows > cols ? q : q.t()), shape));
}

}  // namespace ink::init
