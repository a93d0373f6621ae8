// Layers without parameters, for Sequential: each calls the op of its name.
#pragma once
#include "autograd/ops.h"
#include "nn/module.h"

namespace ink {

struct Identity : Module {
  Tensor forward(const Tensor& x) const { return x; }
};
struct Relu : Module {
  Tensor forward(const Tensor& x) const { return relu(x); }
};
struct LeakyRelu : Module {
  double slope = 0.01;
  explicit LeakyRelu(double slope = 0.01) : slope(slope) {}
  Tensor forward(const Tensor& x) const { return leaky_relu(x, slope); }
};
struct Elu : Module {
  double alpha = 1;
  explicit Elu(double alpha = 1) : alpha(alpha) {}
  Tensor forward(const Tensor& x) const { return elu(x, alpha); }
};
struct Gelu : Module {
  GeluForm form;
  explicit Gelu(GeluForm form = GeluForm::erf) : form(form) {}
  Tensor forward(const Tensor& x) const { return gelu(x, form); }
};
struct Silu : Module {
  Tensor forward(const Tensor& x) const { return silu(x); }
};
struct Tanh : Module {
  Tensor forward(const Tensor& x) const { return tanh(x); }
};
struct Sigmoid : Module {
  Tensor forward(const Tensor& x) const { return sigmoid(x); }
};
struct Softplus : Module {
  Tensor forward(const Tensor& x) const { return softplus(x); }
};
struct Flatten : Module {
  Tensor forward(const Tensor& x) const { return flatten(x, 1); }
};
struct MaxPool2d : Module {
  PoolOptions options;
  explicit MaxPool2d(const PoolOptions& options) : options(options) {}
  Tensor forward(const Tensor& x) const { return max_pool2d(x, options); }
};
struct AvgPool2d : Module {
  PoolOptions options;
  explicit AvgPool2d(const PoolOptions& options) : options(options) {}
  Tensor forward(const Tensor& x) const { return avg_pool2d(x, options); }
};
// Zeroes a share p of the values while training and scales the rest by 1 / (1 - p); Srivastava et al. 2014.
struct Dropout : Module {
  double p;
  explicit Dropout(double p = 0.5) : p(p) {}
  Tensor forward(const Tensor& x) const { return dropout(x, p, is_training()); }
};

}  // namespace ink
