// What reductions and scans carry along.
#pragma once
#include "tensor/cuda/elementwise.h"

namespace ink::cuda {

// The type in which sums and products over T run: for 32-bit floats twice as wide, so that the result is exact to a rounding
// or two however long the row is.
template <class T>
using wide_t = std::conditional_t<std::is_same_v<compute_t<T>, float>, double,
                                  std::conditional_t<std::is_same_v<T, complex<float>>, complex<double>, T>>;

// A value and where along the dim it stands (negative: there is none yet).
template <class T>
struct Best {
  T value;
  int64_t place;
};

}  // namespace ink::cuda
