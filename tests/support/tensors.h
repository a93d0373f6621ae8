// Tensors in tests: their elements as numbers, and layouts other than the contiguous one.
#pragma once
#include <random>
#include <vector>

#include "autograd/ops.h"

namespace ink::test {

using Values = std::vector<double>;

// All elements in row-major order.
inline Values values(const Tensor& t) { return t.to_vector<double>(); }

// Normal numbers that do not depend on the library's own generator; f64 unless asked otherwise.
inline Tensor random_tensor(const Shape& shape, unsigned seed, DType dtype = f64) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> v(size_t(shape.numel()));
  for (double& x : v) x = normal(random);
  return to(from_data(std::span<const double>(v), shape), dtype);
}

// The same elements, every other one of a tensor twice as large in the last dim, with the first two dims swapped in
// memory.
inline Tensor strided(const Tensor& t) {
  if (t.dim() == 0) return t;
  Tensor turned = t.dim() > 1 ? contiguous(transpose(t, 0, 1)) : t;
  Tensor gaps = contiguous(stack({turned, zeros_like(turned)}, -1));
  Tensor s = select(gaps, -1, 0);
  return t.dim() > 1 ? transpose(s, 0, 1) : s;
}

}  // namespace ink::test
