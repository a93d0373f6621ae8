#include "nn/sequential.h"

namespace ink {

Sequential::Layer::~Layer() = default;

Tensor Sequential::forward(const Tensor& x) {
  Tensor y = x;
  for (const Any<Layer>& layer : layers_) y = layer->forward(y);
  return y;
}

void Sequential::fields(Fields& f) {
  for (size_t i = 0; i < layers_.size(); ++i) layers_[i]->name(f, std::to_string(i));
}

}  // namespace ink
