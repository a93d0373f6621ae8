// tf32: products of f32 with factors of 10 fraction bits and sums in f32, as tensor cores compute them. A switch that
// can be seen, since it is wrong in the fourth digit: `Tf32 guard;`
#pragma once
#include "autograd/graph/mode.h"
#include "tensor/tensor_fwd.h"

namespace ink {

// While it lives, f32 factors of products, convolutions and attention are rounded to tf32 in this thread, in the
// backward pass too. On a GPU its tensor cores do that, and the switch is cuda_options().tf32 of the process; on the
// CPU and in the simulator the factors are rounded before the product.
class Tf32 {
 public:
  explicit Tf32(bool on = true);
  ~Tf32();
  Tf32(const Tf32&) = delete;
  Tf32& operator=(const Tf32&) = delete;

 private:
  bool before_;
  ObserverScope on_;
};

Tensor tf32_factor(const Tensor& x);  // x (f32) as a product takes it: an op whose gradient passes unchanged

}  // namespace ink
