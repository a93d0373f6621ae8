// The graph behind a tensor as Graphviz text: `dot -Tsvg`.
#pragma once
#include <string>

#include "tensor/tensor.h"

namespace ink {

// Ops are boxes, leaves ellipses labelled with their shape; saved tensors are noted in the box.
std::string graphviz(const Tensor& output);

}  // namespace ink
