// Conversions between the outputs: one 2 x 2 system.
#include "nn/diffusion/output.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/ops.h"

namespace ink::diffusion {
namespace {

// scale * value = p x_0 + q eps
struct Combination {
  double p, q, scale = 1;
};
Combination combination(const Process& process, double t, Output output) {
  switch (output) {
    case Output::denoised:
      return {1, 0};
    case Output::noise:
      return {0, 1};
    case Output::score:
      return {0, -1, process.b(t)};
    case Output::v:
      return {-process.b(t), process.a(t)};
    case Output::velocity:
      return {process.da(t), process.db(t)};
  }
  throw ValueError(fmt::format("conversion: no such output; got {}", int(output)));
}

}  // namespace

const char* output_name(Output output) {
  constexpr const char* names[] = {"denoised", "noise", "score", "v", "velocity"};
  return names[size_t(output)];
}

// From x = a x_0 + b eps and y = p x_0 + q eps:  x_0 = (q x - b y) / det,  eps = (a y - p x) / det,  det = a q - b p.
Conversion conversion(const Process& process, double t, Output from, Output to) {
  const double a = process.a(t), b = process.b(t);
  const Combination y = combination(process, t, from), z = combination(process, t, to);
  if (from == to) return {};
  const double det = a * y.q - b * y.p;
  const Conversion c{(z.p * y.q - z.q * y.p) / det / z.scale, (a * z.q - b * z.p) / det * y.scale / z.scale};  // (2.7)
  if (!std::isfinite(c.of_x) || !std::isfinite(c.of_value))
    throw ValueError(fmt::format("convert: at t = {} (a = {:.3g}, b = {:.3g}) {} does not follow from {}", t, a, b,
                                 output_name(to), output_name(from)));
  return c;
}

Tensor convert(const Process& process, const Tensor& value, Output from, Output to, const Tensor& x, const Tensor& t) {
  if (!(value.shape() == x.shape()))
    throw ShapeError(
        fmt::format("convert: value and x must have one shape; got {} and {}", value.shape().str(), x.shape().str()));
  const Tensor of_x = per_sample([&](double s) { return conversion(process, s, from, to).of_x; }, t, x),
               of_value = per_sample([&](double s) { return conversion(process, s, from, to).of_value; }, t, value);
  return ink::to(of_x * x + of_value * value, value.dtype());
}

double denoised_error(const Process& process, double t, Output output) {
  const double factor = conversion(process, t, output, Output::denoised).of_value;
  return factor * factor;
}

}  // namespace ink::diffusion
