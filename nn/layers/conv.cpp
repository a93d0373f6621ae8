// How convolution layers make their weights.
#include "nn/layers/conv.h"

#include <fmt/format.h>

#include <cmath>

#include "nn/init.h"

namespace ink {

namespace {
Tensor make_weight(const ConvOptions& o, int space, bool transposed) {
  if (o.in < 1 || o.out < 1 || o.kernel < 1 || o.groups < 1 || o.in % o.groups || o.out % o.groups)
    throw ValueError(
        fmt::format("convolution layer: bad sizes; got in {}, out {}, kernel {}, groups {}; expected positive sizes, "
                    "channels divisible "
                    "by groups",
                    o.in, o.out, o.kernel, o.groups));
  Shape shape = transposed ? Shape{o.in, o.out / o.groups} : Shape{o.out, o.in / o.groups};
  for (int i = 0; i < space; ++i) shape.push_back(o.kernel);
  return init::kaiming_uniform(shape);
}
Tensor make_bias(const ConvOptions& o, const Tensor& weight) {
  if (!o.bias) return {};
  double fan_in = double(weight.numel()) / double(weight.size(0)), bound = 1 / std::sqrt(fan_in);
  return init::uniform({o.out}, -bound, bound);
}
}  // namespace

Conv1d::Conv1d(const ConvOptions& o) : options(o), weight(make_weight(o, 1, false)), bias(make_bias(o, weight)) {}
Conv2d::Conv2d(const ConvOptions& o) : options(o), weight(make_weight(o, 2, false)), bias(make_bias(o, weight)) {}
ConvTranspose1d::ConvTranspose1d(const ConvOptions& o)
    : options(o), weight(make_weight(o, 1, true)), bias(make_bias(o, weight)) {}
ConvTranspose2d::ConvTranspose2d(const ConvOptions& o)
    : options(o), weight(make_weight(o, 2, true)), bias(make_bias(o, weight)) {}

Tensor Conv1d::forward(const Tensor& x) const { return conv1d(x, weight, bias, options); }
Tensor Conv2d::forward(const Tensor& x) const { return conv2d(x, weight, bias, options); }
Tensor ConvTranspose1d::forward(const Tensor& x) const { return conv_transpose1d(x, weight, bias, options); }
Tensor ConvTranspose2d::forward(const Tensor& x) const { return conv_transpose2d(x, weight, bias, options); }

}  // namespace ink
