// States of layers, whatever their type.
#include "nn/mixer.h"

namespace ink {

int64_t bytes_of(const std::vector<Tensor*>& tensors) {
  int64_t total = 0;
  for (const Tensor* t : tensors)
    if (t->defined()) total += t->numel() * size_of(t->dtype());
  return total;
}

int64_t LayerState::bytes() const { return bytes_of(LayerState(*this).tensors()); }
std::vector<Tensor*> LayerState::tensors() { return value_.has_value() ? tensors_(value_) : std::vector<Tensor*>(); }
ValueError LayerState::of_another_layer() {
  return ValueError(
      "LayerState: a layer of another kind made this state; expected the one of the same layer, or an empty one");
}

Mixer::~Mixer() = default;

}  // namespace ink
