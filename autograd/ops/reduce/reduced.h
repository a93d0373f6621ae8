// What the rules of reductions share: which dims were reduced, and the way back to the shape before.
#pragma once
#include "autograd/ops.h"
#include "tensor/raw/raw.h"

namespace ink {

struct Reduced {  // which dims of which shape were reduced
  Shape shape;
  uint32_t mask;
};
inline Reduced reduced(const char* op, const Tensor& x, const Dims& dims) {
  return {x.shape(), raw::dim_mask(op, dims, x.dim())};
}

inline Shape kept_shape(const Reduced& r) {
  Shape s = r.shape;
  for (int d = 0; d < s.size(); ++d)
    if (r.mask >> d & 1) s[d] = 1;
  return s;
}
inline Shape squeezed_shape(const Reduced& r) {
  Shape s;
  for (int d = 0; d < r.shape.size(); ++d)
    if (!(r.mask >> d & 1)) s.push_back(r.shape[d]);
  return s;
}
inline int64_t count_of(const Reduced& r) {
  int64_t n = 1;
  for (int d = 0; d < r.shape.size(); ++d)
    if (r.mask >> d & 1) n *= r.shape[d];
  return n;
}

// g or y with the reduced dims back, as size 1.
inline Tensor with_kept_dims(const Tensor& t, const Reduced& r) { return reshape(t, kept_shape(r)); }
inline Tensor spread(const Tensor& g, const Reduced& r) { return expand(with_kept_dims(g, r), r.shape); }

// Squares overflow long before their root does, and vanish long before: may that have happened to one of these sums of
// squares? Then x is first divided by scale_of(x).
bool out_of_range(const Tensor& squares);
// The largest |x| along dims, which stay with size 1; 1 where that is 0 or no number.
Tensor scale_of(const Tensor& x, const Dims& dims);

// The order of dims that moves the reduced ones to the end.
inline Shape reduced_last(const Reduced& r) {
  Shape order;
  for (int last = 0; last < 2; ++last)
    for (int d = 0; d < r.shape.size(); ++d)
      if (int(r.mask >> d & 1) == last) order.push_back(d);
  return order;
}

}  // namespace ink
