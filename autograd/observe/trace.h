// Hands every op call of this thread to a function while it lives: name, inputs, outputs. `Trace t(&f, context);`
#pragma once
#include <span>

#include "autograd/graph/mode.h"
#include "tensor/tensor.h"

namespace ink {

using TraceFn = void (*)(void* context, const char* op, std::span<const Tensor* const> inputs,
                         std::span<const Tensor> outputs);

class Trace {
 public:
  Trace(TraceFn fn, void* context);
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

 private:
  TraceFn fn_before_;
  void* context_before_;
  ObserverScope on_;
};

}  // namespace ink
