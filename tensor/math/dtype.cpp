// Names of dtypes, promotion, and numbers that a dtype holds.
#include "tensor/math/dtype.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

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
    case kInt:
      return DType::i64;
    case kFloat:
      return DType::f32;
    default:
      return complex_of(tensor);
  }
}

namespace {
struct Range {
  int64_t low, high;
};
Range range_of(DType t) {
  switch (t) {
    case boolean:
      return {0, 1};
    case u8:
      return {0, 255};
    case i32:
      return {INT32_MIN, INT32_MAX};
    default:
      return {INT64_MIN, INT64_MAX};
  }
}
bool is_bounded(const Scalar& number, DType t) { return is_integral(t) && number.kind() <= kInt; }
}  // namespace

bool fits(const Scalar& number, DType t) {
  const auto [low, high] = range_of(t);
  if (t != boolean && is_integral(t) && number.kind() == kFloat) {  // what is left without its fraction
    const double v = std::trunc(number.as_double());
    return v >= double(low) && v < double(high) + 1;
  }
  return !is_bounded(number, t) || (number.to<int64_t>() >= low && number.to<int64_t>() <= high);
}
Scalar nearest(const Scalar& number, DType t) {
  if (!is_bounded(number, t)) return number;
  return std::clamp(number.to<int64_t>(), range_of(t).low, range_of(t).high);
}

}  // namespace ink
