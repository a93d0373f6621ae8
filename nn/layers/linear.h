// The affine map y = x W^T + b.
#pragma once
#include "nn/module.h"

namespace ink {

struct LinearOptions {
  bool bias = true;
};

// x [..., in] -> [..., out]. weight [out, in] is Kaiming uniform with a = sqrt(5), bias uniform in +-1/sqrt(in), as
// torch's. ValueError for sizes below 1.
struct Linear : Module {
  Param weight, bias;
  Linear(int64_t in, int64_t out, const LinearOptions& options = {});
  Tensor forward(const Tensor& x) const;
  void fields(Fields& f) override { f("weight", weight)("bias", bias); }
};

}  // namespace ink
