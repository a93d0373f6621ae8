// Poles: where they lie, and what is said of those that grow. A mode of a discrete system goes as pole^t, so all poles
// must lie inside the unit circle.
#pragma once
#include <cstdint>

#include "tensor/tensor.h"

namespace ink {

// The roots of z^d + a_1 z^{d-1} + .. + a_d for each row of a [rows, d] (real) -> c128 [rows, d], all at once by
// Aberth's iteration (Aberth 1973) in f64. Roots that lie close together are found to fewer digits.
Tensor polynomial_roots(const Tensor& a);

// The eigenvalues of diag(lambda) - P^T conj(P), for lambda [n] and P [rank, n] (c128) -> c128 [n]: the roots of
// det(1 + P^* (z - lambda)^{-1} P), rank 1 or 2, by the same iteration. As accurate as the eigenvalues are well
// conditioned: those of HiPPO's LegS to n of about 16. ValueError for another rank.
Tensor low_rank_eigenvalues(const Tensor& lambda, const Tensor& P);

// For poles [channels, poles] of a discrete system: if some lie outside the unit circle, one line on std::cerr that
// names the layer, how many there are, and the largest with its channel. Returns their number.
int64_t warn_if_unstable(const char* layer, const Tensor& poles);

}  // namespace ink
