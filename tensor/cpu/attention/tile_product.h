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

template <class T>
struct Factor {  // element (i, p) stands at data[i * row + p * col]
  const T* data;
  int64_t row, col;
};

// c[M][V packs] = (or += with `add`) sum over p < k of a[.][p] b[p][.].
template <class T, int M, int V, bool add>
INK_INLINE void product_block(int64_t k, const Factor<T>& a, const T* b, int64_t b_row, T* c, int64_t c_row) {
  constexpr int L = kLanes<T>;
  using P = Lanes<T>;
  P sum[M][V];
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sum[i][v] = add ? P::load(c + i * c_row + v * L) : P(T(0));
  const T* from = a.data;
  for (int64_t p = 0; p < k; ++p, b += b_row, from += a.col) {
    P factor[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) factor[v] = P::load(b + v * L);
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      P value(from[i * a.row]);
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sum[i][v] = muladd(value, factor[v], sum[i][v]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sum[i][v].store(c + i * c_row + v * L);
}

template <class T, int V, bool add>
void product_columns(int64_t m, int64_t k, Factor<T> a, const T* b, int64_t b_row, T* c, int64_t c_row) {
  for (; m >= kProductRows; m -= kProductRows) {
    product_block<T, kProductRows, V, add>(k, a, b, b_row, c, c_row);
    a.data += kProductRows * a.row;
    c += kProductRows * c_row;
  }
  if (m > 0)
    with_constant<kProductRows - 1>(m, [&]<int M>() { product_block<T, M, V, add>(k, a, b, b_row, c, c_row); });
}

// c [m, n] = (or +=) a [m, k] b [k, n]; n is a multiple of the lanes of T.
template <class T, bool add>
void tile_product(int64_t m, int64_t n, int64_t k, const Factor<T>& a, const T* b, int64_t b_row, T* c, int64_t c_row) {
  constexpr int64_t L = kLanes<T>;
  int64_t j = 0;
  for (; j + 2 * L <= n; j += 2 * L) product_columns<T, 2, add>(m, k, a, b + j, b_row, c + j, c_row);
  if (j < n) product_columns<T, 1, add>(m, k, a, b + j, b_row, c + j, c_row);
}

// c += a b where a zero of a takes nothing of b, not even NaN: for rows of b that may hold anything where nobody looks.
template <class T>
void careful_product(int64_t m, int64_t n, int64_t k, const Factor<T>& a, const T* b, int64_t b_row, T* c,
                     int64_t c_row) {
  for (int64_t i = 0; i < m; ++i)
    for (int64_t p = 0; p < k; ++p)
      if (T x = a.data[i * a.row + p * a.col]; x != T(0))
        for (int64_t j = 0; j < n; ++j) c[i * c_row + j] += x * b[p * b_row + j];
}

template <class T>
INK_INLINE int64_t whole_packs(int64_t n) {
  return (n + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
}

// Rows that a product may read in whole packs: the matrix itself if its rows are that long, else a copy with zeros at
// the ends.
template <class T>
class WholeRows {
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
  INK_INLINE const T* operator[](int64_t r) const { return data_ + r * row_; }
  INK_INLINE int64_t row() const { return row_; }
  INK_INLINE int64_t width() const { return wide_; }

 private:
  int64_t wide_;
  Scratch<T> copy_;
  const T* data_;
  int64_t row_;
};

}  // namespace ink::INK_CPU_LEVEL
