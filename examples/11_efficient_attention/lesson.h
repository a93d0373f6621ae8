// Lesson 11: signals, errors, and how long things take.
#pragma once
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <vector>

#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"
#include "include/inkstone/testing.h"
#include "nn/attention/hashed/lsh.h"
#include "nn/attention/kinds.h"
#include "nn/attention/linear/performer.h"
#include "nn/attention/lowrank/linformer.h"
#include "nn/attention/lowrank/lowrank_core.h"
#include "nn/attention/lowrank/nystrom.h"
#include "nn/attention/sparse/sparse.h"

namespace ink::lesson {

// ---- signals

// Rows that change slowly: `waves` sine waves a channel, [n, d] of variance about 1.
inline Tensor smooth(int64_t n, int64_t d, int64_t waves, Generator& g) {
  Tensor t = arange(0, n, 1, f64).unsqueeze(1) * (2 * M_PI / double(n)), x = zeros({n, d}, f64);
  for (int64_t w = 1; w <= waves; ++w)
    x = x + randn({1, d}, f64, &g) * sin(t * double(w) + rand({1, d}, f64, &g) * (2 * M_PI));
  return x * std::sqrt(2 / double(waves));
}
struct Triple {
  Tensor q, k, v;  // each [n, d]
  Tensor exact() const { return scaled_dot_product_attention(q, k, v); }
};
inline Triple smooth_triple(int64_t n, int64_t d, int64_t waves, Generator& g) {
  return {smooth(n, d, waves, g), smooth(n, d, waves, g), smooth(n, d, waves, g)};
}
inline Triple normal_triple(int64_t n, int64_t d, Generator& g) {
  return {randn({n, d}, f64, &g), randn({n, d}, f64, &g), randn({n, d}, f64, &g)};
}
inline double relative(const Tensor& got, const Tensor& exact) { return (norm(got - exact) / norm(exact)).item(); }
inline double largest(const Tensor& difference) { return difference.abs().max().item(); }

// `count` directions, and n unit vectors near them in random order: what a hash should find.
inline Tensor clusters(int64_t n, int64_t d, int64_t count, double noise, Generator& g) {
  Tensor centres = randn({count, d}, f64, &g), which = remainder(randperm(n, &g), count);
  Tensor x = centres.index({which}) + noise * randn({n, d}, f64, &g);
  return x / norm(x, {-1}, true) * (8 * std::sqrt(double(d)));  // scores of up to 8
}
// The softmax weights of full attention with shared queries and keys, [n, n]; and the pairs that LSH attention sees.
inline Tensor lsh_weights(const Tensor& x, const LshOptions& o) {
  return lsh_attention(x, eye(x.size(0), x.options()), o);
}
inline Tensor shared_weights(const Tensor& x) { return lsh_weights(x, {.bucket_size = x.size(0), .rounds = 1}); }

// Pairs of unit vectors with one cosine, rows 2 i and 2 i + 1; and the share of `rounds` in which each met.
inline Tensor pairs_at(double cosine, int64_t pairs, int64_t d, Generator& g) {
  Tensor a = randn({pairs, d}, {}, &g), b = randn({pairs, d}, {}, &g);
  a = a / norm(a, {-1}, true);
  b = b - sum(a * b, {-1}, true) * a;
  b = b / norm(b, {-1}, true);
  return stack({a, cosine * a + std::sqrt(std::max(0., 1 - cosine * cosine)) * b}, 1).reshape({2 * pairs, d});
}
inline Tensor meetings(const Tensor& pairs, int64_t buckets, int64_t rounds, Generator& g) {  // [rounds, pairs]
  Tensor h = lsh_hash(pairs, buckets, rounds, &g).reshape({rounds, -1, 2});
  return (select(h, 2, 0) == select(h, 2, 1)).to(f64);
}

struct Setup {
  int64_t steps, draws, longest, reading_steps, reading_batch;
};

template <class F> double milliseconds(F f, int repeats) {  // the best of some runs: the others met a busy machine
  using Clock = std::chrono::steady_clock;
  double best = INFINITY;
  for (int i = 0; i < repeats; ++i) {
    auto start = Clock::now();
    Tensor y = f();
    (void)y.flatten()[0].item();  // a device has finished when a value is there
    best = std::min(best, std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  }
  return best;
}

}  // namespace ink::lesson
