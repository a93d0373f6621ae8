// Rows that are added one after another, with room reserved ahead: a cache of keys that grows by one token a step costs
// the token, not the cache.
#pragma once
#include <atomic>
#include <memory>

#include "tensor/tensor.h"

namespace ink {

// The memory behind a tensor [batch, heads, rows, width] that grows along its third dim. Several tensors may look at
// it, each at its first rows; the one that first goes on behind `used` has the rows there, others make a copy.
struct GrowingRows {
  Tensor memory;  // [batch, heads, capacity, width]
  std::atomic<int64_t> used = 0;
};

// `rows` (undefined: none yet) becomes rows and `more` behind each other, as cat({rows, more}, 2), but without a copy
// of what is there if `ahead` is the memory behind rows and has room. rows stays a value: what others see of the memory
// is never written. While gradients are recorded it is cat.
void append_rows(Tensor& rows, std::shared_ptr<GrowingRows>& ahead, const Tensor& more);

}  // namespace ink
