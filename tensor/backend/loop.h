// A broadcast expression as one loop nest. The dims of all operands are put in the order of one of them (so that memory
// is walked forward), dims of size 1 are dropped, and neighbours that every operand walks without a jump become one
// dim: an expression over contiguous arrays is a single loop, whatever its rank.
#pragma once
#include "tensor/backend/kernels.h"

namespace ink {

inline constexpr int kMaxOperands = 4;

struct Loop {
  int ndim;                                // at least 1
  int64_t numel;                           // the product of the sizes; 0 if there is nothing to do
  int64_t size[kMaxDims];                  // dim 0 is the innermost
  int64_t stride[kMaxOperands][kMaxDims];  // in elements; 0 where an operand is broadcast
};

// The nest over `count` operands of one shape (operand 0 gives it), in the order of operand `key`'s strides.
Loop plan_loop(const Array* const* operands, int count, int key = 0);

// The dims of a nest in which operand k moves, and those in which it stands still, as nests of their own: what a
// reduction keeps and what it reduces. A nest without dims gets one of a single step.
struct SplitLoop {
  Loop moving, still;
};
SplitLoop split_loop(const Loop& loop, int operands, int k);

// A place in a nest: the index of every dim and the offset of every operand, in elements.
struct Position {
  int64_t index[kMaxDims];
  int64_t offset[kMaxOperands];
};

// The place of flat index i (dim 0 fastest).
INK_HD INK_INLINE void seek(const Loop& loop, int operands, int64_t i, Position& at) {
  for (int k = 0; k < operands; ++k) at.offset[k] = 0;
  for (int d = 0; d < loop.ndim; ++d) {
    int64_t q = d + 1 < loop.ndim ? i / loop.size[d] : 0;
    at.index[d] = i - q * loop.size[d];
    for (int k = 0; k < operands; ++k) at.offset[k] += at.index[d] * loop.stride[k][d];
    i = q;
  }
}

// Moves on by n elements, of which only the last may leave the current row.
INK_HD INK_INLINE void advance(const Loop& loop, int operands, int64_t n, Position& at) {
  at.index[0] += n;
  for (int k = 0; k < operands; ++k) at.offset[k] += n * loop.stride[k][0];
  for (int d = 0; at.index[d] == loop.size[d] && d + 1 < loop.ndim; ++d) {
    at.index[d] = 0;
    ++at.index[d + 1];
    for (int k = 0; k < operands; ++k) at.offset[k] += loop.stride[k][d + 1] - loop.size[d] * loop.stride[k][d];
  }
}

}  // namespace ink
