// States of layers, whatever their type.
#include "nn/mixer.h"

#include <fmt/format.h>

namespace ink {

int64_t bytes_of(const std::vector<Tensor*>& tensors) {
  int64_t total = 0;
  for (const Tensor* t : tensors)
    if (t->defined()) total += t->numel() * size_of(t->dtype());
  return total;
}

void LayerState::keep(int64_t first, const Tensor& rest) {
  const int64_t all = columns();
  if (all < 0)
    throw NotSupported("LayerState::keep: this layer sums its tokens up; hint: keep a copy of the state of before");
  if (first < 0 || first > all || rest.dim() < 1 || rest.dim() > 2 || rest.dtype() != DType::i64)
    throw ValueError(
        fmt::format("LayerState::keep: got the first {} of {} columns and rest of {}; expected at most all "
                    "and i64 [n] or [batch, n]",
                    first, all, rest.shape().str()));
  keep_(value_, first, rest);
}

int64_t LayerState::bytes() const { return bytes_of(LayerState(*this).tensors()); }
std::vector<Tensor*> LayerState::tensors() { return value_.has_value() ? tensors_(value_) : std::vector<Tensor*>(); }
ValueError LayerState::of_another_layer() {
  return ValueError(
      "LayerState: a layer of another kind made this state; expected the one of the same layer, or an empty one");
}

Mixer::~Mixer() = default;

}  // namespace ink
