// Matrix products whose rows do not depend on each other: element (i, j) is a sum over k in an order that neither the
// number of rows nor that of threads has a part in. BLAS chooses its kernels by m; these tiles differ in size only.
//
// * b stored by columns (a layer's weight, [n, k]): dot products of rows with rows (tensor/cpu/product/dots.h).
// * b stored by rows: lanes are columns, and each adds up its products from p = 0 to k - 1. A sum may wait in memory
//   between two stretches of p: that changes no bit.
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

  // c = alpha sum + beta c + bias for the first `count` lanes, from row i and column j on.
  template <int N> INK_INLINE void finish(int64_t i, int64_t j, int64_t count, Pack<T, N> sum) const {
    using P = Pack<T, N>;
    if (count <= 0) return;
    const auto get = [=](const T* p) { return count >= N ? P::load(p) : P::load(p, count); };
    T* to = c + i * g.c_row + j;
    sum *= P(T(g.alpha));
    if (g.bias) sum += get(static_cast<const T*>(g.bias) + j);
    if (g.beta != 0) sum += get(to) * P(T(g.beta));
    if (count >= N)
      sum.store(to);
    else
      sum.store(to, count);
  }

  // Rows i .. i + rows (at most M) and columns j .. j + cols (at most J) by dot products.
  template <int M, int J> INK_INLINE void dot_tile(int64_t i, int64_t rows, int64_t j, int64_t cols) const {
    const T *left[M], *right[J];
    for (int r = 0; r < M; ++r) left[r] = a + (i + smaller(r, rows - 1)) * a_row;
    for (int s = 0; s < J; ++s) right[s] = b + (j + smaller(s, cols - 1)) * g.b_col;
    dots<T, M, J>(g.k, left, right, [&](int r, int s, auto sums) {
      if (r < rows) finish(i + r, j + s, cols - s, sums);
    });
  }
  template <int M> __attribute__((flatten)) void dot_row(int64_t i, int64_t rows, int64_t j, int64_t end) const {
    constexpr int kWide = kTileColumns<M>;
    for (; j + 1 < end; j += kWide) dot_tile<M, kWide>(i, rows, j, smaller(kWide, end - j));
    if (j + 1 == end) dot_tile<M, 1>(i, rows, j, 1);
  }
  // Columns that are taken through all rows before the next ones are.
  static constexpr int64_t kStrip = 24;
  void dot_block(int64_t i0, int64_t i1, int64_t j0, int64_t j1) const {
    constexpr int64_t step = kTileColumns<4>;
    const int64_t whole = i0 + (i1 - i0) / 4 * 4, rest = i1 - whole;
    for (int64_t end; j0 < j1; j0 = end) {
      end = smaller(j0 + kStrip, j1);
      for (int64_t j = j0; j < end; j += step)
        for (int64_t i = i0; i < whole; i += 4) dot_row<4>(i, 4, j, smaller(j + step, end));
      if (rest == 3) dot_row<4>(whole, 3, j0, end);
      if (rest == 2) dot_row<2>(whole, 2, j0, end);
      if (rest == 1) dot_row<1>(whole, 1, j0, end);
    }
  }
};

// A stretch of p in which lanes are columns: sums [rows][width] of `a` times `cols` columns of b, whose rows are
// `b_row` apart.
template <class T> struct Stretch {
  const T* a;
  int64_t a_row, a_col, rows, length;
  const T* b;
  int64_t b_row;
  T* sums;
  int64_t width;
  bool first;  // sums start here; else these products are added

  // M rows (the last ones may be the same) and V packs of columns.
  template <int M, int V, class Count> INK_INLINE void tile(int64_t i, int64_t j, Count lanes) const {
    constexpr int64_t L = kLanes<T>;
    Lanes<T> sum[M * V];
    const T *left[M], *right = b + j;
    T* to = sums + i * width + j;
    for (int r = 0; r < M; ++r) left[r] = a + smaller(i + r, rows - 1) * a_row;
    repeat<M * V>([&](auto s) { sum[s] = first ? Lanes<T>(T(0)) : Lanes<T>::load(to + s / V * width + s % V * L); });
    for (int64_t p = 0; p < length; ++p, right += b_row) {
      Lanes<T> x[M];
      repeat<M>([&](auto r) { x[r] = Lanes<T>(left[r][p * a_col]); });
      repeat<V>([&](auto v) {
        const Lanes<T> factor = load(right + v * L, lanes);
        repeat<M>([&](auto r) { sum[r * V + v] = muladd(x[r], factor, sum[r * V + v]); });
      });
    }
    repeat<M * V>([&](auto s) { sum[s].store(to + s / V * width + s % V * L); });
  }
  template <int M> __attribute__((flatten)) void tile_row(int64_t i, int64_t cols) const {
    constexpr int64_t L = kLanes<T>, V = kTileColumns<M>;
    int64_t j = 0;
    for (; j + V * L <= cols; j += V * L) tile<M, V>(i, j, AllLanes{});
    for (; j + 2 * L <= cols; j += 2 * L) tile<M, 2>(i, j, AllLanes{});
    for (; j + L <= cols; j += L) tile<M, 1>(i, j, AllLanes{});
    if (j < cols) tile<M, 1>(i, j, cols - j);
  }
  void all_rows(int64_t cols) const {
    int64_t i = 0;
    for (; i + 3 <= rows; i += 4) tile_row<4>(i, cols);
    if (rows - i == 2) tile_row<2>(i, cols);
    if (rows - i == 1) tile_row<1>(i, cols);
  }
};

