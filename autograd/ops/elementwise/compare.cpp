// Comparisons, predicates and logic: bool results, no gradients.
#include <fmt/format.h>

#include "autograd/ops.h"
#include "tensor/raw/raw.h"

namespace ink {

namespace {
// x and the number in a dtype that holds both, so that `int tensor < 2.5` and `u8 tensor < 300` mean what they say.
template <class F> Tensor compare(const char* name, const Tensor& x, const Scalar& s) {
  F f;
  f.s = s;
  const DType t = promote(x.dtype(), s);
  return raw::unary(name, f, raw::cast(x, fits(s, t) ? t : i64));
}
}  // namespace

Tensor eq(const Tensor& a, const Tensor& b) { return raw::binary("eq", fn::Eq{}, a, b); }
Tensor ne(const Tensor& a, const Tensor& b) { return raw::binary("ne", fn::Ne{}, a, b); }
Tensor lt(const Tensor& a, const Tensor& b) { return raw::binary("lt", fn::Lt{}, a, b); }
Tensor le(const Tensor& a, const Tensor& b) { return raw::binary("le", fn::Le{}, a, b); }
Tensor gt(const Tensor& a, const Tensor& b) { return raw::binary("gt", fn::Gt{}, a, b); }
Tensor ge(const Tensor& a, const Tensor& b) { return raw::binary("ge", fn::Ge{}, a, b); }
Tensor eq(const Tensor& a, const Scalar& b) { return compare<fn::EqScalar>("eq", a, b); }
Tensor ne(const Tensor& a, const Scalar& b) { return compare<fn::NeScalar>("ne", a, b); }
Tensor lt(const Tensor& a, const Scalar& b) { return compare<fn::LtScalar>("lt", a, b); }
Tensor le(const Tensor& a, const Scalar& b) { return compare<fn::LeScalar>("le", a, b); }
Tensor gt(const Tensor& a, const Scalar& b) { return compare<fn::GtScalar>("gt", a, b); }
Tensor ge(const Tensor& a, const Scalar& b) { return compare<fn::GeScalar>("ge", a, b); }
Tensor logical_not(const Tensor& x) { return raw::unary("logical_not", fn::LogicalNot{}, x); }
Tensor logical_and(const Tensor& a, const Tensor& b) { return raw::binary("logical_and", fn::LogicalAnd{}, a, b); }
Tensor logical_or(const Tensor& a, const Tensor& b) { return raw::binary("logical_or", fn::LogicalOr{}, a, b); }
Tensor logical_xor(const Tensor& a, const Tensor& b) { return raw::binary("logical_xor", fn::LogicalXor{}, a, b); }

Tensor isnan(const Tensor& x) {
  if (is_integral(x.dtype())) return raw::zeros(x.shape(), {boolean, x.device()});
  return raw::unary("isnan", fn::IsNan{}, x);
}
Tensor isinf(const Tensor& x) {
  if (is_integral(x.dtype())) return raw::zeros(x.shape(), {boolean, x.device()});
  if (is_complex(x.dtype())) return logical_or(isinf(detach(real(x))), isinf(detach(imag(x))));
  return raw::unary("isinf", fn::IsInf{}, x);
}
Tensor isfinite(const Tensor& x) { return logical_not(logical_or(isnan(x), isinf(x))); }

bool equal(const Tensor& a, const Tensor& b) { return a.shape() == b.shape() && all(eq(a, b)).item<bool>(); }

bool allclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
  Tensor x = detach(a), y = detach(b);
  // |a - b| <= atol + rtol |b|, equal infinities included
  Tensor close = logical_or(eq(x, y), le(abs(x - y), atol + rtol * abs(y)));
  close = logical_and(close, logical_or(eq(x, y), isfinite(y)));
  if (equal_nan) close = logical_or(close, logical_and(isnan(x), isnan(y)));
  return all(close).item<bool>();
}

}  // namespace ink
