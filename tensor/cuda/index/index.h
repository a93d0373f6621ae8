// Loops over an index: three arrays of one shape are walked together, and at each place the index says where along
// `dim` to read or write in the last of them.
#pragma once
#include "tensor/cuda/elementwise/elementwise.h"

namespace ink::cuda {

// `a` as its loop sees it: without a step along `dim`, where the index takes the place of the coordinate.
inline Array without_step(Array a, int dim) {
  if (!a.strides.empty()) a.strides[dim] = 0;
  return a;
}
inline int64_t step_along(const Array& a, int dim) { return a.strides.empty() ? 0 : a.strides[dim]; }

// A row-major array, and an index [k] that stands for every line of it (outer, k, inner).
inline Array rows_of(DType dtype, const void* data, int64_t outer, int64_t n, int64_t inner) {
  return {const_cast<void*>(data), dtype, {outer, n, inner}, {n * inner, inner, 1}};
}
inline Array index_of_rows(const int64_t* index, int64_t outer, int64_t k, int64_t inner) {
  return {const_cast<int64_t*>(index), DType::i64, {outer, k, inner}, {0, 1, 0}};
}

}  // namespace ink::cuda
