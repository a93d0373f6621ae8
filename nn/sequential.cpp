// Sequential: layers held by what they can do, one after the other.
#include "nn/sequential.h"

namespace ink {

Sequential::Layer::~Layer() = default;

Sequential::Sequential() = default;
Sequential::Sequential(const Sequential& other) = default;
Sequential::Sequential(Sequential&& other) noexcept = default;
Sequential& Sequential::operator=(Sequential other) {
  Module::operator=(other);
  layers_ = std::move(other.layers_);
  return *this;
}
Sequential::~Sequential() = default;

Sequential& Sequential::append(std::unique_ptr<Layer> layer) {
  layers_.emplace_back(std::move(layer));
  return *this;
}
size_t Sequential::size() const { return layers_.size(); }

Tensor Sequential::forward(const Tensor& x) {
  Tensor y = x;
  for (const Any<Layer>& layer : layers_) y = layer->forward(y);
  return y;
}

Module& Sequential::operator[](size_t i) {
  if (i >= size()) throw IndexError("Sequential: no layer " + std::to_string(i) + "; it has " + std::to_string(size()));
  Module* m = layers_[i]->module();
  if (!m) throw ValueError("Sequential: layer " + std::to_string(i) + " is a callable, no module");
  return *m;
}

void Sequential::fields(Fields& f) {
  for (size_t i = 0; i < layers_.size(); ++i) layers_[i]->name(f, std::to_string(i));
}

}  // namespace ink
