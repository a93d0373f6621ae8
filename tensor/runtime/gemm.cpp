// Matrix products on the CPU: how the work is cut into pieces, the calls of BLAS, and products with a bias or an
// epilogue.
#include "tensor/runtime/gemm.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <string>
#include <utility>

#include "tensor/error.h"
#include "tensor/fork.h"
#include "tensor/parallel.h"
#include "tensor/runtime/blas.h"

namespace ink {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// ---- how the work is cut, by size alone

struct Cut {
  int64_t rows, cols;  // one block of C
  int64_t entries;     // matrices of the batch per piece
};

// In multiply-adds: from kTwo on two pieces pay (a piece then takes about 2 us, a region below 1 us), from kFour on
// four, if their blocks of C are not too small; in a large product each piece has kPiece.
constexpr double kTwo = 192e3, kFour = 24e6, kPiece = 2.5e9;
constexpr double kBlock = 32 << 10;             // elements of C
constexpr int64_t kRowUnit = 4, kColUnit = 16;  // blocks end where the register tiles of the kernels end

Cut cut(const GemmArgs& g) {
  double one = double(g.m) * double(g.n) * double(std::max<int64_t>(g.k, 1)), all = one * double(g.batch);
  if (all < kTwo) return {g.m, g.n, g.batch};
  if (g.batch >= 8)  // whole matrices
    return {g.m, g.n, std::max<int64_t>(1, int64_t(std::clamp(all / 16, kTwo / 2, kPiece) / one))};
  double wanted = all < kFour ? 2 : std::max(4.0, all / kPiece),
         room = double(g.batch) * double(g.m) * double(g.n) / kBlock;
  int64_t blocks = ceil_div(int64_t(std::min({wanted, std::max(room, 2.0), 1024.0})), g.batch);
  // A cut into `down` x `across` blocks packs B `down` times and A `across` times: take the cheapest.
  int64_t down = 1, least = INT64_MAX;
  for (int64_t d = 1; d <= blocks; d++)
    if (int64_t packed = d * g.n + ceil_div(blocks, d) * g.m; packed < least) least = packed, down = d;
  auto block = [](int64_t size, int64_t parts, int64_t unit) { return ceil_div(ceil_div(size, parts), unit) * unit; };
  return {block(g.m, down, kRowUnit), block(g.n, ceil_div(blocks, down), kColUnit), 1};
}

// ---- the call of BLAS

// BLAS stores matrices by columns, and our C by rows is its C^T by columns: C^T = B^T A^T. So the factors change
// places, and a factor stored by rows here needs no transposition there. R is the real type of the element, which has
// `reals` of them.
template <class R>
using Product = void(const char*, const char*, const int*, const int*, const int*, const R*, const R*, const int*,
                     const R*, const int*, const R*, R*, const int*);
template <class R>
using MatVec = void(const char*, const int*, const int*, const R*, const R*, const int*, const R*, const int*, const R*,
                    R*, const int*);

template <class R> void call_blas(const GemmArgs& g, int64_t reals, Product<R>* product, MatVec<R>* matvec) {
  const Layout a = layout("a", g.m, g.k, g.a_row, g.a_col), b = layout("b", g.k, g.n, g.b_row, g.b_col);
  const Layout c = layout("c", g.m, g.n, g.c_row, 1);
  const R alpha[2] = {R(g.alpha), 0}, beta[2] = {R(g.beta), 0};
  const int k = int(g.k), a_step = g.k > 1 ? int(g.a_col) : 1, b_step = g.k > 1 ? int(g.b_row) : 1, unit = 1;
  const char other_a = a.transpose == 'N' ? 'T' : 'N';

  auto block = [&](int64_t entry, int64_t row, int64_t col, const int rows, const int cols) {
    const R* pa = static_cast<const R*>(g.a) + reals * (entry * g.a_batch + row * g.a_row);
    const R* pb = static_cast<const R*>(g.b) + reals * (entry * g.b_batch + col * g.b_col);
    R* pc = static_cast<R*>(g.c) + reals * (entry * g.c_batch + row * g.c_row + col);
    const ForkGate in_flight;
    if (g.m == 1 && g.k > 0) {  // c = B^T a
      auto [down, across] = b.transpose == 'N' ? std::pair(&cols, &k) : std::pair(&k, &cols);
      matvec(&b.transpose, down, across, alpha, pb, &b.ld, pa, &a_step, beta, pc, &unit);
    } else if (g.n == 1 && g.k > 0) {  // c = A b
      auto [down, across] = a.transpose == 'N' ? std::pair(&k, &rows) : std::pair(&rows, &k);
      matvec(&other_a, down, across, alpha, pa, &a.ld, pb, &b_step, beta, pc, &c.ld);
    } else {
      product(&b.transpose, &a.transpose, &cols, &rows, &k, alpha, pb, &b.ld, pa, &a.ld, beta, pc, &c.ld);
    }
  };

  const Cut cuts = cut(g);
  const int64_t down = ceil_div(g.m, cuts.rows), across = ceil_div(g.n, cuts.cols);
  parallel_for(g.batch * down * across, cuts.entries, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; p++) {
      int64_t row = p / across % down * cuts.rows, col = p % across * cuts.cols;
      block(p / (across * down), row, col, int(std::min(cuts.rows, g.m - row)), int(std::min(cuts.cols, g.n - col)));
    }
  });
}

