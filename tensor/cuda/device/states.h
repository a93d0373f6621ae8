// What reductions and scans carry along.
#pragma once
#include "tensor/cuda/elementwise/elementwise.h"
#include "tensor/math/wide.h"

namespace ink::cuda {

// The type in which sums and products over T run.
template <class T>
using wide_t = typename WideOf<compute_t<T>>::type;

// A value and where along the dim it stands (negative: there is none yet).
template <class T>
struct Best {
  T value;
  int64_t place;
};

}  // namespace ink::cuda
