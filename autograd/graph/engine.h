// The backward pass.
#pragma once
#include <initializer_list>
#include <span>
#include <utility>
#include <vector>

#include "tensor/tensor.h"

namespace ink {

struct GradOptions {
  bool create_graph = false;  // record the backward pass, so that it can be differentiated again
  bool retain_graph = false;  // keep what was saved, so that the graph can be used again (implied by create_graph)
  bool allow_unused = false;  // undefined instead of a GradError for an input the outputs do not depend on
};

// d(sum_k outputs[k] . grad_outputs[k]) / d inputs. An empty grad_outputs, or an undefined entry, stands for 1 and
// needs an output of one element. Each gradient has its input's shape and dtype. GradError for an input without
// requires_grad.
std::vector<Tensor> grad(std::span<const Tensor> outputs, std::span<const Tensor> inputs,
                         std::span<const Tensor> grad_outputs = {}, const GradOptions& options = {});
Tensor grad(const Tensor& output, const Tensor& input, const Tensor& grad_output = {}, const GradOptions& options = {});
// Lists in braces: grad({loss}, {a, b}), grad({loss}, net.parameters()).
std::vector<Tensor> grad(std::initializer_list<Tensor> outputs, std::span<const Tensor> inputs,
                         std::initializer_list<Tensor> grad_outputs = {}, const GradOptions& options = {});
std::vector<Tensor> grad(std::initializer_list<Tensor> outputs, std::initializer_list<Tensor> inputs,
                         std::initializer_list<Tensor> grad_outputs = {}, const GradOptions& options = {});
// The same, added to the .grad of every leaf (and retain_grad tensor) the outputs depend on.
void backward(std::span<const Tensor> outputs, std::span<const Tensor> grad_outputs = {},
              const GradOptions& options = {});
void backward(std::initializer_list<Tensor> outputs, std::initializer_list<Tensor> grad_outputs = {},
              const GradOptions& options = {});

// What is called with a gradient once it is complete.
struct TensorHook : RefCounted {
  virtual ~TensorHook() = default;
  virtual Tensor call(const Tensor& grad) = 0;  // an undefined result leaves the gradient as it is
};
void add_hook(const Tensor& t, Ref<TensorHook> hook);
// Calls hook(gradient) when the gradient of t is complete; a defined result replaces it. GradError if t has no
// gradient.
template <class F> void register_hook(const Tensor& t, F hook) {
  struct Wrapped : TensorHook {
    F f;
    explicit Wrapped(F f) : f(std::move(f)) {}
    Tensor call(const Tensor& g) override { return f(g); }
  };
  add_hook(t, Ref<TensorHook>(new Wrapped(std::move(hook))));
}

}  // namespace ink
