// Sums and dot products in lesson 10, by several rules, in any format.
#pragma once
#include <vector>

#include "include/inkstone/ink.h"
#include "include/inkstone/precision.h"

namespace ink::lesson {

// Kahan 1965: what an addition rounded away is carried along and added to the next term.
inline double kahan_sum(const std::vector<double>& x, const FloatFormat& f) {
  double s = 0, carry = 0;
  for (double v : x) {
    const double term = f.round(v - carry), next = f.round(s + term);
    carry = f.round(f.round(next - s) - term);
    s = next;
  }
  return s;
}
// Halves are summed apart, so that a term goes through log2 n additions.
inline double pairwise_sum(const double* x, size_t n, const FloatFormat& f) {
  if (n == 1) return x[0];
  return f.round(pairwise_sum(x, n / 2, f) + pairwise_sum(x + n / 2, n - n / 2, f));
}
inline double plain_sum(const std::vector<double>& x, const FloatFormat& f) {
  double s = 0;
  for (double v : x) s = f.round(s + v);
  return s;
}

}  // namespace ink::lesson
