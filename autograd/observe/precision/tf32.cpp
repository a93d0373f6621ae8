// Rounding of factors to tf32, where no tensor core does it.
#include "autograd/observe/precision/tf32.h"

#include "autograd/graph/call.h"
#include "autograd/observe/precision/rounded.h"
#include "tensor/cuda.h"

namespace ink {

Tf32::Tf32(bool on) : before_(cuda_options().tf32), on_(kTf32, on) { cuda_options().tf32 = on; }
Tf32::~Tf32() { cuda_options().tf32 = before_; }

Tensor tf32_factor(const Tensor& x) {
  if (x.device().is_cuda() && !cuda_is_simulated()) return x;
  static constexpr Op op{.name = "to_tf32", .rules = {{[](const Backward& b) { return b.grad(); }}}};
  return call(
      op, NoContext{}, [](const Tensor& x) { return rounded(x, formats::tf32); }, x);
}

}  // namespace ink
