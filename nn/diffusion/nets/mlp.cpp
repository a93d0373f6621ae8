// Features of the point and of the noise level side by side, then hidden layers.
#include "nn/diffusion/nets/mlp.h"

#include <fmt/format.h>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink::diffusion {
namespace {

Tensor point_activation(PointActivation a, const Tensor& x) {
  switch (a) {
    case PointActivation::silu:
      return silu(x);
    case PointActivation::gelu:
      return gelu(x);
    case PointActivation::softplus:
      return softplus(x);
  }
  throw ValueError("PointNet: no such activation");
}
const PointNetOptions& checked_point_options(const PointNetOptions& o) {
  constexpr int64_t kMost = int64_t(1) << 24;  // of each size: their products fit
  if (o.dim < 1 || o.dim > kMost || o.out < 0 || o.out > kMost || o.width < 1 || o.width > kMost || o.hidden < 1 ||
      o.hidden > kMost || o.classes < 0)
    throw ValueError(
        fmt::format("PointNet: bad sizes; got dim {}, out {}, width {}, hidden {}, classes {}; expected "
                    "positive sizes (out and classes: 0 or more)",
                    o.dim, o.out, o.width, o.hidden, o.classes));
  if (o.noise.features < 0 || o.noise.features > kMost || o.noise.features % 2 || o.coordinate_features < 0 ||
      o.coordinate_features > kMost || o.coordinate_features % 2)
    throw ValueError(fmt::format("PointNet: got {} features of the noise and {} of a coordinate; expected even numbers",
                                 o.noise.features, o.coordinate_features));
  return o;
}
int64_t point_inputs(const PointNetOptions& o) {
  return o.dim * (o.coordinate_features > 0 ? o.coordinate_features : 1) + o.noise.features;
}

}  // namespace

PointNet::PointNet(const PointNetOptions& o)
    : options(checked_point_options(o)), out(o.width, o.out > 0 ? o.out : o.dim) {
  for (int64_t i = 0; i < o.hidden; ++i) hidden.emplace_back(i == 0 ? point_inputs(o) : o.width, o.width);
  if (o.classes > 0) classes.emplace_back(o.classes, o.width, o.label_dropout);
  NoGrad guard;
  out.weight.zero_(), out.bias.zero_();
}

Tensor PointNet::forward(const Tensor& x, const Tensor& noise, const Tensor& label) const {
  if (x.dim() != 2 || x.size(1) != options.dim)
    throw ShapeError(fmt::format("PointNet: wrong input; got {}; expected [batch, {}]", x.shape().str(), options.dim));
  if (label.defined() && classes.empty())
    throw ValueError("PointNet: got labels, but the net knows no classes; hint: options.classes");
  const int64_t batch = x.size(0);
  Tensor y = x;
  if (options.coordinate_features > 0) {
    const SinusoidalOptions o{.features = options.coordinate_features, .scale = options.coordinate_scale};
    y = reshape(sinusoidal_embedding(x, o).to(x.dtype()), {batch, options.dim * o.features});
  }
  if (options.noise.features > 0) {
    if (!noise.defined()) throw ValueError("PointNet: got no noise level; hint: options.noise.features = 0 for none");
    y = cat({y, sinusoidal_embedding(noise_of_batch("PointNet", noise, batch), options.noise).to(x.dtype())}, 1);
  }
  for (size_t i = 0; i < hidden.size(); ++i) {
    Tensor h = hidden[i].forward(y);
    if (i == 0 && !classes.empty()) h = h + classes[0].forward(label, batch);
    h = point_activation(options.activation, h);
    y = i > 0 && options.residual ? y + h : h;
  }
  return out.forward(y);
}

}  // namespace ink::diffusion
