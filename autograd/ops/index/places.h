// What x.index({...}) and assignment to it have in common: where the places are. Slices, integers, None and "..." make
// a view; index tensors and masks then pick positions in the dims they stand for, merged into one. As in NumPy,
// adjacent index tensors leave their result in place, others put it in front; as in torch, an integer counts as a
// select, not as an index tensor.
#pragma once
#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace ink {

using Places = std::span<const Index>;

struct Selection {
  Tensor view;                // after slices, integers and None
  Shape dims;                 // dims of the view that index tensors stand for, ascending
  std::vector<Tensor> index;  // one per such dim, i64 in range

  // Filled by arrange(), if there are index tensors:
  Shape order;    // of the view's dims, those in `dims` brought together
  int at = 0;     // where they then start
  Shape merged;   // shape after that, with `dims` as one dim
  Tensor linear;  // i64 [count]: positions in the merged dim
  Shape result;   // shape of what is read: the index tensors' broadcast shape in place of the merged dim
};

// IndexError, naming `op`, for too many places, a value out of range or a mask of the wrong shape.
Selection select_places(const char* op, const Tensor& x, Places places);

}  // namespace ink
