// Products of f16 and bf16 matrices: factors become f32 as they are packed into blocks that stay in the cache, sums are
// f32, and the result is rounded once, as it is written.
#include "tensor/cpu/product/half_product.h"

#include <algorithm>

#include "tensor/cpu/attention/tile_product.h"
#include "tensor/cpu/elementwise/transpose.h"
#include "tensor/cpu/pack/pack_half.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

using P = Lanes<float>;
constexpr int64_t L = kLanes<float>, kPanel = 2 * L;       // columns that are multiplied together
constexpr int64_t kDepth = 128;                            // of a panel: 16 KiB at most
constexpr int64_t kRows = 20 * kProductRows, kCols = 512;  // of the result's blocks, at most
constexpr int64_t kRowUnit = kProductRows / 3;             // rows of the smallest register block
// From one line of the packed left factor to the next, stored by rows or by columns: neighbours do not meet in one set
// of the cache.
constexpr int64_t kRowStep = kDepth + L, kColStep = kRows + L;

int64_t whole(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

template <class S> struct HalfMatrix {  // element (i, j) stands at data[i * row + j * col]; one of the two is 1
  const S* data;
  int64_t row, col;

  HalfMatrix at(int64_t i, int64_t j) const { return {data + i * row + j * col, row, col}; }
  HalfMatrix transposed() const { return {data, col, row}; }
};

// out[i * step + j] = x(i, j) for rows whose elements stand side by side, with zeros up to the end of the last pack.
// Pairs of packs are the outer loop: the inner one is then long, and short of branches.
template <class S> void widen_rows(float* out, int64_t step, HalfMatrix<S> x, int64_t rows, int64_t cols) {
  int64_t j = 0;
  for (P u, v; j + 2 * L <= cols; j += 2 * L)
    for (int64_t i = 0; i < rows; ++i) {
      load_pair(x.data + i * x.row + j, u, v);
      u.store(out + i * step + j), v.store(out + i * step + j + L);
    }
  for (; j < cols; j += L)
    for (int64_t i = 0; i < rows; ++i) {
      const S* from = x.data + i * x.row + j;
      (j + L <= cols ? load<P>(from) : load<P>(from, cols - j)).store(out + i * step + j);
    }
}

// c = (or += with `add`) left panel for V packs of columns; c and left have room for whole register blocks. Element
// (i, p) of left stands at i * row + p * col: constants, so that addresses need no registers.
template <int V, bool add, int64_t row, int64_t col>
void panel_product(int64_t m, int64_t k, const float* left, const float* panel, RowsAt<float> c) {
  constexpr int M = kProductRows;
  auto block = [&]<int rows>() {
    product_block<float, rows, V, add>(k, LeftFactor<float>{left, row, col}, {panel, kPanel}, c);
  };
  for (; m > 2 * kRowUnit; m -= M, left += M * row, c.data += M * c.row) block.template operator()<M>();
  if (m > kRowUnit)
    block.template operator()<2 * kRowUnit>();
  else if (m > 0)
    block.template operator()<kRowUnit>();
}

template <class S> struct HalfProduct {  // one matrix of GemmArgs
  HalfMatrix<S> a, b;
  S* c;
  int64_t c_row, k;
  float alpha, beta;
  const S* bias;
  Epilogue epilogue;

  // Rows and columns of c from (row, col) on.
  void block(int64_t row, int64_t col, int64_t rows, int64_t cols) const {
    const bool one_panel = k <= kDepth, by_rows = a.col == 1 || k == 1;
    const int64_t depth = std::min(k, kDepth), wide = one_panel ? kPanel : whole(cols, L), room = whole(rows, kRowUnit);
    const int64_t left_size = by_rows ? room * kRowStep : depth * kColStep;
    Scratch<float> memory(room * wide + left_size + depth * kPanel);
    float *sums = memory.data(), *left = sums + room * wide, *panel = left + left_size;
    if (k == 0) std::fill_n(sums, rows * wide, 0.f);
    for (int64_t i = by_rows ? rows : room; i < room; ++i) std::fill_n(left + i * kRowStep, depth, 0.f);
    int64_t p = 0;
    do {
      const int64_t n = std::min(kDepth, k - p);
      if (by_rows)
        widen_rows(left, kRowStep, a.at(row, p), rows, n);
      else
        widen_rows(left, kColStep, a.at(row, p).transposed(), n, rows);
      for (int64_t j = 0; j < cols; j += kPanel) {
        const int64_t width = std::min(kPanel, cols - j);
        const RowsAt<float> to{one_panel ? sums : sums + j, wide};
        const HalfMatrix<S> from = b.at(p, col + j);
        if (b.col == 1 || width == 1)
          widen_rows(panel, kPanel, from, n, width);
        else
          transpose(panel, kPanel, from.data, from.col, width, n, true);
        if (n > 0) (width > L ? multiply<2> : multiply<1>)(by_rows, p > 0, rows, n, left, panel, to);
        if (p + n == k) finish(row, col + j, rows, width, to);
      }
      p += n;
    } while (p < k);
  }

 private:
  template <int V>
  static void multiply(bool by_rows, bool add, int64_t rows, int64_t n, const float* left, const float* panel,
                       RowsAt<float> to) {
    if (by_rows)
      (add ? panel_product<V, true, kRowStep, 1> : panel_product<V, false, kRowStep, 1>)(rows, n, left, panel, to);
    else
      (add ? panel_product<V, true, 1, kColStep> : panel_product<V, false, 1, kColStep>)(rows, n, left, panel, to);
  }

  // What becomes of a sum before it is rounded; `rest` says how many lanes count.
  template <class... Rest> INK_INLINE P value(P x, const S* old, int64_t col, Rest... rest) const {
    if (alpha != 1) x *= P(alpha);
    if (beta != 0) x = muladd(P(beta), load<P>(old, rest...), x);
    if (bias) x += load<P>(bias + col, rest...);
    if (epilogue == Epilogue::relu) return fn::Relu{}(x);
    return epilogue == Epilogue::gelu_tanh ? fn::GeluTanh{}(x) : x;
  }

  void finish(int64_t row, int64_t col, int64_t rows, int64_t width, RowsAt<float> sums) const {
    S* out = c + row * c_row + col;
    const bool plain = width == kPanel && alpha == 1 && beta == 0 && !bias && epilogue == Epilogue::none;
    for (int64_t i = 0; i < rows; ++i, out += c_row, sums.data += sums.row) {
      if (plain) {
        store_pair(out, P::load(sums.data), P::load(sums.data + L));
        continue;
      }
      int64_t j = 0;
      for (; j + L <= width; j += L) store(out + j, value(P::load(sums.data + j), out + j, col + j));
      if (const int64_t n = width - j; n > 0) store(out + j, value(P::load(sums.data + j, n), out + j, col + j, n), n);
    }
  }
};

// How C is cut: into blocks that stay in the cache, and into as many as pay for a region of parallel work. Each sum has
// an order of its own, so the cut has no part in the bits of C.
struct HalfCut {
  int64_t rows, cols, grain;
};
HalfCut half_cut(const GemmArgs& g) {
  constexpr double kPiece = 96e3, kFour = 24e6;  // multiply-adds: of a piece, and from where on four pieces pay
  int64_t down = (g.m + kRows - 1) / kRows, across = (g.n + kCols - 1) / kCols;
  const double all = double(g.m) * double(g.n) * double(g.k + 1) * double(g.batch);
  const double wanted = all < 2 * kPiece || num_threads() == 1 ? 1 : all < kFour ? 2 : 4;
  while (double(g.batch * down * across) < wanted && (g.m >= 2 * down || g.n > 2 * L * across))
    (g.m / down * 2 >= g.n / across ? down : across) *= 2;
  const int64_t rows = (g.m + down - 1) / down, cols = whole((g.n + across - 1) / across, L);
  return {rows, cols, std::max<int64_t>(1, int64_t(kPiece / (double(rows) * double(cols) * double(g.k + 1))))};
}

template <class S> void half_gemm_of(const GemmArgs& g) {
  const HalfCut cut = half_cut(g);
  const int64_t down = (g.m + cut.rows - 1) / cut.rows, across = (g.n + cut.cols - 1) / cut.cols;
  parallel_for(g.batch * down * across, cut.grain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t entry = t / (down * across), row = t / across % down * cut.rows, col = t % across * cut.cols;
      const HalfProduct<S> product{{static_cast<const S*>(g.a) + entry * g.a_batch, g.a_row, g.a_col},
                                   {static_cast<const S*>(g.b) + entry * g.b_batch, g.b_row, g.b_col},
                                   static_cast<S*>(g.c) + entry * g.c_batch,
                                   g.c_row,
                                   g.k,
                                   float(g.alpha),
                                   float(g.beta),
                                   static_cast<const S*>(g.bias),
                                   g.epilogue};
      product.block(row, col, std::min(cut.rows, g.m - row), std::min(cut.cols, g.n - col));
    }
  });
}

}  // namespace

void half_gemm(const GemmArgs& g) {
  if (g.batch <= 0 || g.m <= 0 || g.n <= 0) return;
  if (g.n == 1 && g.m > 1 && g.c_row == 1 && !g.bias) {  // C^T = B^T A^T: lanes are rows of A
    GemmArgs turned = g;
    turned.m = 1, turned.n = g.m, turned.c_row = g.m;
    turned.a = g.b, turned.a_row = g.b_col, turned.a_col = g.b_row, turned.a_batch = g.b_batch;
    turned.b = g.a, turned.b_row = g.a_col, turned.b_col = g.a_row, turned.b_batch = g.a_batch;
    return half_gemm(turned);
  }
  g.dtype == DType::f16 ? half_gemm_of<half>(g) : half_gemm_of<bfloat16>(g);
}

}  // namespace ink::INK_CPU_LEVEL