template <class R, char Letter> void gemm_of(const GemmArgs& g) {  // sgemm, dgemm, cgemm, zgemm; looked up once
  // No `static const auto`: a child of fork() would wait for ever for a thread that looked it up.
  static constinit std::atomic<Product<R>*> product{nullptr};
  static constinit std::atomic<MatVec<R>*> matvec{nullptr};
  if (!matvec.load(std::memory_order_acquire)) {
    product = blas::function<Product<R>>((Letter + std::string("gemm")).c_str());
    matvec = blas::function<MatVec<R>>((Letter + std::string("gemv")).c_str());
  }
  call_blas<R>(g, Letter == 'c' || Letter == 'z' ? 2 : 1, product, matvec);
}

template <class F> void apply(const Kernels& k, const F& f, const Array& x) {
  k.unary(index_of<F, UnaryOps>, &f, x, x);
}

// Whether lines of `inner` neighbouring elements follow each other at a fixed distance that BLAS can take.
bool stored_by_lines(int64_t inner, int64_t inner_stride, int64_t outer, int64_t outer_stride) {
  return (inner <= 1 || inner_stride == 1) && (outer <= 1 || (outer_stride >= inner && outer_stride <= INT_MAX));
}

}  // namespace

bool blas_reads(int64_t rows, int64_t cols, int64_t row_stride, int64_t col_stride) {
  return stored_by_lines(cols, col_stride, rows, row_stride) || stored_by_lines(rows, row_stride, cols, col_stride);
}

Layout layout(const char* name, int64_t rows, int64_t cols, int64_t row_stride, int64_t col_stride) {
  auto leading = [](int64_t inner, int64_t outer, int64_t stride) {
    return int(std::max<int64_t>({1, inner, outer > 1 ? stride : 1}));
  };
  if (stored_by_lines(cols, col_stride, rows, row_stride)) return {'N', leading(cols, rows, row_stride)};
  if (stored_by_lines(rows, row_stride, cols, col_stride)) return {'T', leading(rows, cols, col_stride)};
  throw ShapeError(fmt::format(
      "gemm: BLAS cannot walk {}; got shape [{}, {}] with strides ({}, {}); expected one stride of 1; use contiguous()",
      name, rows, cols, row_stride, col_stride));
}

void gemm(const GemmArgs& g) {
  if (g.batch <= 0 || g.m <= 0 || g.n <= 0) return;
  if (std::max({g.m, g.n, g.k}) > INT_MAX)
    throw NotSupported(fmt::format("gemm: a dim is too large for BLAS; got m = {}, n = {}, k = {}; expected at most {}",
                                   g.m, g.n, g.k, INT_MAX));
  switch (g.dtype) {
    case DType::f32:
      return gemm_of<float, 's'>(g);
    case DType::f64:
      return gemm_of<double, 'd'>(g);
    case DType::c64:
      return gemm_of<float, 'c'>(g);
    case DType::c128:
      return gemm_of<double, 'z'>(g);
    default:
      throw DTypeError(
          fmt::format("gemm: no product for this dtype; got {}; expected f32, f64, c64 or c128", name_of(g.dtype)));
  }
}

void multiply(const Kernels& k, GemmArgs g) {
  if (k.gemm(g)) return;
  const Array c{g.c, g.dtype, {g.batch, g.m, g.n}, {g.c_batch, g.c_row, 1}};
  const Epilogue last = std::exchange(g.epilogue, Epilogue::none);
  if (g.bias) {
    k.copy(c, {const_cast<void*>(std::exchange(g.bias, nullptr)), g.dtype, c.shape, {0, 0, 1}});
    g.beta = 1;
  }
  if (g.k > 0)
    k.gemm(g);
  else if (g.beta == 0)
    k.fill(c, 0);
  else if (g.beta != 1)
    apply(k, fn::MulScalar{{}, g.beta}, c);
  if (last == Epilogue::relu) apply(k, fn::Relu{}, c);
  if (last == Epilogue::gelu_tanh) apply(k, fn::GeluTanh{}, c);
}

}  // namespace ink
