// A user's op with its own gradient:
//
//   struct Cube : Function<Cube> {
//     Tensor forward(const TensorList& in) { save(in[0]); return in[0] * in[0] * in[0]; }
//     TensorList backward(const Tensor& g) { return {g * 3 * square(saved(0))}; }
//   };
//   Tensor y = Cube::apply({x});
//
// backward is written in differentiable ops, so higher derivatives follow. State of the op lives in the struct's
// members; tensors needed later go through save() (the version check then guards them).
#pragma once
#include "autograd/observe/gradcheck.h"

namespace ink {

struct SavedTensor;  // autograd/graph/node.h

class FunctionBase {
 public:
  FunctionBase();
  virtual ~FunctionBase();
  virtual TensorList backward(const Tensor& grad) = 0;  // one gradient per input; undefined where there is none

 protected:
  void save(const Tensor& t);
  Tensor saved(size_t i) const;  // GradError if it was overwritten since

 private:
  std::vector<SavedTensor> saved_;
};

namespace detail {
Tensor apply_function(std::shared_ptr<FunctionBase> f, const TensorList& inputs,
                      FunctionRef<Tensor(const TensorList&)> forward);
}

template <class Derived> class Function : public FunctionBase {
 public:
  // Runs Derived{args...}.forward(inputs) without recording and, if an input requires a gradient, records the op.
  template <class... A> static Tensor apply(const TensorList& inputs, A&&... args) {
    auto f = std::make_shared<Derived>(std::forward<A>(args)...);
    auto forward = [&](const TensorList& in) { return f->forward(in); };
    return detail::apply_function(f, inputs, forward);
  }
};

}  // namespace ink
