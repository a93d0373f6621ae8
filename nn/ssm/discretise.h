// From a continuous system x' = A x + B u to steps x_k = A_bar x_{k-1} + B_bar u_k, for a step size Delta.
#pragma once
#include <cstdint>

#include "tensor/tensor.h"

namespace ink {

enum class Discretisation {
  forward_euler,   // A_bar = I + Delta A, B_bar = Delta B; first order, unstable once |1 + Delta a| > 1
  backward_euler,  // A_bar = (I - Delta A)^{-1}, B_bar = A_bar Delta B; first order, stable for every stable A
  // (I - Delta A / 2)^{-1} (I + Delta A / 2), (I - Delta A / 2)^{-1} Delta B; second order, stable (Tustin 1947)
  bilinear,
  zoh,      // e^{Delta A}, A^{-1} (e^{Delta A} - I) B: exact while u is constant over a step
  euler_b,  // e^{Delta A}, Delta B: what Mamba's code does (its paper has zoh)
};

struct DiscreteSystem {
  Tensor A, B;  // of the shapes they had before; those of A_bar and B_bar
};

// A [n, n], B [n], real or complex (both become complex if one is); halves are computed in f32. ValueError for a step
// size that is not positive and finite, ShapeError if shapes do not fit, LinalgError where an implicit method has a
// singular I - Delta A. A pole outside the unit circle is told by warn_if_unstable_matrix.
DiscreteSystem discretise(const Tensor& A, const Tensor& B, double step, Discretisation method);
// A system with a diagonal A: `a`, B and step (all real and complex dtypes) broadcast; a step may be a tensor that is
// learnt. zoh is exact at a = 0 too. ValueError as above, which looks at the step on the host (while a graph is
// captured it does not); a pole outside the unit circle is told by warn_if_unstable.
DiscreteSystem discretise_diagonal(const Tensor& a, const Tensor& B, const Tensor& step, Discretisation method);
// The generalised bilinear transform: (I - alpha Delta A) x_k = (I + (1 - alpha) Delta A) x_{k-1} + Delta B u_k. alpha
// = 0, 1/2, 1 are forward Euler, bilinear, backward Euler. ValueError unless 0 <= alpha <= 1.
DiscreteSystem discretise_gbt(const Tensor& A, const Tensor& B, double step, double alpha);

// Schemes for x' = (A x + B u) / t from time k to k + 1, k >= 1 (no step size: the memory does not depend on how
// densely time is sampled).
enum class OverTimeScheme {
  forward_euler,   // 1 / k on the right
  backward_euler,  // 1 / (k + 1) on the left
  bilinear_plain,  // 1 / k on the right, 1 / (k + 1) on the left, B u / k: first order only
  // bilinear with 1 / (k + 1/2) everywhere: second order, and the first coordinate of LegS is the running mean exactly
  midpoint,
  zoh,  // e^{A ln((k + 1) / k)}: exact while u is constant over a step
};
// The step from time k to k + 1 as A_bar [n, n] and B_bar [n]. ValueError for k < 1.
DiscreteSystem step_over_time(const Tensor& A, const Tensor& B, int64_t k, OverTimeScheme scheme);

}  // namespace ink
