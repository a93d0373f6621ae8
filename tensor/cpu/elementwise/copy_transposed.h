// Copies that transpose.
#pragma once
#include "tensor/backend/loop.h"

namespace ink::INK_CPU_LEVEL {

// Whether operand k is a transposed one: its contiguous dim is not the loop's innermost, so that reading it along the
// innermost dim would touch a new cache line for every element.
bool is_transposed(const Loop& loop, int k);

// Copies operand 1 to operand 0 tile by tile, when operand 0 is contiguous along dim 0 and is_transposed(loop, 1).
// Elements have `size` bytes.
void copy_transposed(const Loop& loop, void* out, const void* in, int64_t size);

}  // namespace ink::INK_CPU_LEVEL
