// The type in which a sum or product over T runs.
#pragma once
#include "tensor/math/complex.h"

namespace ink {

// Sums and products, running ones too, run in the type twice as wide: the result is exact to a rounding or two however
// long the row is.
template <class T>
struct WideOf {
  using type = T;
};
template <>
struct WideOf<float> {
  using type = double;
};
template <>
struct WideOf<complex<float>> {
  using type = complex<double>;
};

}  // namespace ink
