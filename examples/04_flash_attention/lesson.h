// The algorithms of lesson 04, in plain loops over f32 arrays, each counting what it moves: attention of one head,
// without mask and scale, O = softmax(Q K^T) V. Slow memory (HBM) is what stands in a Matrix or a Row; it is read and
// written through `Slow`, which counts. Everything else is fast memory, on the chip.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
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
  void store(Matrix& x, int64_t first, const Matrix& part) {
    std::copy(part.values.begin(), part.values.end(), x[first]);
    writes += int64_t(part.values.size());
  }
};

// ---------------------------------------------------------------------------------------- the ladder, one row of
// scores Three passes. e^x alone overflows beyond 88, so the maximum is taken off first: that is one pass more.
inline Row safe_softmax(const Row& x, Slow& slow) {
  float m = fn::lowest<float>(), l = 0;
  Row y;
  for (float v : slow.pass(x, 1)) m = std::max(m, v);
  for (float v : slow.pass(x, 3)) l += std::exp(v - m);
  for (float v : slow.pass(x, 3)) y.push_back(std::exp(v - m) / l);
  return slow.writes += int64_t(y.size()), y;
}
// Two passes: m and l in one. Whenever the maximum grows, the sum so far is rescaled (Milakov & Gimelshein 2018, alg.
// 3):
//   m_k = max(m_{k-1}, x_k),   l_k = l_{k-1} e^{m_{k-1} - m_k} + e^{x_k - m_k}
inline Row online_softmax(const Row& x, Slow& slow) {
  fn::Online<float> s;
  Row y;
  for (float v : slow.pass(x, 8)) s = fn::online_merge(s, {v, 1});
  for (float v : slow.pass(x, 3)) y.push_back(std::exp(v - s.m) / s.l);
  return slow.writes += int64_t(y.size()), y;
}

