// Where the poles of a system lie: the roots of polynomials, and eigenvalues of a diagonal matrix less one of low rank.
#pragma once
#include "tensor/tensor.h"

namespace ink {

// The roots of z^d + a_1 z^{d-1} + .. + a_d for each row of a [rows, d] (real) -> c128 [rows, d], all at once by
// Aberth's iteration (Aberth 1973) in f64. Roots that lie close together are found to fewer digits.
Tensor polynomial_roots(const Tensor& a);

// The eigenvalues of diag(lambda) - P^T conj(P), for lambda [n] and P [rank, n] (c128) -> c128 [n]: the roots of
// det(1 + P^* (z - lambda)^{-1} P), rank 1 or 2, by the same iteration. As accurate as the eigenvalues are well
// conditioned: those of HiPPO's LegS to n of about 16. ValueError for another rank.
Tensor low_rank_eigenvalues(const Tensor& lambda, const Tensor& P);

}  // namespace ink
