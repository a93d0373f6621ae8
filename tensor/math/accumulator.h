// The type of the accumulator of a sum or product over T.
#pragma once
#include "tensor/math/complex.h"

namespace ink {

// Sums and products, running ones too, are accumulated in the type twice as wide: the result is exact to a rounding or
// two however long the row is.
template <class T> struct AccumulatorOf { using type = T; };
template <> struct AccumulatorOf<float> { using type = double; };
template <> struct AccumulatorOf<complex<float>> { using type = complex<double>; };

}  // namespace ink
