// The one elementwise driver: out[i] = f(in0[i], in1[i], ...) over strided arrays, in parallel.
#pragma once
#include "tensor/cpu/elementwise/contiguous_run.h"

namespace ink::INK_CPU_LEVEL {

// out[0, n) = f(in[0][0, n), ...); everything contiguous. `functor` is what the op was called with. With `past_caches`
// the output is large and 64-byte aligned, and streaming stores pay.
using Inner = void (*)(const void* functor, void* out, const void* const* in, int64_t n, bool past_caches);

// operands[0] is the output, the other count - 1 are the inputs, of its shape. With `widen_halves` an f16 or bf16
// operand is seen by `inner` as f32. `streams_itself` says that inner heeds past_caches; for others the driver streams.
void map(const Array* const* operands, int count, Inner inner, const void* functor, bool widen_halves,
         bool streams_itself = false);

}  // namespace ink::INK_CPU_LEVEL
