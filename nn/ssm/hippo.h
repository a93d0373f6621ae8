// HiPPO: online memory of a function by its coefficients in a basis (Gu et al. 2020). The coefficients follow a linear
// system
//
//   x' = A x + B u   over a window that moves along (LegT, LagT, FouT), or
//   x' = (A x + B u) / t   over all that was seen, stretched to the interval [0, 1] (LegS, FouS).
#pragma once
#include <cstdint>

#include "tensor/tensor.h"

namespace ink {

// The basis and the stretch of time that it covers. Sources: Gu et al. 2020 (HiPPO), Gu et al. 2022 ("How to train your
// HiPPO").
enum class HippoKind {
  legt,  // Legendre polynomials over the last `window`
  legs,  // Legendre polynomials over the whole past
  lagt,  // Laguerre functions: the past, weighted by an exponential
  // Fourier series over the last `window`; the jump between its ends counted as the mean of both (Gu et al. 2022)
  fout,
  fout_plain,  // the same with the series' value taken for the sample that leaves: it does not converge at the jump
  fous,        // Fourier series over the whole past
};

struct Hippo {
  HippoKind kind;
  Tensor A, B;     // [n, n], [n]; f64, c128 for Fourier kinds
  double window;   // in units of time; of legt and the two fout
  bool over_time;  // x' = (A x + B u) / t
};

// n coefficients; for the Fourier kinds n is odd, frequencies -(n-1)/2 .. (n-1)/2. ValueError for n < 1, an even n
// there, or a window that is not positive.
Hippo hippo(HippoKind kind, int64_t n, double window = 1);

// The basis functions at the places s [points] (f64) -> [points, n]: the memory x at time T stands for the function
//   u(T - window (1 - s)) for legt and fout, u(s T) for legs and fous (s = 1 is now), u(T - s) for lagt
// through the sum over n of basis [s, n] x_n (its real part).
Tensor hippo_basis(const Hippo& h, const Tensor& s);

// A x and (I - step A)^{-1} x for LegS in O(n), along the last dim of x. With v_n = sqrt(2n + 1), A = diag(n) - tril(v
// v^T): the product is a running sum, the solution a first-order linear recurrence. Gu et al. 2020, appendix E. Halves
// are computed in f32. DTypeError for integers, ValueError for a step that is not positive and finite.
Tensor legs_multiply(const Tensor& x);
Tensor legs_solve(const Tensor& x, double step);

}  // namespace ink