// What has been seen of a row: m and l, and o = sum e^{x_t - m} v_t; the answer is o / l. States of parts merge into
// the state of the whole, in any order.
template <class T>
struct Partial {
  fn::Online<T> sum = {};
  std::vector<T> o;
};
template <class T>
Partial<T> merge(const Partial<T>& a, const Partial<T>& b) {
  Partial<T> out{fn::online_merge(a.sum, b.sum), a.o};
  const T of_a = fn::online_scale(a.sum.m, out.sum.m), of_b = fn::online_scale(b.sum.m, out.sum.m);
  for (size_t c = 0; c < out.o.size(); ++c) out.o[c] = of_a * a.o[c] + of_b * b.o[c];
  return out;
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
// ... or in one pass (Ye 2023, alg. 5): only o is wanted, and o can be rescaled as l is.
inline Row fused_attention(const Row& x, const Matrix& v, Slow& slow) {
  Partial<float> s{{}, Row(size_t(v.cols), 0)};
  slow.pass(x, 8 + 3 * v.cols), slow.reads += v.rows * v.cols;
  for (int64_t t = 0; t < v.rows; ++t) s = merge(s, {{x[size_t(t)], 1}, Row(v[t], v[t] + v.cols)});
  for (float& c : s.o) c /= s.sum.l;
  return s.o;
}

// ---------------------------------------------------------------------------------------- a whole head
// Scores and weights are written out and read again: 4 N d + 4 N^2 numbers.
inline Matrix standard_attention(const Matrix& q, const Matrix& k, const Matrix& v, Slow& slow) {
  Matrix s(q.rows, k.rows), p = s, o(q.rows, v.cols);
  const Matrix keys = slow.load(k, 0, k.rows), queries = slow.load(q, 0, q.rows);
  for (int64_t i = 0; i < q.rows; ++i)
    for (int64_t j = 0; j < k.rows; ++j)
      for (int64_t c = 0; c < q.cols; ++c) s[i][j] += queries[i][c] * keys[j][c];
  slow.writes += q.rows * k.rows;
  for (int64_t i = 0; i < q.rows; ++i) {
    Slow on_chip;  // a row of scores is in fast memory while its softmax is taken
    const Row y = safe_softmax(slow.load(s, i, 1).values, on_chip);
    std::copy(y.begin(), y.end(), p[i]), slow.writes += k.rows;
  }
  const Matrix values = slow.load(v, 0, v.rows);
  for (int64_t i = 0; i < q.rows; ++i) {
    const Matrix w = slow.load(p, i, 1);
    for (int64_t j = 0; j < k.rows; ++j)
      for (int64_t c = 0; c < v.cols; ++c) o[i][c] += w[0][j] * values[j][c];
  }
  return slow.writes += o.rows * o.cols, o;
}

// The states of a block of queries: `sums` and one row of o each. It lives on the chip while a tile is worked on.
struct Block {
  std::vector<fn::Online<float>> sums;
  Matrix o;
  Block(int64_t rows, int64_t cols) : sums(size_t(rows)), o(rows, cols) {}
};
// Takes a tile of keys and values into the states of a block of queries: the step that both loop orders share.
inline void absorb(Block& b, const Matrix& q, const Matrix& k, const Matrix& v) {
  for (int64_t i = 0; i < q.rows; ++i) {
    Row x(size_t(k.rows), 0), one{1};
    fn::Online<float> tile;  // (m, l) of this row of the tile
    for (int64_t j = 0; j < k.rows; ++j) {
      for (int64_t c = 0; c < q.cols; ++c) x[size_t(j)] += q[i][c] * k[j][c];
      tile = fn::online_merge(tile, {x[size_t(j)], 1});
    }
    const fn::Online<float> before = b.sums[size_t(i)], now = fn::online_merge(before, tile);
    const float rescale = fn::online_scale(before.m, now.m);
    for (int64_t c = 0; c < v.cols; ++c) b.o[i][c] *= rescale;
    for (int64_t j = 0; j < k.rows; ++j)
      for (int64_t c = 0; c < v.cols; ++c) b.o[i][c] += std::exp(x[size_t(j)] - now.m) * v[j][c];
    b.sums[size_t(i)] = now;
  }
}

// FlashAttention (Dao et al. 2022, algorithm 1): a block of keys stays, all queries pass by, and with them the outputs,
// which are read and written for every block of keys. Fast memory holds `fast` numbers: Bc = ceil(fast / 4d), Br =
// min(Bc, d).
inline Matrix flash1(const Matrix& q, const Matrix& k, const Matrix& v, int64_t fast, Slow& slow) {
  const int64_t bc = (fast + 4 * q.cols - 1) / (4 * q.cols), br = std::min(bc, q.cols);
  Block all(q.rows, v.cols);  // in slow memory; o is kept divided by l, as the paper keeps it
  for (int64_t j = 0; j < k.rows; j += bc) {
    const Matrix keys = slow.load(k, j, bc), values = slow.load(v, j, bc);
    for (int64_t i = 0; i < q.rows; i += br) {
      const Matrix queries = slow.load(q, i, br);
      Block b(queries.rows, v.cols);
      b.o = slow.load(all.o, i, br);
      for (int64_t r = 0; r < queries.rows; ++r) {
        b.sums[size_t(r)] = all.sums[size_t(i + r)], slow.reads += 2;
        for (int64_t c = 0; c < v.cols; ++c) b.o[r][c] *= b.sums[size_t(r)].l;
      }
      absorb(b, queries, keys, values);
      for (int64_t r = 0; r < queries.rows; ++r) {
        all.sums[size_t(i + r)] = b.sums[size_t(r)], slow.writes += 2;
        for (int64_t c = 0; c < v.cols; ++c) b.o[r][c] /= b.sums[size_t(r)].l;
      }
      slow.store(all.o, i, b.o);
    }
  }
  return all.o;
}

// FlashAttention-2 (Dao 2023, algorithm 1): a block of queries stays with its outputs, the keys pass by. O is written
// once and divided once; beside it only lse = m + log l is kept, for the backward pass.
inline Matrix flash2(const Matrix& q, const Matrix& k, const Matrix& v, int64_t fast, Slow& slow, Row& lse) {
  const int64_t block = (fast + 4 * q.cols - 1) / (4 * q.cols);
  Matrix o(q.rows, v.cols);
  lse.assign(size_t(q.rows), 0);
  for (int64_t i = 0; i < q.rows; i += block) {
    const Matrix queries = slow.load(q, i, block);
    Block b(queries.rows, v.cols);
    for (int64_t j = 0; j < k.rows; j += block) absorb(b, queries, slow.load(k, j, block), slow.load(v, j, block));
    for (int64_t r = 0; r < queries.rows; ++r) {
      for (int64_t c = 0; c < v.cols; ++c) b.o[r][c] /= b.sums[size_t(r)].l;
      lse[size_t(i + r)] = fn::online_lse(b.sums[size_t(r)]), slow.writes += 1;
    }
    slow.store(o, i, b.o);
  }
  return o;
}

// Backward by recomputation (Dao 2023, algorithm 2, for blocks of one key): P is made again from S and lse, tile by
// tile.
//   D_i = dO_i . O_i,  P = e^{S - lse},  dV = P^T dO,  dS = P o (dO V^T - D),  dQ = dS K,  dK = dS^T Q
struct Gradients {
  Matrix q, k, v;
};
inline Gradients flash_backward(const Matrix& q, const Matrix& k, const Matrix& v, const Matrix& o, const Row& lse,
                                const Matrix& dout) {
  Gradients d{Matrix(q.rows, q.cols), Matrix(k.rows, k.cols), Matrix(v.rows, v.cols)};
  auto dot = [](const float* a, const float* b, int64_t n) {
    float sum = 0;
    for (int64_t c = 0; c < n; ++c) sum += a[c] * b[c];
    return sum;
  };
  for (int64_t j = 0; j < k.rows; ++j)
    for (int64_t i = 0; i < q.rows; ++i) {
      const float p = std::exp(dot(q[i], k[j], q.cols) - lse[size_t(i)]);
      const float ds = p * (dot(dout[i], v[j], v.cols) - dot(dout[i], o[i], v.cols));
      for (int64_t c = 0; c < v.cols; ++c) d.v[j][c] += p * dout[i][c];
      for (int64_t c = 0; c < q.cols; ++c) d.q[i][c] += ds * k[j][c], d.k[j][c] += ds * q[i][c];
    }
  return d;
}

// ---------------------------------------------------------------------------------------- what they are held to
inline double difference(const Matrix& a, const Matrix& b) {
  double worst = 0;
  for (size_t i = 0; i < a.values.size(); ++i) worst = std::max(worst, std::abs(double(a.values[i]) - b.values[i]));
  return worst;
}
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
  for (size_t t = 0; t < y.size(); ++t) worst = std::max(worst, std::abs(y[t] / exact[t] - 1));
  return worst;
}

}  // namespace ink::lesson
