// A derivative that is a formula of tensor/math/functors.h (the structs named ...Grad) serves twice: as a kernel that
// makes one pass, and, while a higher derivative is recorded, as a composition of public ops. For the second the
// formula is instantiated with T = Quantity.
#pragma once
#include <limits>

#include "autograd/ops.h"
#include "autograd/ops/list_op.h"

namespace ink {

// The largest finite number of a real floating dtype.
inline double largest_of(DType t) {
  return t == f64    ? std::numeric_limits<double>::max()
         : t == f16  ? 65504.
         : t == bf16 ? 0x1.fep127
                     : double(std::numeric_limits<float>::max());
}

// A tensor or a number in a formula. Numbers stay numbers, so that `x * T(2)` is the op mul(x, 2).
struct Quantity {
  using Lane = double;  // the type of a formula's constants
  Tensor tensor;        // undefined: the number
  double number = 0;
  explicit Quantity(double number) : number(number) {}
  explicit Quantity(Tensor tensor) : tensor(std::move(tensor)) {}
};

// f of the two tensors, of tensor and number, or of the two numbers.
template <class F> Quantity combined(const Quantity& a, const Quantity& b, F f) {
  if (a.tensor.defined() && b.tensor.defined()) return Quantity(f(a.tensor, b.tensor));
  if (a.tensor.defined()) return Quantity(f(a.tensor, Scalar(b.number)));
  if (b.tensor.defined()) return Quantity(f(Scalar(a.number), b.tensor));
  return Quantity(f(a.number, b.number));
}
inline Quantity operator+(const Quantity& a, const Quantity& b) {
  return combined(a, b, [](const auto& a, const auto& b) { return a + b; });
}
inline Quantity operator-(const Quantity& a, const Quantity& b) {
  return combined(a, b, [](const auto& a, const auto& b) { return a - b; });
}
inline Quantity operator*(const Quantity& a, const Quantity& b) {
  return combined(a, b, [](const auto& a, const auto& b) { return a * b; });
}
inline Tensor operator>(const Quantity& a, const Quantity& b) { return gt(a.tensor, b.number); }

inline Quantity exp(const Quantity& x) { return Quantity(exp(x.tensor)); }
inline Quantity erf(const Quantity& x) { return Quantity(erf(x.tensor)); }
inline Quantity sigmoid(const Quantity& x) { return Quantity(sigmoid(x.tensor)); }
inline Quantity max(const Quantity& x, const Quantity& low) { return Quantity(clamp(x.tensor, low.number)); }
inline Quantity min(const Quantity& x, const Quantity& high) { return Quantity(clamp(x.tensor, {}, high.number)); }
inline Quantity select(const Tensor& condition, const Quantity& a, const Quantity& b) {
  return Quantity(where(condition, a.tensor, full({}, b.number, a.tensor.options())));
}
// x with the largest number of its own dtype for an infinity.
inline Quantity finite(const Quantity& x) {
  const double most = largest_of(x.tensor.dtype());
  return Quantity(clamp(x.tensor, -most, most));
}

// The gradient of an elementwise op's input: Formula{}(g, saved), where `saved` is the input or the output. A complex
// function that is holomorphic has the conjugate of its derivative here; conj() is free for reals.
template <class Formula> Tensor derivative(const Backward& b, const Tensor& saved) {
  const Tensor& g = b.grad();
  if (!grad_enabled() && !is_complex(g.dtype())) return raw::binary(b.node().op->name, Formula{}, g, saved);
  return Formula{}(Quantity(g), Quantity(conj(saved))).tensor;
}

}  // namespace ink
