// The matrix exponential by scaling and squaring: e^A = r(A / 2^s)^(2^s), r the [13/13] Pade approximant (Higham 2005,
// The scaling and squaring method for the matrix exponential revisited, alg. 2.3). All in public ops, so gradients
// follow.
#include <fmt/format.h>

#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "tensor/raw/raw.h"

namespace ink {

// The number of halvings after which the largest 1-norm of the batch is at most theta_13, where r is exact to f64
// rounding.
static int halvings(const Tensor& a) {
  constexpr double theta = 5.371920351148152;
  NoGrad guard;
  double norm = a.numel() == 0 ? 0 : max(sum(abs(a), -2)).item();
  return std::isfinite(norm) && norm > theta ? int(std::ceil(std::log2(norm / theta))) : 0;
}

Tensor matrix_exp(const Tensor& x) {
  if (x.dim() < 2 || x.size(-1) != x.size(-2))
    throw ShapeError(fmt::format("matrix_exp: not square; got {}; expected [..., n, n]", x.shape().str()));
  const int s = halvings(x);
  const DType t = raw::computed_in("matrix_exp", x.dtype(), kField);
  const Tensor a = to(x, compute_type(t)) * std::ldexp(1.0, -s), one = eye(a.size(-1), a.options());
  // b_k / b_0 of eq. 2.5
  constexpr double b0 = 64764752532480000.;
  constexpr double b[] = {1,
                          32382376266240000. / b0,
                          7771770303897600. / b0,
                          1187353796428800. / b0,
                          129060195264000. / b0,
                          10559470521600. / b0,
                          670442572800. / b0,
                          33522128640. / b0,
                          1323241920. / b0,
                          40840800. / b0,
                          960960. / b0,
                          16380. / b0,
                          182. / b0,
                          1. / b0};
  const Tensor a2 = matmul(a, a), a4 = matmul(a2, a2), a6 = matmul(a2, a4);
  Tensor odd = matmul(a6, b[13] * a6 + b[11] * a4 + b[9] * a2) + b[7] * a6 + b[5] * a4 + b[3] * a2 + b[1] * one;
  Tensor u = matmul(a, odd);
  Tensor v = matmul(a6, b[12] * a6 + b[10] * a4 + b[8] * a2) + b[6] * a6 + b[4] * a4 + b[2] * a2 + b[0] * one;
  Tensor r = solve(v - u, v + u);
  for (int i = 0; i < s; ++i) r = matmul(r, r);
  return to(r, t);
}

}  // namespace ink
