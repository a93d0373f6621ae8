// Hands every op call of this thread to a function while it lives: name, inputs, outputs. `Trace t(&f, context);`
// Traces may nest; all of them are called, the outermost first. The call is recorded after that: what a function writes
// into outputs is the op's result (autograd/observe/precision/emulate.h).
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
  friend void call_traces(const Trace* t, const char* op, std::span<const Tensor* const> inputs,
                          std::span<const Tensor> outputs);
  TraceFn fn_;
  void* context_;
  const Trace* outer_;
  ObserverScope on_;
};

}  // namespace ink
