// In-place ops: recorded as the op that makes a new tensor, whose result the handle takes over.
#include "autograd/ops/view/inplace.h"

#include <fmt/format.h>

#include "autograd/graph/node.h"
#include "autograd/ops.h"
#include "tensor/raw/raw.h"

namespace ink {

bool records_write(const char* op, const Tensor& target, const Tensor& source) {
  if (!grad_enabled() || !(target.requires_grad() || source.requires_grad())) return false;
  if (!is_differentiable(target.dtype())) return false;
  if (target.requires_grad() && target.is_leaf())
    throw GradError(
        fmt::format("{}: a leaf that requires a gradient cannot be written in place; got shape {}; hint: use NoGrad "
                    "for an update, or the "
                    "form that makes a new tensor",
                    op, target.shape().str()));
  if (target.impl()->is_view)
    throw GradError(
        fmt::format("{}: a view cannot be written in place while gradients are recorded; got shape {}; hint: use "
                    "index_put or where",
                    op, target.shape().str()));
  return true;
}

void adopt(const char* op, Tensor& target, const Tensor& result) {
  {
    NoGrad guard;
    raw::copy_into(target, raw::alias(result));
  }
  TensorImpl& impl = *target.impl();
  impl.storage->last_writer = op;
  impl.graph = result.impl()->graph;
  impl.recorded_version = impl.storage->version;
}

namespace {
// The value before the write, with its history: what a rule may save, as the target's own elements change.
// (If its history no longer belongs to its value, the target itself: recording refuses it.)
Tensor original(const Tensor& target) {
  if (target.requires_grad() && target.impl()->storage->version != target.impl()->recorded_version) return target;
  Tensor before = raw::clone(target);
  before.impl()->graph = target.impl()->graph;
  before.impl()->recorded_version = before.impl()->storage->version;
  return before;
}
template <class F>
Tensor& write(const char* op, Tensor& target, const Tensor& other, Tensor (*form)(const Tensor&, const Tensor&)) {
  if (target.dtype() == boolean && other.dtype() == boolean) {  // or stands for +, and for *
    if constexpr (std::is_same_v<F, fn::Add>)
      raw::binary_into(op, fn::LogicalOr{}, target, other);
    else if constexpr (std::is_same_v<F, fn::Mul>)
      raw::binary_into(op, fn::LogicalAnd{}, target, other);
    else
      raw::binary_into(op, F{}, target, other);
  } else if (records_write(op, target, other)) {
    Tensor before = original(target);
    adopt(op, target, form(before, other.is_same(target) ? before : other));
  } else
    raw::binary_into(op, F{}, target, other);
  return target;
}
template <class F>
Tensor& write(const char* op, Tensor& target, const Scalar& s, Tensor (*form)(const Tensor&, const Scalar&)) {
  if (promote(target.dtype(), s) != target.dtype())
    throw DTypeError(fmt::format("{}: the result does not fit the target; got a number of a higher kind into {}", op,
                                 name_of(target.dtype())));
  using Pair = std::conditional_t<std::is_same_v<F, fn::AddScalar>, fn::Add,
                                  std::conditional_t<std::is_same_v<F, fn::MulScalar>, fn::Mul, fn::Div>>;
  if (target.dtype() == boolean) return write<Pair>(op, target, ink::full({}, s, target.options()), nullptr);
  F f;
  f.s = s;
  if (records_write(op, target))
    adopt(op, target, form(target, s));
  else
    raw::unary_into(op, f, target);
  return target;
}
Tensor plain_add(const Tensor& a, const Tensor& b) { return add(a, b); }
}  // namespace

Tensor& Tensor::add_(const Tensor& other, const Scalar& alpha) {
  bool plain = alpha.kind() <= kInt && alpha.to<int64_t>() == 1;
  return write<fn::Add>("add_", *this,
                        plain ? other : ink::mul(other, dtype() == boolean ? Scalar(alpha.to<bool>()) : alpha),
                        plain_add);
}
Tensor& Tensor::sub_(const Tensor& other) {
  refuse_bool("sub_", dtype(), other.dtype());
  return write<fn::Sub>("sub_", *this, other, ink::sub);
}
Tensor& Tensor::mul_(const Tensor& other) { return write<fn::Mul>("mul_", *this, other, ink::mul); }
Tensor& Tensor::div_(const Tensor& other) { return write<fn::Div>("div_", *this, other, ink::div); }
Tensor& Tensor::add_(const Scalar& s) { return write<fn::AddScalar>("add_", *this, s, ink::add); }
Tensor& Tensor::sub_(const Scalar& s) {
  refuse_bool("sub_", dtype(), s.kind() == kBool ? boolean : i64);
  return add_(negated(s));
}
Tensor& Tensor::mul_(const Scalar& s) { return write<fn::MulScalar>("mul_", *this, s, ink::mul); }
Tensor& Tensor::div_(const Scalar& s) { return write<fn::DivScalar>("div_", *this, s, ink::div); }

Tensor& Tensor::fill_(const Scalar& value) {
  if (records_write("fill_", *this))
    adopt("fill_", *this, ink::full(shape(), value, options()));
  else
    raw::fill(*this, value);
  return *this;
}
Tensor& Tensor::copy_(const Tensor& source) {
  if (records_write("copy_", *this, source))
    adopt("copy_", *this, ink::to(ink::expand(ink::to(source, device()), shape()), dtype()));
  else
    raw::copy_into(*this, raw::to_device(source, device()));
  return *this;
}

}  // namespace ink
