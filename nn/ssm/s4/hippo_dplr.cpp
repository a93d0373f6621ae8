// HiPPO's matrices as diagonal plus low rank.
#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "autograd/ops.h"
#include "nn/ssm/s4/dplr.h"

namespace ink {
namespace {

// P [rank, n] such that A + P^T P is a multiple of the identity plus a skew matrix. Both kinds have v_n = sqrt(2n + 1).
Tensor low_rank_of(const Hippo& h) {
  const Tensor n = arange(0, h.B.size(0), 1, f64), v = sqrt(2 * n + 1);
  if (h.kind == HippoKind::legs) return unsqueeze(v * std::sqrt(0.5), 0);  // A + A^T = -1 - v v^T
  // A + A^T = -(2 / w) v_j v_k where j - k is even, 0 elsewhere: the even entries of v, and the odd ones
  const Tensor odd = remainder(n, 2);
  return stack({v * (1 - odd), v * odd}, 0) / std::sqrt(h.window);
}

// The Fourier basis diagonalises a shift in time as it is: frequency j has the pair of eigenvalues +-2 pi i j / w.
Dplr fourier_dplr(int64_t n, double window) {
  const Tensor j = arange(0, n / 2, 1, f64), zero = zeros_like(j);
  // the real basis is 1, sqrt(2) cos, sqrt(2) sin, ..; a sine and a cosine are the parts of a pair, over sqrt(2)
  const Tensor b = where(j == 0, full_like(j, std::sqrt(0.5)), ones_like(j));
  return {.lambda = complex_of(zero, j * (2 * std::numbers::pi / window)),
          .P = complex_of(unsqueeze(b * std::sqrt(2 / window), 0), unsqueeze(zero, 0)),
          .B = complex_of(b * (2 / window), zero),
          .C = {}};
}

}  // namespace

Dplr hippo_dplr(HippoKind kind, int64_t n, double window) {
  if (n < 2 || n % 2)
    throw ValueError(fmt::format("hippo_dplr: states come in conjugate pairs; got {}; expected an even number", n));
  if (kind == HippoKind::fout) return hippo(kind, 1, window), fourier_dplr(n, window);
  if (kind != HippoKind::legs && kind != HippoKind::legt)
    throw ValueError("hippo_dplr: no diagonal plus low rank form is known here; expected legs, legt or fout");
  const Hippo h = hippo(kind, n, window);
  const Tensor P = low_rank_of(h), S = h.A + matmul(P.t(), P);  // (9.35)
  const double decay = mean(diagonal(S)).item();                // S = decay + a skew matrix
  // -i times a skew matrix is hermitian: its eigenvalues are the frequencies
  const auto [frequency, V] = eigh(complex_of(zeros_like(S), -(S - decay * eye(n, f64))));  // (9.36)
  const Tensor adjoint = conj(V.t()), positive = arange(n / 2, n, 1, {i64, S.device()});
  const auto kept = [&](const Tensor& x, int64_t dim) { return index_select(x, dim, positive); };
  return {.lambda = complex_of(full({n / 2}, decay, f64), kept(frequency, 0)),
          .P = kept(matmul(to(P, c128), adjoint.t()), 1),
          .B = kept(matmul(adjoint, to(h.B, c128)), 0),
          .C = {}};
}

}  // namespace ink
