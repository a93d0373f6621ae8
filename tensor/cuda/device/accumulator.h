// The accumulators of reductions and scans.
#pragma once
#include "tensor/cuda/elementwise/elementwise.h"
#include "tensor/math/accumulator.h"

namespace ink::cuda {

// That of sums and products over T.
template <class T> using accumulator_t = typename AccumulatorOf<compute_t<T>>::type;

// A value and where along the dim it stands (negative: there is none yet).
template <class T> struct Best {
  T value;
  int64_t place;
};

}  // namespace ink::cuda
