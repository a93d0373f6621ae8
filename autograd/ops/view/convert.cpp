// Copies and conversions. The engine casts a gradient to its input's dtype, so the rules pass it on as it is.
#include "autograd/graph/call.h"
#include "autograd/ops.h"
#include "tensor/raw/raw.h"

namespace ink {

using B = const Backward&;

Tensor to(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  static constexpr Op op{.name = "to", .rules = {{[](B b) { return b.grad(); }}}};
  return call(
      op, NoContext{}, [&](const Tensor& x) { return raw::cast(x, dtype); }, x);
}
Tensor to(const Tensor& x, Device device, bool non_blocking) {
  if (x.device() == device) return x;
  static constexpr Op op{.name = "to_device",
                         .rules = {{[](B b) { return to(b.grad(), b.node().inputs[0]->device); }}}};
  return call(
      op, NoContext{}, [&](const Tensor& x) { return raw::to_device(x, device, non_blocking); }, x);
}
Tensor to(const Tensor& x, const Options& options) { return to(to(x, options.device), options.dtype); }
Tensor clone(const Tensor& x) {
  static constexpr Op op{.name = "clone", .rules = {{[](B b) { return b.grad(); }}}};
  return call(op, NoContext{}, raw::clone, x);
}
Tensor contiguous(const Tensor& x) { return x.is_contiguous() ? x : clone(x); }
Tensor detach(const Tensor& x) { return raw::alias(x); }

}  // namespace ink
