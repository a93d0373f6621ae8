// One-line wrappers for the list ops: an elementwise op is its formula, its name and one gradient rule per input.
#pragma once
#include "autograd/graph/call.h"
#include "tensor/raw/raw.h"

namespace ink {

// The op y = f(x). The formula itself travels as the op's context, so a rule can read its parameters.
template <class F> Tensor unary(const Op& op, const F& f, const Tensor& x) {
  return call(
      op, f, [&](const Tensor& a) { return raw::unary(op.name, f, a); }, x);
}
template <class F> Tensor binary(const Op& op, const F& f, const Tensor& a, const Tensor& b) {
  return call(
      op, f, [&](const Tensor& x, const Tensor& y) { return raw::binary(op.name, f, x, y); }, a, b);
}

}  // namespace ink
