// Trading time for memory: the part of the network inside f keeps nothing for the backward pass but its inputs, and
// runs again when its gradient is needed. Chen et al. 2016.
#pragma once
#include <memory>

#include "autograd/observe/gradcheck.h"

namespace ink {

namespace detail {
struct CheckpointFn {
  virtual ~CheckpointFn() = default;
  virtual Tensor call(const TensorList& inputs) = 0;
};
Tensor checkpoint(std::unique_ptr<CheckpointFn> f, const TensorList& inputs);
}  // namespace detail

// f(inputs), recomputed in the backward pass with the default generator and autocast as they were. Parameters that f
// captures get their gradients as usual, and derivatives of any order work: only what rules save is dropped, not the
// graph.
template <class F> Tensor checkpoint(F f, const TensorList& inputs) {
  struct Holder : detail::CheckpointFn {
    F f;
    explicit Holder(F f) : f(std::move(f)) {}
    Tensor call(const TensorList& in) override { return f(in); }
  };
  return detail::checkpoint(std::unique_ptr<detail::CheckpointFn>(new Holder(std::move(f))), inputs);
}

}  // namespace ink
