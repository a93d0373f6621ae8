// Discrete Fourier transform of rows: y[k] = scale * sum over j of x[j] exp(-+ 2 pi i j k / n), for any n.
// The inverse is the forward transform with real and imaginary parts exchanged, before and after.
#include "tensor/cpu/elementwise/transpose.h"
#include "tensor/cpu/fft/fft_stage.h"
#include "tensor/cpu/pack/pack_split.h"
#include "tensor/cpu/scratch.h"
#include "tensor/cpu/table.h"
#include "tensor/math/complex.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

template <class T> INK_INLINE int64_t padded(int64_t n) { return (n + kLanes<T> - 1) / kLanes<T> * kLanes<T>; }

// n <= lanes complex numbers from memory, the parts apart; the other lanes are 0.
template <class T> INK_INLINE Cx<T> load_complex(const complex<T>* x, int64_t n) {
  constexpr int L = kLanes<T>;
  const T* p = &x->re;
  Cx<T> v{load_up_to<L>(p, 2 * n), load_up_to<L>(p + L, 2 * n - L)};
  split(v.re, v.im);
  return v;
}
template <class T> INK_INLINE void store_complex(complex<T>* y, Cx<T> v, int64_t n) {
  constexpr int L = kLanes<T>;
  T* p = &y->re;
  interleave(v.re, v.im);
  store_up_to(v.re, p, 2 * n);
  store_up_to(v.im, p + L, 2 * n - L);
}

// At most `lanes` rows, one to a lane.
template <class T>
void rows_by_lanes(const FftPlan<T>& plan, complex<T>* y, const complex<T>* x, int64_t rows, bool inverse, T scale,
                   T* memory) {
  constexpr int L = kLanes<T>;
  using P = Pack<T, L>;
  int64_t n = plan.n;
  auto [a, b] = Arrays<T>(memory, n * L);
  Parts<T> to = exchanged(a, inverse);
  for (int64_t j = 0; j < n; j += L) {
    int64_t width = n - j < L ? n - j : L;
    P re[L], im[L];
    for (int i = 0; i < L; ++i) {
      Cx<T> v = i < rows ? load_complex(x + i * n + j, width) : Cx<T>{P(T(0)), P(T(0))};
      re[i] = v.re;
      im[i] = v.im;
    }
    transpose_square(re);
    transpose_square(im);
    for (int i = 0; i < width; ++i) Cx<T>{re[i], im[i]}.store(to, (j + i) * L);
  }
  Parts<T> from = exchanged(transform_columns(plan, a, b, L), inverse);
  for (int64_t j = 0; j < n; j += L) {
    int64_t width = n - j < L ? n - j : L;
    P re[L], im[L];
    for (int i = 0; i < L; ++i) {
      Cx<T> v = i < width ? Cx<T>::load(from, (j + i) * L) : Cx<T>{P(T(0)), P(T(0))};
      re[i] = v.re * P(scale);
      im[i] = v.im * P(scale);
    }
    transpose_square(re);
    transpose_square(im);
    for (int i = 0; i < L && i < rows; ++i) store_complex(y + i * n + j, Cx<T>{re[i], im[i]}, width);
  }
}

// One row as a matrix: with j = j1 columns + j2 and k = k1 + rows k2, the root's exponent j k is j1 k1 / rows +
// j2 k1 / n + j2 k2 / columns, whole turns left out.
template <class T>
void row_by_columns(const FftPlan<T>& plan, complex<T>* y, const complex<T>* x, bool inverse, T scale, T* memory) {
  constexpr int L = kLanes<T>;
  using P = Pack<T, L>;
  int64_t rows = plan.rows, columns = plan.columns, wide = padded<T>(columns), high = padded<T>(rows);
  int64_t size = rows * wide > columns * high ? rows * wide : columns * high;
  auto [a, b] = Arrays<T>(memory, size);
  Parts<T> to = exchanged(a, inverse);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; j += L)
      load_complex(x + i * columns + j, columns - j < L ? columns - j : L).store(to, i * wide + j);
  Parts<T> down = transform_columns(*plan.down, a, b, wide), turned = down.re == a.re ? b : a;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; j += L) {
      const T* cross = plan.cross + i * columns + j;
      Cx<T> w{load_up_to<L>(cross, columns - j), load_up_to<L>(cross + plan.n, columns - j)};
      (Cx<T>::load(down, i * wide + j) * w).store(down, i * wide + j);
    }
  transpose(turned.re, high, down.re, wide, rows, columns, true);
  transpose(turned.im, high, down.im, wide, rows, columns, true);
  Parts<T> from = exchanged(transform_columns(*plan.along, turned, down, high), inverse);
  for (int64_t i = 0; i < columns; ++i)
    for (int64_t j = 0; j < rows; j += L) {
      Cx<T> v = Cx<T>::load(from, i * high + j);
      v = {v.re * P(scale), v.im * P(scale)};
      store_complex(y + i * rows + j, v, rows - j < L ? rows - j : L);
    }
}

