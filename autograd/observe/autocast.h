// Autocast: while it is on, products and convolutions compute in f16 or bf16, and ops that need range (exp, log, sums,
// losses) in f32; the casts are ops with gradients. Micikevicius et al. 2017. The lists are those of torch.autocast:
//
//   f16 or bf16: matmul, linear, addmm, einsum, convolutions, softmax attention
//   f32: exp, expm1, log.., pow, reciprocal, rsqrt, tan, sinh, cosh, asin, acos, erfinv; sum, prod, cumsum, norm;
//     softmax, softplus; norms of layers; losses; linear algebra; linear attention, recurrences and scans
//   as they come, the widest of several: all others. f64 is left alone.
//   refused: binary_cross_entropy on probabilities; binary_cross_entropy_with_logits is meant
//
// The 16-bit form of a parameter (an f32 leaf with a gradient) is made once and kept until the outermost Autocast ends.
#pragma once
#include "autograd/graph/mode.h"
#include "tensor/math/dtype.h"
#include "tensor/tensor_fwd.h"

namespace ink {

// x as products and attention take it: in autocast's dtype while it is on (f64 stays), else x itself. For ops that look
// at dtypes before they are called.
Tensor lowered(const Tensor& x);

DType autocast_dtype();  // the dtype of the innermost Autocast of this thread

class Autocast {
 public:
  explicit Autocast(DType dtype = bf16, bool on = true);  // DTypeError unless f16 or bf16
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  DType before_;
  ObserverScope on_;
};

}  // namespace ink
