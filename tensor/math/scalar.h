// A C++ number passed to an op: `x * 2`, `full({3}, 0.5)`. It keeps its kind, because an i64 does not fit a double and
// because `int tensor * 2.5` is floating point while `int tensor * 2` is not.
#pragma once
#include <concepts>
#include <cstdint>

#include "tensor/math/dtype.h"

namespace ink {

class Scalar {
 public:
  Scalar() = default;
  INK_HD INK_INLINE Scalar(bool v) : kind_(kBool), int_(v) {}
  template <std::integral I> INK_HD INK_INLINE Scalar(I v) : kind_(kInt), int_(int64_t(v)) {}
  template <std::floating_point F> INK_HD INK_INLINE Scalar(F v) : kind_(kFloat), re_(double(v)) {}
  template <class T> INK_HD INK_INLINE Scalar(complex<T> v) : kind_(kComplex), re_(double(v.re)), im_(double(v.im)) {}

  INK_HD INK_INLINE Domain kind() const { return kind_; }
  INK_HD INK_INLINE bool is_complex() const { return kind_ == kComplex; }
  // The value as T: float, double, complex, an integer type or bool.
  template <class T> INK_HD INK_INLINE T to() const {
    if constexpr (std::same_as<T, complex<float>> || std::same_as<T, complex<double>>) {
      using R = decltype(T::re);
      return kind_ <= kInt ? T(R(int_)) : T(R(re_), R(im_));
    } else if constexpr (std::same_as<T, bool>) {
      return kind_ <= kInt ? int_ != 0 : re_ != 0 || im_ != 0;
    } else if constexpr (std::same_as<T, half> || std::same_as<T, bfloat16>) {
      return kind_ <= kInt ? T(int_) : T(re_);
    } else {
      return kind_ <= kInt ? T(int_) : T(re_);
    }
  }
  INK_HD INK_INLINE double as_double() const { return to<double>(); }

 private:
  Domain kind_ = kFloat;
  union {
    int64_t int_;
    double re_ = 0;
  };
  double im_ = 0;
};

// The dtype of `tensor op number`: the number only matters when its kind is above the tensor's.
DType promote(DType tensor, const Scalar& number);
// Is the number, without its fraction, one of the values of an integer dtype? Of bool: is a whole number 0 or 1? True
// for every other dtype.
bool fits(const Scalar& number, DType dtype);
// The nearest value that an integer dtype has; the number itself for every other dtype or kind.
Scalar nearest(const Scalar& number, DType dtype);

}  // namespace ink
