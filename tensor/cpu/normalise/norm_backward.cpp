// With g = w dy:  dx = rstd (g - mean(g) - x_hat mean(g x_hat)), without mean(g) for RMS norm;  dw = sum dy x_hat and
// db = sum dy over rows (and over the inner positions of group norm).
#include "tensor/cpu/row.h"
#include "tensor/cpu/scratch.h"
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

struct RowSums {
  double g, g_xhat;
};

// Adds the row's dy x_hat to dw and dy to db (either may be null) and returns sum g, sum g x_hat.
template <class T>
RowSums sums(int64_t channels, int64_t inner, T* dw, T* db, const T* dy, const T* x, const T* w, T mean, T rstd) {
  using P = Lanes<T>;
  P m(mean), s(rstd);
  RowSums total{0, 0};
  if (inner == 1) {
    constexpr int64_t kBlock = 256 * kLanes<T>;  // few additions per lane before they go to a double
    for (int64_t first = 0; first < channels; first += kBlock) {
      P g_sum(T(0)), g_xhat_sum(T(0));
      for_packs<T>(channels - first < kBlock ? channels - first : kBlock, [&](int64_t j, auto k) {
        int64_t i = first + j;
        P d = load(dy + i, k), d_xhat = d * ((load(x + i, k) - m) * s);  // 0 in the lanes that do not count
        if (dw) store(dw + i, load(dw + i, k) + d_xhat, k);
        if (db) store(db + i, load(db + i, k) + d, k);
        P p = w ? load(w + i, k) : P(T(1));
        g_sum += d * p, g_xhat_sum += d_xhat * p;
      });
      total.g += double(sum(g_sum)), total.g_xhat += double(sum(g_xhat_sum));
    }
    return total;
  }
  for (int64_t c = 0; c < channels; ++c, dy += inner, x += inner) {
    double d = row_sum(
               inner, [=](P d) { return d; }, dy),
           p = w ? double(w[c]) : 1;
    double d_xhat = row_sum(
        inner, [=](P d, P v) { return d * ((v - m) * s); }, dy, x);
    if (dw) dw[c] += T(d_xhat);
    if (db) db[c] += T(d);
    total.g += p * d, total.g_xhat += p * d_xhat;
  }
  return total;
}

template <class T>
void input_gradient(int64_t channels, int64_t inner, T* dx, const T* dy, const T* x, const T* w, T mean, T rstd,
                    T mean_g, T mean_g_xhat) {
  using P = Lanes<T>;
  auto dx_of = [m = P(mean), s = P(rstd), a = P(mean_g), b = P(mean_g_xhat)](P g, P v) {
    return s * (g - a - (v - m) * s * b);
  };
  if (!w) return row_map(channels * inner, dx, dx_of, dy, x);
  if (inner == 1)
    return row_map(
        channels, dx, [=](P d, P v, P p) { return dx_of(d * p, v); }, dy, x, w);
  for (int64_t c = 0; c < channels; ++c) {
    P p(w[c]);
    row_map(
        inner, dx + c * inner, [=](P d, P v) { return dx_of(d * p, v); }, dy + c * inner, x + c * inner);
  }
}

}  // namespace

void norm_backward(const NormArgs& a, void* dx, void* dweight, void* dbias, const void* dy, const void* x,
                   const void* mean, const void* rstd, const void* weight) {
  int64_t n = a.cols, inner = a.inner, channels = inner ? n / inner : 0, affine = a.groups * channels;
  // Rows are summed in blocks, the blocks' sums in order. The cut depends on sizes alone, and so do the results.
  int64_t block = (a.rows + 63) / 64 > 8192 / (n + 1) + 1 ? (a.rows + 63) / 64 : 8192 / (n + 1) + 1;
  int64_t blocks = (a.rows + block - 1) / block;
  visit_float(a.dtype, [&]<class T>() {
    Scratch<T> partial(dweight || dbias ? 2 * blocks * affine : 0);  // [dw or db][block][affine]
    parallel_for(blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        T* dw = dweight ? partial.data() + b * affine : nullptr;
        T* db = dbias ? partial.data() + (blocks + b) * affine : nullptr;
        for (int64_t i = 0; i < affine && dw; ++i) dw[i] = 0;
        for (int64_t i = 0; i < affine && db; ++i) db[i] = 0;
        for (int64_t r = b * block; r < a.rows && r < (b + 1) * block; ++r) {
          int64_t at = r * n, first = r % a.groups * channels;
          auto g = static_cast<const T*>(dy) + at, v = static_cast<const T*>(x) + at;
          const T* w = weight ? static_cast<const T*>(weight) + first : nullptr;
          T m = a.rms ? T(0) : static_cast<const T*>(mean)[r], s = static_cast<const T*>(rstd)[r];
          RowSums sum = sums(channels, inner, dw ? dw + first : nullptr, db ? db + first : nullptr, g, v, w, m, s);
          if (dx)
            input_gradient(channels, inner, static_cast<T*>(dx) + at, g, v, w, m, s,
                           a.rms ? T(0) : T(sum.g / double(n)), T(sum.g_xhat / double(n)));
        }
      }
    });
    for (void* target : {dweight, dbias}) {
      if (!target) continue;
      const T* from = partial.data() + (target == dbias ? blocks * affine : 0);
      parallel_for(affine, 8192 / (blocks + 1) + 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          double sum = 0;
          for (int64_t b = 0; b < blocks; ++b) sum += double(from[b * affine + i]);
          static_cast<T*>(target)[i] = T(sum);
        }
      });
    }
  });
}

}  // namespace ink::INK_CPU_LEVEL