template <class T> int64_t memory_for(const FftPlan<T>& plan) {
  if (plan.kind == FftPlan<T>::stages) return Arrays<T>::values(plan.n * kLanes<T>);
  int64_t a = plan.rows * padded<T>(plan.columns), b = plan.columns * padded<T>(plan.rows);
  return Arrays<T>::values(a > b ? a : b);
}

// At most `lanes` rows by a plan that is no chirp.
template <class T>
void transform_rows(const FftPlan<T>& plan, complex<T>* y, const complex<T>* x, int64_t rows, bool inverse, T scale,
                    T* memory) {
  if (plan.kind == FftPlan<T>::stages) return rows_by_lanes(plan, y, x, rows, inverse, scale, memory);
  for (int64_t i = 0; i < rows; ++i) row_by_columns(plan, y + i * plan.n, x + i * plan.n, inverse, scale, memory);
}

// Bluestein: j k = (j^2 + k^2 - (k - j)^2) / 2 makes the sum over j a convolution with exp(pi i j^2 / n).
template <class T>
void rows_by_chirp(const FftPlan<T>& plan, complex<T>* y, const complex<T>* x, int64_t rows, bool inverse, T scale,
                   T* memory, complex<T>* z) {
  int64_t n = plan.n, m = plan.padded;
  auto factor = reinterpret_cast<const complex<T>*>(plan.factor),
       filter = reinterpret_cast<const complex<T>*>(plan.filter);
  auto exchange = [&](complex<T> v) { return inverse ? complex<T>(v.im, v.re) : v; };
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < n; ++j) z[i * m + j] = exchange(x[i * n + j]) * factor[j];
    for (int64_t j = n; j < m; ++j) z[i * m + j] = complex<T>();
  }
  transform_rows(*plan.down, z, z, rows, false, T(1), memory);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < m; ++j) z[i * m + j] *= filter[j];
  transform_rows(*plan.down, z, z, rows, true, scale, memory);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < n; ++j) y[i * n + j] = exchange(z[i * m + j] * factor[j]);
}

template <class T>
void transform_all(complex<T>* y, const complex<T>* x, int64_t rows, int64_t n, bool inverse, T scale) {
  if (rows == 0 || n == 0) return;
  const FftPlan<T>& plan = fft_plan<T>(n);
  bool chirp = plan.kind == FftPlan<T>::chirp;
  const FftPlan<T>& inner = chirp ? *plan.down : plan;
  // Rows go together where they share the lanes.
  int64_t group = inner.kind == FftPlan<T>::stages ? kLanes<T> : 1, groups = (rows + group - 1) / group;
  parallel_for(groups, 1 + 16384 / (group * inner.n), [&](int64_t begin, int64_t end) {
    Scratch<T> memory(memory_for(inner));
    Scratch<complex<T>> z(chirp ? group * inner.n : 0);
    for (int64_t i = begin; i < end; ++i) {
      int64_t first = i * group, count = rows - first < group ? rows - first : group;
      complex<T>* to = y + first * n;
      const complex<T>* from = x + first * n;
      if (chirp) {
        rows_by_chirp(plan, to, from, count, inverse, scale, memory.data(), z.data());
      } else {
        transform_rows(plan, to, from, count, inverse, scale, memory.data());
      }
    }
  });
}

}  // namespace

void fft(DType dtype, void* y, const void* x, int64_t rows, int64_t n, bool inverse, double scale) {
  if (dtype == DType::c64) {
    transform_all(static_cast<complex<float>*>(y), static_cast<const complex<float>*>(x), rows, n, inverse,
                  float(scale));
  } else {
    transform_all(static_cast<complex<double>*>(y), static_cast<const complex<double>*>(x), rows, n, inverse, scale);
  }
}

}  // namespace ink::INK_CPU_LEVEL
