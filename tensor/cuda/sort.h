// Sorting along a dim by keys and indices (tensor/sort_key.h): what sort.cu does with long lines.
#pragma once
#include "tensor/cuda/launch.h"
#include "tensor/cuda/table.h"
#include "tensor/sort_key.h"

namespace ink::cuda {

struct SortArgs {
  Lines lines;
  int64_t k;  // the first k of each line are wanted; n: all
  bool descending;
};

// y [outer, k, inner], and where in their lines the values stood; a radix sort of every line (sort_long.cu).
void sort_long(DType dtype, const SortArgs& s, void* y, int64_t* indices, const void* x);

}  // namespace ink::cuda
