// Systems whose matrix is diagonal plus low rank (DPLR), the form in which S4 keeps HiPPO's (Gu et al. 2021, arXiv
// 2111.00396):
//
//   x' = (Lambda - P P^*) x + B u,   y = C x.
//
// HiPPO's matrices are not diagonalised, since their eigenvectors grow beyond all bounds; but a matrix of rank 1 or 2
// added to them gives a multiple of the identity plus a skew matrix, which a unitary V diagonalises:
// A = V (Lambda - P P^*) V^*. As A is real, everything comes in conjugate pairs, and one of each is stored: all sums
// below are twice the real part of sums over `pairs` = N / 2 terms.
#pragma once
#include <cstdint>

#include "nn/ssm/hippo.h"
#include "tensor/tensor.h"

namespace ink {

struct Dplr {
  Tensor lambda;  // [.., pairs], complex
  Tensor P;       // [.., rank, pairs]
  Tensor B, C;    // [.., pairs]; C is a row: y = 2 Re sum C x
};

// Lambda, P and V^* B of HiPPO's matrix in that form, c128, by an eigendecomposition of a hermitian matrix; C is
// undefined. legs has rank 1, legt rank 2 and fout rank 1 (n / 2 frequencies 0, 1, .. with a sine and a cosine each;
// the sine of frequency 0 is a state that no input reaches, with eigenvalue 0: a layer gives it some decay). ValueError
// for an odd n or another kind.
Dplr hippo_dplr(HippoKind kind, int64_t n, double window = 1);

// A as a matrix [.., 2 pairs, 2 pairs] in the basis of both conjugates (Lambda, then its conjugate); b and c alike.
struct DenseSystem {
  Tensor A, B, C;  // [.., N, N], [.., N], [.., N]
};
DenseSystem dense(const Dplr& s);

// The kernel K_t = C A_bar^t B_bar of the bilinear discretisation, t = 0 .. length - 1, from the truncated generating
// function at the roots of unity: [.., length] real. C stands for C-tilde = C (1 - A_bar^length); with C itself the
// result is the kernel wrapped around, sum over m of K_{t + m length}. `step` [..] is Delta. O(rank^2 pairs length).
// The formula of the paper is infinity times 0 at the root -1, which an even length has; here it is multiplied through
// by 1 + z, and -1 is a root like any other.
Tensor dplr_kernel(const Dplr& s, const Tensor& step, int64_t length);

// One step x_k = A_bar x_{k-1} + B_bar u_k of that discretisation in O(rank pairs), by Woodbury's identity.
class DplrStep {
 public:
  DplrStep() = default;
  DplrStep(const Dplr& s, const Tensor& step);
  // x [batch, .., pairs], u [batch, ..] -> the next x.
  Tensor operator()(const Tensor& x, const Tensor& u) const;

 private:
  Tensor before_, P_, inverse_, correction_, B_;
};

}  // namespace ink
