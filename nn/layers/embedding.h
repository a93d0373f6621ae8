// A table of vectors looked up by index.
#pragma once
#include "nn/module.h"

namespace ink {

struct Embedding : Module {  // index [...] -> [..., dim]; weight starts standard normal
  Param weight;
  Embedding(int64_t rows, int64_t dim);
  Tensor forward(const Tensor& index) const;
  void fields(Fields& f) override { f("weight", weight); }
};

}  // namespace ink
