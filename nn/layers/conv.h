// Convolution layers. Sizes: out = (in + 2 padding - dilation (kernel - 1) - 1) / stride + 1; the transposed layers invert
// that relation. Weights and biases start as torch's do.
#pragma once
#include "nn/module.h"

namespace ink {

struct ConvOptions {
  int64_t in, out, kernel;
  int64_t stride = 1, padding = 0, dilation = 1, groups = 1;
  int64_t output_padding = 0;  // transposed layers only
  bool bias = true;
};

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
