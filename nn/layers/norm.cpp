// Normalisation layers: over channels, groups, features, and over batches with running statistics.
#include "nn/layers/norm.h"

#include <fmt/format.h>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "tensor/raw/raw.h"

namespace ink {

LayerNorm::LayerNorm(int64_t dim, double eps) : weight(ones({dim})), bias(zeros({dim})), eps(eps) {}
Tensor LayerNorm::forward(const Tensor& x) const { return layer_norm(x, weight, bias, eps); }

RMSNorm::RMSNorm(int64_t dim, double eps) : weight(ones({dim})), eps(eps) {}
Tensor RMSNorm::forward(const Tensor& x) const { return rms_norm(x, weight, eps); }

GroupNorm::GroupNorm(int64_t groups, int64_t channels, double eps)
    : groups(groups), weight(ones({channels})), bias(zeros({channels})), eps(eps) {
  if (groups < 1 || channels % groups)
    throw ValueError(
        fmt::format("GroupNorm: channels must divide into groups; got {} channels, {} groups", channels, groups));
}
Tensor GroupNorm::forward(const Tensor& x) const { return group_norm(x, groups, weight, bias, eps); }

BatchNorm::BatchNorm(int64_t channels, double eps, double momentum)
    : weight(ones({channels})),
      bias(zeros({channels})),
      running_mean(zeros({channels})),
      running_var(ones({channels})),
      eps(eps),
      momentum(momentum) {}

void BatchNorm::check_dims(const char* name, const Tensor& x, int low, int high) const {
  if (x.dim() < low || x.dim() > high || x.size(1) != weight.size(0))
    throw ShapeError(fmt::format("{}: wrong input; got {}; expected {} to {} dims with {} channels in dim 1", name,
                                 x.shape().str(), low, high, weight.size(0)));
}
Tensor BatchNorm::forward(const Tensor& input) {
  check_dims("BatchNorm", input, 2, kMaxDims);
  const Tensor x = widened(input);  // variances of halves may be too large for one
  Shape per_channel = Shape::filled(x.dim(), 1);
  per_channel[1] = x.size(1);
  Dims others;
  for (int d = 0; d < x.dim(); ++d)
    if (d != 1) others.push_back(d);
  Tensor mean, var;
  if (is_training()) {
    int64_t n = x.numel() / (x.size(1) > 0 ? x.size(1) : 1);
    if (n < 2)
      throw ShapeError(
          fmt::format("BatchNorm: training needs more than one value per channel; got {}", x.shape().str()));
    std::tie(var, mean) = var_mean(x, others, 0);
    NoGrad guard;
    running_mean = lerp(running_mean, mean.detach().to(running_mean.dtype()), momentum);
    running_var = lerp(running_var, (var.detach() * (double(n) / double(n - 1))).to(running_var.dtype()), momentum);
  } else {
    mean = running_mean;
    var = running_var;
  }
  Tensor scale = weight * rsqrt(var + eps);
  const Tensor y = x * reshape(scale, per_channel) + reshape(bias - mean * scale, per_channel);
  return ink::to(y, promote(input.dtype(), weight.dtype()));
}
Tensor BatchNorm1d::forward(const Tensor& x) {
  check_dims("BatchNorm1d", x, 2, 3);
  return BatchNorm::forward(x);
}
Tensor BatchNorm2d::forward(const Tensor& x) {
  check_dims("BatchNorm2d", x, 4, 4);
  return BatchNorm::forward(x);
}

}  // namespace ink
