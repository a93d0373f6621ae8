// Convolution layers: conv1d and its kin (autograd/ops.h, where ConvOptions is) with a weight and a bias that start as
// torch's do. ValueError if in, out, kernel or groups are not positive, or groups does not divide the channels.
#pragma once
#include "autograd/ops.h"
#include "nn/module.h"

namespace ink {

struct Conv1d : Module {  // [batch, in, length] -> [batch, out, length']
  ConvOptions options;
  Param weight, bias;
  Conv1d(const ConvOptions& options);
  Tensor forward(const Tensor& x) const;
  void fields(Fields& f) override { f("weight", weight)("bias", bias); }
};
struct Conv2d : Module {  // [batch, in, h, w] -> [batch, out, h', w']
  ConvOptions options;
  Param weight, bias;
  Conv2d(const ConvOptions& options);
  Tensor forward(const Tensor& x) const;
  void fields(Fields& f) override { f("weight", weight)("bias", bias); }
};
struct ConvTranspose1d : Module {
  ConvOptions options;
  Param weight, bias;
  ConvTranspose1d(const ConvOptions& options);
  Tensor forward(const Tensor& x) const;
  void fields(Fields& f) override { f("weight", weight)("bias", bias); }
};
struct ConvTranspose2d : Module {
  ConvOptions options;
  Param weight, bias;
  ConvTranspose2d(const ConvOptions& options);
  Tensor forward(const Tensor& x) const;
  void fields(Fields& f) override { f("weight", weight)("bias", bias); }
};

}  // namespace ink
