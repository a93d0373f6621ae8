// Sorting along a dim by keys and indices (tensor/math/sort_key.h): what sort.cu does with long lines.
#pragma once
#include "tensor/cuda/host/launch.h"
#include "tensor/cuda/host/table.h"
#include "tensor/math/sort_key.h"

namespace ink::cuda {

struct SortArgs {
  Lines lines;
  int64_t k;  // the first k of each line are wanted; n: all
  bool descending;
};

// y [outer, k, inner], and where in their lines the values stood; a radix sort of every line (sort_long.cu).
void sort_long(DType dtype, const SortArgs& s, void* y, int64_t* indices, const void* x);

}  // namespace ink::cuda
