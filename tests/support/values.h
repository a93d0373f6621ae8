// Test data for kernels: reproducible numbers, comparisons, and the same call on one and on two threads.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "tensor/backend/kernels.h"
#include "tensor/parallel.h"

namespace ink::test {

// Normal numbers, rounded to T.
template <class T> std::vector<T> normal_values(int64_t n, unsigned seed, double scale = 1) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0, scale);
  std::vector<T> values(n);
  for (T& v : values) v = T(normal(random));
  return values;
}

// Integers in [0, high): as T, or as indices.
template <class T> std::vector<T> whole_values(int64_t n, int64_t high, unsigned seed) {
  std::mt19937_64 random(seed);
  std::vector<T> values(n);
  for (int64_t i = 0; i < n; ++i) values[i] = T(int64_t(random() % uint64_t(high)));
  return values;
}

// The largest |a - b| / (1 + |b|); infinite where only one is NaN or they differ in an infinity.
template <class T, class U> double error(const std::vector<T>& a, const std::vector<U>& b) {
  if (a.size() != b.size()) return INFINITY;
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    double x = double(a[i]), y = double(b[i]);
    if (std::isnan(x) && std::isnan(y)) continue;
    if (x == y) continue;
    double e = std::abs(x - y) / (1 + std::abs(y));
    worst = std::isfinite(e) ? std::max(worst, e) : INFINITY;
  }
  return worst;
}

// The rounding error that T allows after a row of operations.
template <class T> constexpr double tolerance = sizeof(T) == 4 ? 4e-6 : 1e-13;

// NaN and -0 as they are.
template <class T> bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  auto bytes = [](const std::vector<T>& v) { return reinterpret_cast<const char*>(v.data()); };
  return a.size() == b.size() && std::equal(bytes(a), bytes(a) + a.size() * sizeof(T), bytes(b));
}

// Runs f() on one thread, then on two, and says whether all bytes of what it returns agree.
template <class F> bool same_on_two_threads(F f) {
  int before = num_threads();
  set_num_threads(1);
  auto one = f();
  set_num_threads(2);
  auto two = f();
  set_num_threads(before);
  return same_bits(one, two);
}

}  // namespace ink::test
