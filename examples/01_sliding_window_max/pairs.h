// The logarithm of a windowed sum of exponentials, three ways: afresh, by merging pairs, by adding and taking off.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "examples/01_sliding_window_max/lesson.h"

namespace ink::lesson {

// The log of a windowed sum of exponentials is built from pairs (m, l): maximum, and sum of e^{x - m}.
struct Pair {
  float m, l;
};
inline Pair merge(Pair a, Pair b) {
  float m = std::max(a.m, b.m);
  return {m, a.l * std::exp(a.m - m) + b.l * std::exp(b.m - m)};  // (1.12)
}

// log sum e^x over every window: afresh in f64; by blocks of pairs; and by adding what enters and subtracting what
// leaves.
inline std::vector<double> log_sum_exp(const Samples& x, size_t k) {
  std::vector<double> out;
  for (size_t i = 0; i + k <= x.size(); ++i) {
    double sum = 0;
    for (size_t j = i; j < i + k; ++j) sum += std::exp(double(x[j]));
    out.push_back(std::log(sum));
  }
  return out;
}
inline std::vector<double> log_sum_exp_merged(const Samples& x, size_t k) {
  std::vector<Pair> pairs;
  for (float v : x) pairs.push_back({v, 1});
  std::vector<double> out;
  for (Pair p : blocks(pairs, k, merge)) out.push_back(double(p.m + std::log(p.l)));
  return out;
}
inline std::vector<double> log_sum_exp_unadded(const Samples& x, size_t k) {
  std::vector<double> out;
  float s = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    s += std::exp(x[i]) - (i >= k ? std::exp(x[i - k]) : 0);
    if (i + 1 >= k) out.push_back(s > 0 ? std::log(double(s)) : NAN);
  }
  return out;
}

}  // namespace ink::lesson
