// The graph of a small expression as a picture: what each op made, of which shape, with its value and its gradient.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace ink::lesson {

struct NamedTensor {
  std::string name;
  Tensor value;
};

// Runs `loss`, a function of the named tensors that returns one number, and backward through it. SVG by Graphviz, `dot
// -Tsvg`: named tensors blue, other leaves grey, ops white; every box holds name, shape, value and, after "grad", the
// gradient of the loss. Tensors of more than eight numbers are shown by their range. Without the program dot the
// picture says so. Gradients of the tensors themselves are not touched.
std::string graph_picture(const std::function<Tensor()>& loss, const std::vector<NamedTensor>& names);
// The same as text for Graphviz.
std::string graph_dot(const std::function<Tensor()>& loss, const std::vector<NamedTensor>& names);

}  // namespace ink::lesson
