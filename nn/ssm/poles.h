// The poles of a linear recurrence h_t = a h_{t-1} + b_t: one outside the unit circle makes the state grow without
// bound.
#pragma once
#include <string>

#include "tensor/tensor.h"

namespace ink {

// What is unstable about these poles (real or complex, any shape): "" if all moduli are at most 1 + tolerance, else how
// many are not, the worst of them and its modulus. NaN counts as unstable.
std::string instability(const Tensor& poles, double tolerance = 1e-5);

// Warns (nn/warning.h), once an op, "op: <instability>; hint: ..." if there is any, and says whether there is. Nothing
// is asked of a device while a graph is being captured: false.
bool warn_if_unstable(const char* op, const Tensor& poles);

// The same for h_t = A h_{t-1} + b_t with a dense A [n, n]: the poles are its eigenvalues, O(n^3).
bool warn_if_unstable_matrix(const char* op, const Tensor& A);

}  // namespace ink
