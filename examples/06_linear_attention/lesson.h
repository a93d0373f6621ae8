// The candidates of lesson 06, and what is measured of them.
#pragma once
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <string>
#include <vector>

#include "autograd/attention.h"
#include "autograd/observe/profile.h"
#include "examples/support/plot/plot.h"
#include "include/inkstone/ink.h"
#include "nn/attention/linear/efficient.h"
#include "nn/attention/linear/linear.h"

namespace ink::lesson {

// Ways of attention over tokens q, k, v [n, d], and the weights [n, n] that each implies: its output for e_1 ... e_n.
struct Candidate {
  const char* name;
  Tensor (*attend)(const Tensor& q, const Tensor& k, const Tensor& v);
  Tensor weights(const Tensor& q, const Tensor& k) const { return attend(q, k, eye(k.size(0), k.options())); }
};
inline const Candidate kCandidates[] = {
    {"softmax", [](auto& q, auto& k, auto& v) { return scaled_dot_product_attention(q, k, v); }},
    {"elu + 1", [](auto& q, auto& k, auto& v) { return linear_attention(q, k, v); }},
    {"two softmaxes", [](auto& q, auto& k, auto& v) { return efficient_attention(q, k, v); }},
    {"Taylor", [](auto& q, auto& k, auto& v) { return linear_attention(q, k, v, {.feature = FeatureMap::taylor}); }}};

inline double largest(const Tensor& t) { return t.abs().max().item(); }

// A vector per character of an ASCII text, equal ones for equal characters; [characters, d].
inline Tensor random_vectors(const std::string& text, int64_t d, const Options& numbers) {
  std::vector<int64_t> codes(text.begin(), text.end());
  Tensor rows = from_data(std::span<const int64_t>(codes), {int64_t(codes.size())}).to(numbers.device);
  return index_select(randn({128, d}, numbers), 0, rows);
}

// Singular values of a square matrix, falling: the upper half of the eigenvalues of [0 A; A^T 0], which are +-s.
inline Tensor singular_values(const Tensor& a) {
  int64_t n = a.size(0);
  Tensor zero = zeros_like(a);
  Tensor both = std::get<0>(eigh(cat({cat({zero, a}, 1), cat({a.t(), zero}, 1)})));
  return flip(both.narrow(0, n, n), {0});
}

// Floating point operations in f, counted.
template <class F> double flops(const F& f) {
  Profile profile;
  f();
  double sum = 0;
  for (const ProfileRow& row : profile.rows()) sum += row.flops;
  return sum;
}

// Milliseconds that f takes: the least of a few runs. Reading an element waits for the device.
template <class F> double least_ms(const F& f, int runs = 5) {
  double least = INFINITY;
  for (int i = 0; i < runs; ++i) {
    auto begin = std::chrono::steady_clock::now();
    f().flatten()[0].item();
    least = std::min(least, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return least * 1e3;
}

// One head over n tokens: linear, linear causal, softmax in tiles, softmax with all its scores; ms each.
inline std::array<double, 4> times_at(int64_t n, int64_t d, const Options& numbers) {
  const Shape shape{1, 1, n, d};
  Tensor q = randn(shape, numbers), k = randn(shape, numbers), v = randn(shape, numbers);
  auto softmax_by = [&](AttentionAlgorithm a) { return scaled_dot_product_attention(q, k, v, {.algorithm = a}); };
  return {least_ms([&] { return linear_attention(q, k, v); }),
          least_ms([&] { return linear_attention(q, k, v, {.causal = true}); }),
          least_ms([&] { return softmax_by(AttentionAlgorithm::flash); }),
          least_ms([&] { return softmax_by(AttentionAlgorithm::naive); })};
}

}  // namespace ink::lesson
