// Matrix products whose rows do not depend on each other: element (i, j) is a sum over k in an order that neither the
// number of rows nor that of threads has a part in. BLAS chooses its kernels by m; these tiles differ in size only.
//
// * b stored by columns (a layer's weight, [n, k]): dot products of rows with rows (tensor/cpu/product/dots.h).
// * b stored by rows: lanes are columns, and each adds up its products from p = 0 to k - 1.
//
// A tile has 4, 2 or 1 rows; 3 rows are 4 of which one is computed twice.
#include "tensor/cpu/product/batch_invariant.h"

#include "tensor/cpu/product/dots.h"
#include "tensor/cpu/scratch.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

INK_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
INK_INLINE int64_t rounded_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// One matrix of the batch: where its rows and columns stand, and what is done to a sum.
template <class T> struct RowProduct {
  const GemmArgs& g;
  const T *a, *b;
  T* c;
  int64_t a_row, a_col;  // a may be a copy
  bool by_columns;       // how b is stored

  RowProduct(const GemmArgs& g, int64_t entry)
      : g(g),
        a(static_cast<const T*>(g.a) + entry * g.a_batch),
        b(static_cast<const T*>(g.b) + entry * g.b_batch),
        c(static_cast<T*>(g.c) + entry * g.c_batch),
        a_row(g.a_row),
        a_col(g.a_col),
        by_columns(g.b_row == 1 || g.k <= 1) {}

  // c = alpha sum + beta c + bias for `count` elements of row i from column j on.
  INK_INLINE void finish(int64_t i, int64_t j, int64_t count, const T* sum) const {
    T* to = c + i * g.c_row + j;
    const Lanes<T> alpha{T(g.alpha)}, beta{T(g.beta)};
    const T* bias = g.bias ? static_cast<const T*>(g.bias) + j : nullptr;
    for_packs<T>(count, [&](int64_t e, auto lanes) {
      Lanes<T> x = load(sum + e, lanes) * alpha;
      if (bias) x += load(bias + e, lanes);
      if (g.beta != 0) x += load(to + e, lanes) * beta;
      store(to + e, x, lanes);
    });
  }

  // Rows i .. i + rows (at most M) and columns j .. j + cols (at most J) by dot products.
  template <int M, int J> INK_INLINE void dot_tile(int64_t i, int64_t rows, int64_t j, int64_t cols) const {
    const T *left[M], *right[J];
    T sum[M * J];
    for (int r = 0; r < M; ++r) left[r] = a + (i + smaller(r, rows - 1)) * a_row;
    for (int s = 0; s < J; ++s) right[s] = b + (j + smaller(s, cols - 1)) * g.b_col;
    dots<T, M, J>(g.k, left, right, sum);
    for (int64_t r = 0; r < rows; ++r) finish(i + r, j, cols, sum + r * J);
  }
  // The same with lanes along the columns, V packs of them.
  template <int M, int V, class Count>
  INK_INLINE void outer_tile(int64_t i, int64_t rows, int64_t j, Count lanes) const {
    constexpr int64_t L = kLanes<T>;
    const T *left[M], *right = b + j * g.b_col;
    for (int r = 0; r < M; ++r) left[r] = a + (i + smaller(r, rows - 1)) * a_row;
    Lanes<T> sum[M][V];
    for (int r = 0; r < M; ++r)
      for (int v = 0; v < V; ++v) sum[r][v] = Lanes<T>(T(0));
    for (int64_t p = 0; p < g.k; ++p, right += g.b_row) {
      Lanes<T> factor[V];
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) factor[v] = load(right + v * L, lanes);
#pragma GCC unroll 4
      for (int r = 0; r < M; ++r) {
        const Lanes<T> x(left[r][p * a_col]);
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sum[r][v] = muladd(x, factor[v], sum[r][v]);
      }
    }
    for (int64_t r = 0; r < rows; ++r)
      for (int v = 0; v < V; ++v) {
        T one[L];
        sum[r][v].store(one);
        finish(
            i + r, j + v * L,
            [&] {
              if constexpr (std::is_same_v<Count, AllLanes>)
                return L;
              else
                return lanes;
            }(),
            one);
      }
  }

  // M rows (the last ones may be fewer) of columns [j, end).
  template <int M> INK_INLINE void tile_row(int64_t i, int64_t rows, int64_t j, int64_t end) const {
    constexpr int kWide = kTileColumns<M>;
    if (by_columns) {
      for (; j + 1 < end; j += kWide) dot_tile<M, kWide>(i, rows, j, smaller(kWide, end - j));
      if (j + 1 == end) dot_tile<M, 1>(i, rows, j, 1);
      return;
    }
    constexpr int64_t L = kLanes<T>;
    for (; j + kWide * L <= end; j += kWide * L) outer_tile<M, kWide>(i, rows, j, AllLanes{});
    for (; j + 2 * L <= end; j += 2 * L) outer_tile<M, 2>(i, rows, j, AllLanes{});
    for (; j < end; j += L) outer_tile<M, 1>(i, rows, j, smaller(L, end - j));
  }

  // Columns that are taken through all rows before the next ones: whole tiles of every kind.
  int64_t strip() const { return by_columns ? 24 : 24 * kLanes<T>; }

  // Rows [i0, i1) of columns [j0, j1). A few columns of b stay in the cache while the rows pass by.
  void block(int64_t i0, int64_t i1, int64_t j0, int64_t j1) const {
    const int64_t whole = i0 + (i1 - i0) / 4 * 4, rest = i1 - whole;
    const int64_t step = kTileColumns<4> * (by_columns ? 1 : kLanes<T>);
    for (int64_t strip_end; j0 < j1; j0 = strip_end) {
      strip_end = smaller(j0 + strip(), j1);
      for (int64_t j = j0; j < strip_end; j += step)
        for (int64_t i = i0; i < whole; i += 4) tile_row<4>(i, 4, j, smaller(j + step, strip_end));
      if (rest == 3) tile_row<4>(whole, 3, j0, strip_end);
      if (rest == 2) tile_row<2>(whole, 2, j0, strip_end);
      if (rest == 1) tile_row<1>(whole, 1, j0, strip_end);
    }
  }
};

