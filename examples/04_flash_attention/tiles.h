// A whole head in plain loops: the standard way, FlashAttention's two loop orders, and the backward pass that makes the
// weights again. All count what they move (softmax.h).
#pragma once
#include "examples/04_flash_attention/softmax.h"

namespace ink::lesson {

inline float dot(const float* a, const float* b, int64_t n) {
  float sum = 0;
  for (int64_t c = 0; c < n; ++c) sum += a[c] * b[c];
  return sum;
}
// q k^T.
inline Matrix scores(const Matrix& q, const Matrix& k) {
  Matrix s(q.rows, k.rows);
  for (int64_t i = 0; i < q.rows; ++i)
    for (int64_t j = 0; j < k.rows; ++j) s[i][j] = dot(q[i], k[j], q.cols);
  return s;
}

// Scores and weights are written out and read again: 4 N d + 4 N^2 numbers.
inline Matrix standard_attention(const Matrix& q, const Matrix& k, const Matrix& v, Slow& slow) {
  Matrix s(q.rows, k.rows), p = s, o(q.rows, v.cols);
  slow.store(s, 0, scores(slow.load(q, 0, q.rows), slow.load(k, 0, k.rows)));  // (4.1)
  for (int64_t i = 0; i < q.rows; ++i) {
    Slow on_chip;  // a row of scores is in fast memory while its softmax is taken
    slow.store(p.values, i * k.rows, safe_softmax(slow.load(s, i, 1).values, on_chip));  // (4.1)
  }
  const Matrix values = slow.load(v, 0, v.rows);
  for (int64_t i = 0; i < q.rows; ++i) {
    Slow on_chip;
    slow.store(o.values, i * v.cols, weighted_sum(slow.load(p, i, 1).values, values, on_chip));  // (4.1)
  }
  return o;
}

// The states of a block of queries, on the chip while a tile is worked on: m, l and a row of o each.
struct Block {
  Row m, l;
  Matrix o;
  Block(int64_t rows, int64_t cols) : m(size_t(rows), fn::lowest<float>()), l(size_t(rows), 0), o(rows, cols) {}
};
enum class Stage { scores, rescaled, added };

// Takes a tile of keys and values into the states of a block of queries: the step that both loop orders share.
// `watch(stage, s, factor)`: the tile's scores, or at the end its e^{s - m}, and what l and o were multiplied by.
template <class Watch = Unwatched>
void absorb(Block& b, const Matrix& q, const Matrix& k, const Matrix& v, const Watch& watch = {}) {
  Matrix s = scores(q, k);
  Row factor(b.m.size(), 1);
  watch(Stage::scores, s, factor);
  for (int64_t i = 0; i < s.rows; ++i) {
    const size_t r = size_t(i);
    const float before = b.m[r];
    b.m[r] = std::max(before, *std::max_element(s[i], s[i] + s.cols));  // (4.6)
    factor[r] = std::exp(before - b.m[r]);
    b.l[r] *= factor[r];                                          // (4.6)
    for (int64_t c = 0; c < v.cols; ++c) b.o[i][c] *= factor[r];  // (4.6)
  }
  watch(Stage::rescaled, s, factor);
  for (int64_t i = 0; i < s.rows; ++i)
    for (int64_t j = 0; j < s.cols; ++j) {
      const float e = s[i][j] = std::exp(s[i][j] - b.m[size_t(i)]);
      b.l[size_t(i)] += e;                                            // (4.6)
      for (int64_t c = 0; c < v.cols; ++c) b.o[i][c] += e * v[j][c];  // (4.6)
    }
  watch(Stage::added, s, factor);
}
inline void divide_by_sums(Block& b) {
  for (int64_t i = 0; i < b.o.rows; ++i)
    for (int64_t c = 0; c < b.o.cols; ++c) b.o[i][c] /= b.l[size_t(i)];
}

// Rows of a block, so that four of them (of Q, K, V and O) fill a fast memory of `fast` numbers.
inline int64_t block_rows(int64_t fast, int64_t d) { return (fast + 4 * d - 1) / (4 * d); }

// FlashAttention (Dao et al. 2022, algorithm 1): a block of keys stays, all queries pass by, and with them the outputs,
// which are read and written for every block of keys. Bc = ceil(fast / 4d), Br = min(Bc, d). `watch(i, j, all)` after
// each tile: its first query and key, and what slow memory holds of m, l, o by then.
template <class Watch = Unwatched>
Matrix flash1(const Matrix& q, const Matrix& k, const Matrix& v, int64_t fast, Slow& slow, const Watch& watch = {}) {
  const int64_t bc = block_rows(fast, q.cols), br = std::min(bc, q.cols);
  Block all(q.rows, v.cols);  // in slow memory; o is kept divided by l, as the paper keeps it
  for (int64_t j = 0; j < k.rows; j += bc) {
    const Matrix keys = slow.load(k, j, bc), values = slow.load(v, j, bc);  // (4.7)
    for (int64_t i = 0; i < q.rows; i += br) {
      const Matrix queries = slow.load(q, i, br);  // (4.7)
      Block b(queries.rows, v.cols);
      b.o = slow.load(all.o, i, br);  // (4.7)
      b.m = slow.load(all.m, i, b.o.rows), b.l = slow.load(all.l, i, b.o.rows);
      for (int64_t r = 0; r < b.o.rows; ++r)
        for (int64_t c = 0; c < v.cols; ++c) b.o[r][c] *= b.l[size_t(r)];
      absorb(b, queries, keys, values);
      divide_by_sums(b);
      slow.store(all.o, i, b.o);  // (4.7)
      slow.store(all.m, i, b.m), slow.store(all.l, i, b.l);
      watch(i, j, all);
    }
  }
  return all.o;
}

// FlashAttention-2 (Dao 2023, algorithm 1): a block of queries stays with its outputs, the keys pass by. O is written
// once and divided once; beside it only lse = m + log l is kept, for the backward pass. Br = ceil(fast / 4d), Bc =
// min(Br, d). `watch(i, j, b, o, lse)` after each tile, and with j = -1 when a block of O has been written.
template <class Watch = Unwatched>
Matrix flash2(const Matrix& q, const Matrix& k, const Matrix& v, int64_t fast, Slow& slow, Row& lse,
              const Watch& watch = {}) {
  const int64_t br = block_rows(fast, q.cols), bc = std::min(br, q.cols);
  Matrix o(q.rows, v.cols, NAN);
  lse.assign(size_t(q.rows), NAN);
  for (int64_t i = 0; i < q.rows; i += br) {
    const Matrix queries = slow.load(q, i, br);  // (4.8)
    Block b(queries.rows, v.cols);
    for (int64_t j = 0; j < k.rows; j += bc) {
      absorb(b, queries, slow.load(k, j, bc), slow.load(v, j, bc));  // (4.8)
      watch(i, j, b, o, lse);
    }
    divide_by_sums(b);
    slow.store(o, i, b.o);  // (4.8)
    Row of_block;
    for (size_t r = 0; r < b.m.size(); ++r) of_block.push_back(b.m[r] + std::log(b.l[r]));  // (4.9)
    slow.store(lse, i, of_block);
    watch(i, -1, b, o, lse);
  }
  return o;
}

// Backward by recomputation (Dao 2023, algorithm 2, for blocks of one key): a column of P is made again from S and lse.
// `watch(j, p, dp, ds, gradients)` after each key.
struct Gradients {
  Matrix q, k, v;
};
template <class Watch = Unwatched>
Gradients flash_backward(const Matrix& q, const Matrix& k, const Matrix& v, const Matrix& o, const Row& lse,
                         const Matrix& dout, const Watch& watch = {}) {
  Gradients d{Matrix(q.rows, q.cols), Matrix(k.rows, k.cols), Matrix(v.rows, v.cols)};
  Row D, p(lse.size()), dp = p, ds = p;
  for (int64_t i = 0; i < q.rows; ++i) D.push_back(dot(dout[i], o[i], v.cols));  // (4.11)
  for (int64_t j = 0; j < k.rows; ++j) {
    for (int64_t i = 0; i < q.rows; ++i) {
      const size_t r = size_t(i);
      p[r] = std::exp(dot(q[i], k[j], q.cols) - lse[r]);                    // (4.9)
      dp[r] = dot(dout[i], v[j], v.cols);                                   // (4.10)
      ds[r] = p[r] * (dp[r] - D[r]);                                        // (4.12)
      for (int64_t c = 0; c < v.cols; ++c) d.v[j][c] += p[r] * dout[i][c];  // (4.10)
      for (int64_t c = 0; c < q.cols; ++c) d.q[i][c] += ds[r] * k[j][c];    // (4.13)
      for (int64_t c = 0; c < q.cols; ++c) d.k[j][c] += ds[r] * q[i][c];    // (4.13)
    }
    watch(j, p, dp, ds, d);
  }
  return d;
}

// The largest difference of two matrices.
inline double difference(const Matrix& a, const Matrix& b) {
  double worst = 0;
  for (size_t i = 0; i < a.values.size(); ++i) worst = worse(worst, std::abs(double(a.values[i]) - b.values[i]));
  return worst;
}

}  // namespace ink::lesson
