#include "tensor/math/dtype.h"

#include "tensor/math/scalar.h"

namespace ink {

DType promote(DType a, DType b) {
  if (a == b) return a;
  Domain ka = domain_of(a), kb = domain_of(b);
  if (ka != kb) {  // the higher kind wins; a complex type widens to hold an f64
    DType high = ka > kb ? a : b, low = ka > kb ? b : a;
    return high == DType::c64 && low == DType::f64 ? DType::c128 : high;
  }
  if (ka == kFloat) {
    if (a == DType::f64 || b == DType::f64) return DType::f64;
    return DType::f32;  // f16 with bf16 too: neither holds the other
  }
  if (ka == kInt) return a == DType::i64 || b == DType::i64 ? DType::i64 : DType::i32;
  return DType::c128;
}

DType promote(DType tensor, const Scalar& number) {
  if (number.kind() <= domain_of(tensor)) return tensor;
  switch (number.kind()) {
    case kInt: return DType::i64;
    case kFloat: return DType::f32;
    default: return complex_of(tensor);
  }
}

}  // namespace ink
