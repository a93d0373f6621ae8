// Softmax of one row of scores in three passes, two and one, in plain loops over f32 arrays that count what they move.
// Slow memory (HBM) is what stands in a Matrix or a Row; it is read and written through `Slow`, which counts.
// Everything else is fast memory, on the chip.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "tensor/math/online.h"

namespace ink::lesson {

using Row = std::vector<float>;

struct Matrix {
  int64_t rows = 0, cols = 0;
  Row values = {};
  Matrix(int64_t rows, int64_t cols, float fill = 0) : rows(rows), cols(cols), values(size_t(rows * cols), fill) {}
  float* operator[](int64_t r) { return &values[size_t(r * cols)]; }
  const float* operator[](int64_t r) const { return &values[size_t(r * cols)]; }
};

// Numbers moved from and to slow memory, and arithmetic: a +, -, *, /, max or exp is one operation.
struct Slow {
  int64_t reads = 0, writes = 0, flops = 0, passes = 0;  // passes: over the row of scores
  int64_t moved() const { return reads + writes; }

  const Row& pass(const Row& x, int64_t flops_each) {
    return passes += 1, reads += int64_t(x.size()), flops += flops_each * int64_t(x.size()), x;
  }
  Matrix load(const Matrix& x, int64_t first, int64_t count) {  // rows first .. first + count - 1, as far as there are
    Matrix part(std::min(count, x.rows - first), x.cols);
    std::copy_n(x[first], part.values.size(), part.values.data());
    return reads += int64_t(part.values.size()), part;
  }
  Row load(const Row& x, int64_t first, int64_t count) {
    return reads += count, Row(x.begin() + first, x.begin() + first + count);
  }
  void store(Matrix& x, int64_t first, const Matrix& part) {
    std::copy(part.values.begin(), part.values.end(), x[first]), writes += int64_t(part.values.size());
  }
  void store(Row& x, int64_t first, const Row& part) {
    std::copy(part.begin(), part.end(), x.begin() + first), writes += int64_t(part.size());
  }
};

// What an algorithm calls when nobody looks at its steps.
struct Unwatched {
  void operator()(auto&&...) const {}
};

// Three passes. e^x alone overflows beyond 88, so the maximum is taken off first: that is one pass more.
inline Row safe_softmax(const Row& x, Slow& slow) {
  float m = fn::lowest<float>(), l = 0;
  Row y;
  for (float v : slow.pass(x, 1)) m = std::max(m, v);                // (4.2)
  for (float v : slow.pass(x, 3)) l += std::exp(v - m);              // (4.2)
  for (float v : slow.pass(x, 3)) y.push_back(std::exp(v - m) / l);  // (4.2)
  return slow.writes += int64_t(y.size()), y;
}

// Two passes: m and l in one. Whenever the maximum grows, the sum so far is rescaled (Milakov & Gimelshein 2018,
// algorithm 3).
inline Row online_softmax(const Row& x, Slow& slow) {
  float m = fn::lowest<float>(), l = 0;
  Row y;
  for (float v : slow.pass(x, 7)) {
    const float before = m;
    m = std::max(m, v);                              // (4.3)
    l = l * std::exp(before - m) + std::exp(v - m);  // (4.3)
  }
  for (float v : slow.pass(x, 3)) y.push_back(std::exp(v - m) / l);
  return slow.writes += int64_t(y.size()), y;
}

// Attention of one query, given its scores x: o = sum_t softmax(x)_t v_t, by one of the two softmaxes above ...
inline Row weighted_sum(const Row& weights, const Matrix& v, Slow& slow) {
  Row o(size_t(v.cols), 0);
  const Row& p = slow.pass(weights, 2 * v.cols);
  slow.reads += v.rows * v.cols;
  for (int64_t t = 0; t < v.rows; ++t)
    for (int64_t c = 0; c < v.cols; ++c) o[size_t(c)] += p[size_t(t)] * v[t][c];
  return o;
}

// ... or in one pass (Ye 2023, algorithm 5, with the division at the end): only o is wanted, and o can be rescaled as l
// is. `watch(k, m, l, o, factor)` after every key.
template <class Watch = Unwatched>
Row fused_attention(const Row& x, const Matrix& v, Slow& slow, const Watch& watch = {}) {
  float m = fn::lowest<float>(), l = 0;
  Row o(size_t(v.cols), 0);
  slow.pass(x, 7 + 3 * v.cols), slow.reads += v.rows * v.cols;
  for (int64_t k = 0; k < v.rows; ++k) {
    const float before = m;
    m = std::max(m, x[size_t(k)]);
    const float factor = std::exp(before - m), e = std::exp(x[size_t(k)] - m);
    l = l * factor + e;
    for (int64_t c = 0; c < v.cols; ++c) o[size_t(c)] = o[size_t(c)] * factor + e * v[k][c];  // (4.4)
    watch(k, m, l, o, factor);
  }
  for (float& c : o) c /= l;
  return o;
}

// What has been seen of a row: m and l, and o = sum e^{x_t - m} v_t; the answer is o / l. States of parts merge into
// the state of the whole, in any order.
template <class T> struct Partial {
  fn::Online<T> sum = {};
  std::vector<T> o;
};
template <class T> Partial<T> merge(const Partial<T>& a, const Partial<T>& b) {
  Partial<T> out{fn::online_merge(a.sum, b.sum), a.o};
  const T of_a = fn::online_scale(a.sum.m, out.sum.m), of_b = fn::online_scale(b.sum.m, out.sum.m);
  for (size_t c = 0; c < out.o.size(); ++c) out.o[c] = of_a * a.o[c] + of_b * b.o[c];  // (4.5)
  return out;
}

// ---------------------------------------------------------------------------------------- what they are held to
// The larger of two errors; NaN counts as infinitely large.
inline double worse(double a, double b) { return b <= a ? a : std::isnan(b) ? INFINITY : b; }
inline std::vector<double> exact_softmax(const Row& x) {
  const double m = *std::max_element(x.begin(), x.end());
  double l = 0;
  std::vector<double> y;
  for (float v : x) y.push_back(std::exp(v - m)), l += y.back();
  for (double& p : y) p /= l;
  return y;
}
// The largest relative error of a row of weights.
inline double error_of(const Row& y, const std::vector<double>& exact) {
  double worst = 0;
  for (size_t t = 0; t < y.size(); ++t) worst = worse(worst, std::abs(y[t] / exact[t] - 1));
  return worst;
}

}  // namespace ink::lesson
