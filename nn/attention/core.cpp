// States of attention, and what a core without a causal form says.
#include "nn/attention/core.h"

#include <fmt/format.h>

#include "autograd/ops.h"
#include "nn/mixer.h"

namespace ink {

void AttentionState::append(const Tensor& k, const Tensor& v) {
  key = key.defined() ? cat({key, k}, 2) : k;
  value = value.defined() ? cat({value, v}, 2) : v;
  time += k.size(2);
}
std::vector<Tensor*> AttentionState::tensors() { return {&key, &value, &sum, &norm, &extra}; }
int64_t AttentionState::bytes() const {
  AttentionState handles = *this;
  return bytes_of(handles.tensors());
}

Tensor AttentionCore::step(const Tensor&, const Tensor&, const Tensor&, AttentionState&) const {
  throw NotSupported(fmt::format(
      "{}: no step by step form; expected a kind with a causal form; hint: run the whole sequence", name()));
}

}  // namespace ink