// A few rows read b once, a stretch of whole rows after another. For many a panel of it is copied first.
constexpr int64_t kFewRows = 16, kFewLength = 16, kPanelLength = 256;

template <class T> void outer_block(const RowProduct<T>& x, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
  const GemmArgs& g = x.g;
  constexpr int64_t L = kLanes<T>, kPanel = 2 * kTileColumns<4> * L;
  const bool few = i1 - i0 <= kFewRows;
  const int64_t step = few ? kFewLength : smaller(kPanelLength, g.k),
                width = rounded_up(few ? j1 - j0 : smaller(kPanel, j1 - j0), L);
  const Scratch<T> sums(rounded_up(i1 - i0, 4) * width), panel(few ? 0 : step * width);
  for (int64_t j = j0; j < j1; j += width) {
    const int64_t cols = smaller(width, j1 - j);
    for (int64_t p = 0; p < g.k; p += step) {
      Stretch<T> s{.a = x.a + i0 * x.a_row + p * x.a_col,
                   .a_row = x.a_row,
                   .a_col = x.a_col,
                   .rows = i1 - i0,
                   .length = smaller(step, g.k - p),
                   .b = x.b + p * g.b_row + j,
                   .b_row = g.b_row,
                   .sums = sums.data(),
                   .width = width,
                   .first = p == 0};
      if (!few) {
        for (int64_t r = 0; r < s.length; ++r)
          row_map(
              cols, panel.data() + r * width, [](Lanes<T> v) { return v; }, s.b + r * s.b_row);
        s.b = panel.data(), s.b_row = width;
      }
      s.all_rows(cols);
    }
    for (int64_t i = i0; i < i1; ++i)
      for_packs<T>(cols, [&](int64_t e, auto) {
        x.finish(i, j + e, cols - e, Lanes<T>::load(sums.data() + (i - i0) * width + e));
      });
  }
}

// In multiply-adds: what a piece of work has at least, and at most if it can be cut.
constexpr double kLeast = 96e3, kMost = 8e6;
constexpr int64_t kRowBytes = 512 << 10;  // of the rows of a that one piece reads

template <class T> void run(const GemmArgs& g) {
  const bool by_columns = RowProduct<T>(g, 0).by_columns;
  const int64_t strip = by_columns ? RowProduct<T>::kStrip : 24 * kLanes<T>, k = g.k > 0 ? g.k : 1;
  const int64_t rows = smaller(g.m, rounded_up(kRowBytes / int64_t(sizeof(T)) / k, 4) + 12);
  const double all = double(g.batch) * double(g.m) * double(g.n) * double(k),
               even = all / (!by_columns && g.m <= kFewRows ? 4 : 16);
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
      const bool turned = by_columns && g.a_col != 1 && g.k > 1;
      const Scratch<T> copy(turned ? (i_end - i) * g.k : 0);
      if (turned) {
        for (int64_t r = i; r < i_end; ++r)
          for (int64_t p = 0; p < g.k; ++p) copy[(r - i) * g.k + p] = product.a[r * g.a_row + p * g.a_col];
        product.a = copy.data() - i * g.k;
        product.a_row = g.k, product.a_col = 1;
      }
      if (by_columns)
        product.dot_block(i, i_end, j, smaller(j + cols, g.n));
      else
        outer_block(product, i, i_end, j, smaller(j + cols, g.n));
    }
  });
}

}  // namespace

void batch_invariant_gemm(const GemmArgs& g) {
  if (g.batch <= 0 || g.m <= 0 || g.n <= 0) return;
  visit_float(g.dtype, [&]<class T>() { run<T>(g); });
}

}  // namespace ink::INK_CPU_LEVEL