// In multiply-adds: what a piece of work has at least, and at most if it can be cut.
constexpr double kLeast = 96e3, kMost = 8e6;
constexpr int64_t kRowBytes = 512 << 10;  // of the rows of a that one piece reads

template <class T> void run(const GemmArgs& g) {
  const int64_t strip = RowProduct<T>(g, 0).strip(), k = g.k > 0 ? g.k : 1;
  const int64_t rows = smaller(g.m, rounded_up(kRowBytes / int64_t(sizeof(T)) / k, 4) + 12);
  const double all = double(g.batch) * double(g.m) * double(g.n) * double(k), even = all / 16;
  const double wanted = even < kLeast ? kLeast : even > kMost ? kMost : even;
  const double strips = wanted / (double(rows) * double(k) * double(strip));
  const int64_t cols = all < 2 * kLeast ? g.n : smaller(g.n, strip * (strips < 1e6 ? 1 + int64_t(strips) : 1000000));
  const int64_t down = (g.m + rows - 1) / rows, across = (g.n + cols - 1) / cols;
  const double one = double(rows) * double(cols) * double(k);
  const int64_t grain = all < 2 * kLeast ? g.batch * down * across : 1 + int64_t(kLeast / one);
  parallel_for(g.batch * down * across, grain, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      RowProduct<T> product(g, piece / across / down);
      const int64_t i = piece / across % down * rows, i_end = smaller(i + rows, g.m), j = piece % across * cols;
      const bool turned = product.by_columns && g.a_col != 1 && g.k > 1;
      const Scratch<T> copy(turned ? (i_end - i) * g.k : 0);
      if (turned) {
        for (int64_t r = i; r < i_end; ++r)
          for (int64_t p = 0; p < g.k; ++p) copy[(r - i) * g.k + p] = product.a[r * g.a_row + p * g.a_col];
        product.a = copy.data() - i * g.k;
        product.a_row = g.k, product.a_col = 1;
      }
      product.block(i, i_end, j, smaller(j + cols, g.n));
    }
  });
}

}  // namespace

void batch_invariant_gemm(const GemmArgs& g) {
  if (g.batch <= 0 || g.m <= 0 || g.n <= 0) return;
  visit_float(g.dtype, [&]<class T>() { run<T>(g); });
}

}  // namespace ink::INK_CPU_LEVEL
