// Products of tiles of 64 x 64 for attention in f32 and f64: a block of 16 x 16 threads, each of which owns 4
// neighbouring rows (threadIdx.x / 16) and 4 neighbouring columns (threadIdx.x % 16) of a tile of scores, and the same
// rows of what the scores weigh. Factors pass through shared memory by pieces of 128 bytes per row; both lie there so
// that what a thread needs of one step comes by loads of 16 bytes.
#pragma once
#include "tensor/cuda/attention/attention.h"

namespace ink::cuda {

constexpr int kTile = 64, kSide = 16, kOwn = 4, kTileThreads = kSide * kSide;
template <class T>  // at least on a multiprocessor: f32 may take 128 registers a thread
inline constexpr int kTileBlocks = sizeof(T) == 4 ? 2 : 1;
template <class T>  // columns of a product's factors, or rows of what is weighted, at once
inline constexpr int kDepth = 128 / int(sizeof(T));
template <class T>
inline constexpr int kPitch = kTile + 16 / int(sizeof(T));  // of a turned piece: lanes that store it meet no bank twice

template <class T, int kCols> struct TileMemory {  // in dynamic shared memory
  T *left, *right;                                 // turned pieces [kDepth][kPitch] of a product's two factors
  T* rows;                                         // in their place: a piece [kDepth][64 kCols] of what is weighted
  T* weights;  // [64 columns][64 rows]; groups of four rows change places, so that lanes meet no bank twice

  static constexpr int pieces() { return 2 * kDepth<T> * kPitch<T>; }
  static constexpr size_t bytes() { return size_t(pieces() + kTile * kTile) * sizeof(T); }
  static_assert(kDepth<T> * kTile * kCols <= pieces());

  __device__ __forceinline__ TileMemory() {
    T* at = dynamic_shared<T>();
    left = rows = at;
    right = at + kDepth<T> * kPitch<T>;
    weights = at + pieces();
  }
  __device__ __forceinline__ T* weights_of(int column, int row_group) const {
    return weights + column * kTile + kOwn * (row_group ^ column / kOwn);
  }
};

__device__ __forceinline__ int own_rows() { return int(threadIdx.x) / kSide * kOwn; }  // the first of them
__device__ __forceinline__ int own_columns() { return int(threadIdx.x) % kSide * kOwn; }

template <class T> __device__ __forceinline__ void load_four(T (&x)[kOwn], const T* p) {
  constexpr int N = 16 / int(sizeof(T));
  INK_UNROLL
  for (int i = 0; i < kOwn; i += N) {
    const Vec<T, N> v = load_vector<N>(p + i);
    INK_UNROLL
    for (int k = 0; k < N; ++k) x[i + k] = v.lane[k];
  }
}

template <class T> struct Factor {  // the rows of a matrix in device memory, `count` of them from `first` on
  const T* first;
  int64_t row;
  int count;
};
template <class T>
__device__ __forceinline__ Factor<T> rows_from(const T* matrix, int64_t row, int64_t first, int64_t n) {
  return {matrix + first * row, row, int(n - first < kTile ? n - first : kTile)};
}

// piece[p][r] = column p0 + p of row r; absent rows are 0. Eight lanes read 8 columns of a row.
template <class T> __device__ __forceinline__ void load_turned(T* piece, const Factor<T>& x, int64_t p0, int depth) {
  const int lane = int(threadIdx.x) % 8, row = int(threadIdx.x) / 8;
  for (int r = row; r < kTile; r += kTileThreads / 8)
    for (int p = lane; p < depth; p += 8) piece[p * kPitch<T> + r] = r < x.count ? x.first[r * x.row + p0 + p] : T(0);
}

// sum[r][c] = row r of a times row c of b, over d columns.
template <class T, int kCols>
__device__ __forceinline__ void tile_product(T (&sum)[kOwn][kOwn], const TileMemory<T, kCols>& memory,
                                             const Factor<T>& a, const Factor<T>& b, int64_t d) {
  INK_UNROLL
  for (int r = 0; r < kOwn; ++r) {
    INK_UNROLL
    for (int c = 0; c < kOwn; ++c) sum[r][c] = 0;
  }
  const bool some = own_rows() < a.count && own_columns() < b.count;
  for (int64_t p0 = 0; p0 < d; p0 += kDepth<T>) {
    const int depth = int(d - p0 < kDepth<T> ? d - p0 : kDepth<T>);
    load_turned(memory.left, a, p0, depth);
    load_turned(memory.right, b, p0, depth);
    __syncthreads();
    for (int p = 0; some && p < depth; ++p) {
      T x[kOwn], y[kOwn];
      load_four(x, memory.left + p * kPitch<T> + own_rows());
      load_four(y, memory.right + p * kPitch<T> + own_columns());
      INK_UNROLL
      for (int r = 0; r < kOwn; ++r) {
        INK_UNROLL
        for (int c = 0; c < kOwn; ++c) sum[r][c] = fn::fma(x[r], y[c], sum[r][c]);
      }
    }
    __syncthreads();
  }
}

// A bit for each of a thread's 4 x 4 elements, row by row: what f(row, column) says of it. A loop, so that f stands in
// the code once.
template <class F> __device__ __forceinline__ unsigned own_bits(F f) {
  unsigned bits = 0;
  INK_KEEP_LOOP
  for (int at = 0; at < kOwn * kOwn; ++at)
    if (f(own_rows() + at / kOwn, own_columns() + at % kOwn)) bits |= 1u << at;
  return bits;
}
__device__ __forceinline__ bool has_bit(unsigned bits, int r, int c) { return bits >> (r * kOwn + c) & 1; }

// A bit for each that dropout takes. Rows count from row0, columns from column0; the rows are queries, or the columns
// are.
__device__ __forceinline__ unsigned dropped_of(const Dropout& dropout, int64_t row0, int64_t column0, int64_t nk,
                                               bool by_query) {
  const int64_t rows = row0 + own_rows(), columns = column0 + own_columns();
  unsigned dropped = 0;
  INK_KEEP_LOOP
  for (int at = 0; at < kOwn; ++at) {  // four neighbouring keys of a query are drawn together
    bool keep[kOwn];
    dropout.keeps(keep, uint64_t(((by_query ? rows : columns) + at) * nk + (by_query ? columns : rows)));
    INK_UNROLL
    for (int k = 0; k < kOwn; ++k)
      if (!keep[k]) dropped |= 1u << (by_query ? at * kOwn + k : k * kOwn + at);
  }
  return dropped;
}

// Leaves a thread's weights for the whole block; they may be read after the next barrier.
template <class T, int kCols>
__device__ __forceinline__ void store_weights(const TileMemory<T, kCols>& memory, const T (&w)[kOwn][kOwn]) {
  constexpr int N = 16 / int(sizeof(T));
  INK_UNROLL
  for (int c = 0; c < kOwn; ++c) {
    T* to = memory.weights_of(own_columns() + c, int(threadIdx.x) / kSide);
    INK_UNROLL
    for (int r = 0; r < kOwn; r += N) {
      Vec<T, N> v;
      INK_UNROLL
      for (int k = 0; k < N; ++k) v.lane[k] = w[r + k][c];
      store_vector<N>(to + r, v);
    }
  }
}

struct Columns {  // of a matrix with `count` of them, those from `first` on
  int64_t first, count;
};
// sum[r][..] += the weights of row r times the rows of x, in columns first + 64 c + own_columns() .. of count. Where
// keys may be hidden, rows with weight 0 do not count, whatever they hold.
template <class T, int kCols>
__device__ __forceinline__ void add_weighted(T (&sum)[kOwn][kOwn * kCols], const TileMemory<T, kCols>& memory, int rows,
                                             const Factor<T>& x, Columns columns, bool hidden) {
  constexpr int kWidth = kTile * kCols;
  const int64_t left = columns.count - columns.first;
  const int width = int(left < kWidth ? left : kWidth);
  const bool some = own_rows() < rows && own_columns() < width;
  for (int j0 = 0; j0 < x.count; j0 += kDepth<T>) {
    const int count = x.count - j0 < kDepth<T> ? x.count - j0 : kDepth<T>;
    for (int i = int(threadIdx.x); i < count * kWidth; i += kTileThreads) {
      const int r = i / kWidth, c = i % kWidth;
      memory.rows[i] = c < width ? x.first[(j0 + r) * x.row + columns.first + c] : T(0);
    }
    __syncthreads();
    const auto add = [&]<bool kHidden>() {
      for (int j = 0; some && j < count; ++j) {
        T w[kOwn];
        load_four(w, memory.weights_of(j0 + j, int(threadIdx.x) / kSide));
        INK_UNROLL
        for (int c = 0; c < kCols; ++c) {
          T y[kOwn];
          load_four(y, memory.rows + j * kWidth + c * kTile + own_columns());
          INK_UNROLL
          for (int r = 0; r < kOwn; ++r) {
            INK_UNROLL
            for (int k = 0; k < kOwn; ++k)
              if (!kHidden || w[r] != 0) sum[r][c * kOwn + k] = fn::fma(w[r], y[k], sum[r][c * kOwn + k]);
          }
        }
      }
    };
    if (hidden)
      add.template operator()<true>();
    else
      add.template operator()<false>();
    __syncthreads();
  }
}

// Rows times `scale`, written to contiguous rows of n columns, `count` of them.
template <class T, int kCols>
__device__ __forceinline__ void store_rows(T* to, const T (&sum)[kOwn][kOwn * kCols], int count, int64_t first_col,
                                           int64_t n, const T (&scale)[kOwn]) {
  INK_UNROLL
  for (int r = 0; r < kOwn; ++r) {
    INK_UNROLL
    for (int c = 0; c < kCols; ++c) {
      INK_UNROLL
      for (int k = 0; k < kOwn; ++k) {
        const int64_t col = first_col + c * kTile + own_columns() + k;
        if (own_rows() + r < count && col < n) to[(own_rows() + r) * n + col] = sum[r][c * kOwn + k] * scale[r];
      }
    }
  }
}

// The work of a grid: blocks of rows, times slices of 64 kCols columns of the result, times matrices. The last rows
// come first: under a causal mask they have the most to do.
template <int kCols> struct TileWork {
  int64_t first_row, first_col, matrix;

  __device__ __forceinline__ TileWork(int64_t rows, int64_t cols) {
    const int64_t blocks = ceil_div(rows, kTile), slices = cols > 0 ? ceil_div(cols, kTile * kCols) : 1,
                  at = blockIdx.x;
    first_row = (blocks - 1 - at % blocks) * kTile;
    first_col = at / blocks % slices * (kTile * kCols);
    matrix = at / blocks / slices;
  }
  static int64_t count(int64_t rows, int64_t cols, int64_t matrices) {
    return ceil_div(rows, kTile) * (cols > 0 ? ceil_div(cols, kTile * kCols) : 1) * matrices;
  }
};

}  // namespace ink::cuda
