// The plan of a loop over strided arrays: dims that lie together are merged, the innermost is the one with the
// smallest strides.
#include "tensor/backend/loop.h"

namespace ink {
namespace {

int64_t magnitude(int64_t stride) { return stride < 0 ? -stride : stride; }

// Whether dim b lies outside dim a: its step is larger, or (for equal or broadcast steps) it came first in the shape.
bool outside(int64_t a, int64_t b) { return b == 0 || (a != 0 && magnitude(b) >= magnitude(a)); }

}  // namespace

Loop plan_loop(const Array* const* operands, int count, int key) {
  const Shape& shape = operands[0]->shape;
  Loop loop;
  loop.ndim = 0;
  loop.numel = shape.numel();
  for (int d = shape.size() - 1; d >= 0; --d) {  // insertion sort, from the innermost dim outwards; stable
    if (shape[d] == 1) continue;
    int at = loop.ndim++;
    int64_t step = operands[key]->strides[d];
    for (; at > 0 && !outside(loop.stride[key][at - 1], step); --at) {
      loop.size[at] = loop.size[at - 1];
      for (int k = 0; k < count; ++k) loop.stride[k][at] = loop.stride[k][at - 1];
    }
    loop.size[at] = shape[d];
    for (int k = 0; k < count; ++k) loop.stride[k][at] = operands[k]->strides[d];
  }
  if (loop.ndim == 0) {
    loop.ndim = 1;
    loop.size[0] = 1;
    for (int k = 0; k < count; ++k) loop.stride[k][0] = 1;
    return loop;
  }
  int last = 0;
  for (int d = 1; d < loop.ndim; ++d) {
    bool merges = true;
    for (int k = 0; k < count; ++k)  // of arrays without elements the product may be anything, and wraps
      merges &= uint64_t(loop.stride[k][d]) == uint64_t(loop.stride[k][last]) * uint64_t(loop.size[last]);
    if (merges) {
      loop.size[last] = int64_t(uint64_t(loop.size[last]) * uint64_t(loop.size[d]));
      continue;
    }
    ++last;
    loop.size[last] = loop.size[d];
    for (int k = 0; k < count; ++k) loop.stride[k][last] = loop.stride[k][d];
  }
  loop.ndim = last + 1;
  return loop;
}

SplitLoop split_loop(const Loop& loop, int operands, int k) {
  SplitLoop s{};
  for (int d = 0; d < loop.ndim; ++d) {
    Loop& part = loop.stride[k][d] != 0 && loop.size[d] != 1 ? s.moving : s.still;
    part.size[part.ndim] = loop.size[d];
    for (int i = 0; i < operands; ++i) part.stride[i][part.ndim] = loop.stride[i][d];
    ++part.ndim;
  }
  for (Loop* part : {&s.moving, &s.still}) {
    if (part->ndim == 0) {
      part->size[part->ndim++] = 1;
      for (int i = 0; i < operands; ++i) part->stride[i][0] = 1;
    }
    part->numel = 1;
    for (int d = 0; d < part->ndim; ++d) part->numel *= part->size[d];
  }
  return s;
}

}  // namespace ink
