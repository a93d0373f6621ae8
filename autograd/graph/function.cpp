// What Function<T> needs besides its user's code: saved tensors with their versions, and the node of one
// application.
#include "autograd/graph/function.h"

#include <fmt/format.h>

#include "autograd/graph/call.h"
#include "tensor/raw/raw.h"

namespace ink {

FunctionBase::FunctionBase() = default;
FunctionBase::~FunctionBase() = default;

void FunctionBase::save(const Tensor& t) { saved_.push_back({t, t.impl()->storage->version, {}, 0}); }
Tensor FunctionBase::saved(size_t i) const {
  if (i >= saved_.size())
    throw GradError(fmt::format("Function: saved({}) was asked for; {} tensors were saved", i, saved_.size()));
  const SavedTensor& s = saved_[i];
  if (s.value.impl()->storage->version != s.version)
    throw GradError(fmt::format("Function: saved tensor {} was overwritten in place by {}; got shape {}", i,
                                s.value.impl()->storage->last_writer, s.value.shape().str()));
  return s.value;
}

namespace detail {

Tensor apply_function(std::shared_ptr<FunctionBase> f, const TensorList& inputs,
                      FunctionRef<Tensor(const TensorList&)> forward) {
  static constexpr Op op{.name = "Function", .backward = [](const Backward& b, std::span<Tensor> grads) {
                           TensorList gs = static_cast<FunctionBase*>(b.node().state.get())->backward(b.grad());
                           if (gs.size() != grads.size())
                             throw GradError(
                                 fmt::format("Function: backward returned {} gradients; expected {}, one per input",
                                             gs.size(), grads.size()));
                           for (size_t i = 0; i < gs.size(); ++i) grads[i] = gs[i];
                         }};
  Tensor out;
  {
    NoGrad guard;
    out = forward(inputs);
  }
  bool wanted = false, aliased = false;
  std::vector<const Tensor*> list;
  for (const Tensor& t : inputs) {
    list.push_back(&t);
    wanted |= t.requires_grad();
    aliased |= t.is_same(out);
  }
  if (aliased) out = raw::alias(out);
  if (grad_enabled() && wanted)
    if (Node* node = record({op, list.data(), int(list.size()), {&out, 1}})) node->state = std::move(f);
  return out;
}

}  // namespace detail
}  // namespace ink
