// The slot reduce, and how the dims of a reduction are told apart.
#include "tensor/cuda/reduce/reduce.h"

namespace ink::cuda {

Reduction::Reduction(const Array& out, const Array& in) : kept{}, reduced{} {
  const Array* operands[] = {&in, &out};
  const Loop loop = plan_loop(operands, 2);
  const SplitLoop parts = split_loop(loop, 2, 1);
  kept = parts.moving, reduced = parts.still;
  for (Loop* part : {&kept, &reduced})
    if (part->numel == 0) part->ndim = 1, part->size[0] = 1;  // no steps, but divisors are not 0
  by_columns = kept.numel > 1 && loop.stride[1][0] != 0;
}

namespace {
Array strided(const Lines& l, int64_t outer, int64_t n, int64_t inner) {
  return {nullptr, DType::u8, {l.outer, l.n, l.inner}, {outer, n, inner}};
}
}  // namespace

Reduction::Reduction(Lines l) : Reduction(strided(l, l.inner, 0, 1), strided(l, l.n * l.inner, l.inner, 1)) {}

void reduce(int op, const Array& out, const Array& in) {
  const DType t = in.dtype;
  ReduceEntry run = is_half(t)                           ? reduce_half(t, op)
                    : is_floating(t)                     ? reduce_float(t, op)
                    : t == DType::i64 || t == DType::i32 ? reduce_int(t, op)
                                                         : reduce_other(t, op);
  run(out, in);
}

}  // namespace ink::cuda
