// f16 and bf16 are for storage: between the inputs of a formula and its result everything is f32, and the result is
// rounded once. Ops with a kernel do so inside it; a formula that is composed of several ops does so by this function.
#pragma once
#include <tuple>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink {

// x in f32 if it is f16 or bf16, else x itself; it may be undefined.
inline Tensor widened(const Tensor& x) { return x.defined() && is_half(x.dtype()) ? to(x, f32) : x; }

// f(x...), computed in f32 if one of the x is f16 or bf16. The result then has the dtype that the x have in common;
// under autocast it stays f32, as the result of every op that needs range does there.
template <class F, class... T> Tensor in_f32_if_half(F f, const T&... x) {
  if (!(is_half(x.dtype()) || ...)) return f(x...);
  DType result = std::get<0>(std::tie(x...)).dtype();
  ((result = promote(result, x.dtype())), ...);
  Tensor y = f(widened(x)...);
  return mode().observers & kAutocast ? y : to(y, result);
}

}  // namespace ink
