// Products of small matrices that lie in the cache: the inner loop of attention. Rows of B and C are whole packs side
// by side; A is walked by any strides, one number at a time.
#pragma once
#include "tensor/cpu/conv/conv_tile.h"
#include "tensor/cpu/row.h"
#include "tensor/cpu/scratch.h"

namespace ink::INK_CPU_LEVEL {

#if defined(INK_CPU_LEVEL_v4)
inline constexpr int kProductRows = 12;  // 24 sums, 2 packs of B, 1 number of A: 27 of 32 registers
#else
inline constexpr int kProductRows = 6;  // 12 + 2 + 1 of 16
#endif

// The left factor of a product: element (i, p) stands at data[i * row + p * col], so it may lie transposed.
template <class T> struct LeftFactor {
  const T* data;
  int64_t row, col;
};
// Rows of contiguous elements, `row` elements from one to the next.
template <class T> struct RowsAt {
  T* data;
  int64_t row;
};

// c[M][V packs] = (or += with `add`) the sum over p < k of a[.][p] b[p][.].
template <class T, int M, int V, bool add>
INK_INLINE void product_block(int64_t k, const LeftFactor<T>& a, RowsAt<const T> b, RowsAt<T> c) {
  constexpr int L = kLanes<T>;
  using P = Lanes<T>;
  P sum[M][V];
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sum[i][v] = add ? P::load(c.data + i * c.row + v * L) : P(T(0));
  }
  const T *left = a.data, *right = b.data;
  for (int64_t p = 0; p < k; ++p, right += b.row, left += a.col) {
    P factor[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) factor[v] = P::load(right + v * L);
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      P value(left[i * a.row]);
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sum[i][v] = muladd(value, factor[v], sum[i][v]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sum[i][v].store(c.data + i * c.row + v * L);
  }
}

// The same for V packs of columns and all m rows of the result.
template <class T, int V, bool add>
void product_columns(int64_t m, int64_t k, LeftFactor<T> a, RowsAt<const T> b, RowsAt<T> c) {
  for (; m >= kProductRows; m -= kProductRows) {
    product_block<T, kProductRows, V, add>(k, a, b, c);
    a.data += kProductRows * a.row;
    c.data += kProductRows * c.row;
  }
  if (m > 0) with_constant<kProductRows - 1>(m, [&]<int M>() { product_block<T, M, V, add>(k, a, b, c); });
}

// c [m, n] = (or += with `add`) a [m, k] b [k, n]; n is a multiple of the lanes of T.
template <class T, bool add>
void tile_product(int64_t m, int64_t n, int64_t k, const LeftFactor<T>& a, RowsAt<const T> b, RowsAt<T> c) {
  constexpr int64_t L = kLanes<T>;
  int64_t j = 0;
  for (; j + 2 * L <= n; j += 2 * L) product_columns<T, 2, add>(m, k, a, {b.data + j, b.row}, {c.data + j, c.row});
  if (j < n) product_columns<T, 1, add>(m, k, a, {b.data + j, b.row}, {c.data + j, c.row});
}

// c += a b where a zero of a takes nothing of b, not even NaN: for rows of b that may hold anything where their weight
// is 0.
template <class T>
void careful_product(int64_t m, int64_t n, int64_t k, const LeftFactor<T>& a, RowsAt<const T> b, RowsAt<T> c) {
  for (int64_t i = 0; i < m; ++i)
    for (int64_t p = 0; p < k; ++p)
      if (T x = a.data[i * a.row + p * a.col]; x != T(0))
        for (int64_t j = 0; j < n; ++j) c.data[i * c.row + j] += x * b.data[p * b.row + j];
}

template <class T> INK_INLINE int64_t whole_packs(int64_t n) { return (n + kLanes<T> - 1) / kLanes<T> * kLanes<T>; }

// Rows that a product may read in whole packs: the matrix itself if its rows are that long, else a copy with zeros at
// the ends.
template <class T> class WholeRows {
 public:
  WholeRows(const T* x, int64_t row, int64_t rows, int64_t cols)
      : wide_(whole_packs<T>(cols)), copy_(wide_ == cols ? 0 : rows * wide_), data_(x), row_(row) {
    if (wide_ == cols) return;
    for (int64_t r = 0; r < rows; ++r) {
      T* to = copy_.data() + r * wide_;
      for (int64_t c = 0; c < cols; ++c) to[c] = x[r * row + c];
      for (int64_t c = cols; c < wide_; ++c) to[c] = T(0);
    }
    data_ = copy_.data(), row_ = wide_;
  }
  INK_INLINE RowsAt<const T> rows() const { return {data_, row_}; }
  INK_INLINE int64_t width() const { return wide_; }  // in whole packs

 private:
  int64_t wide_;
  Scratch<T> copy_;
  const T* data_;
  int64_t row_;
};

}  // namespace ink::INK_CPU_LEVEL
