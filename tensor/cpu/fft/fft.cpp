// Discrete Fourier transform of rows: y[k] = scale * sum over j of x[j] exp(-+ 2 pi i j k / n), for any n.
// The inverse is the forward transform with real and imaginary parts exchanged, before and after.
#include "tensor/cpu/elementwise/transpose.h"
#include "tensor/cpu/fft/real_fft.h"
#include "tensor/cpu/scratch.h"
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

template <class T> INK_INLINE int64_t padded(int64_t n) { return (n + kLanes<T> - 1) / kLanes<T> * kLanes<T>; }

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

// At most `lanes` rows by any plan; z has room for the padded rows of a chirp.
template <class T>
void transform_group(const FftPlan<T>& plan, complex<T>* y, const complex<T>* x, int64_t rows, bool inverse, T scale,
                     T* memory, complex<T>* z) {
  if (plan.kind == FftPlan<T>::chirp)
    rows_by_chirp(plan, y, x, rows, inverse, scale, memory, z);
  else
    transform_rows(plan, y, x, rows, inverse, scale, memory);
}

// Calls f(first row, number of rows, memory, z) for groups of rows that go together as they share the lanes: the last
// two are what transform_group needs, z with room for `extra` numbers a row behind what it uses.
template <class T, class F> void for_groups(const FftPlan<T>& plan, int64_t rows, int64_t extra, F f) {
  const bool chirp = plan.kind == FftPlan<T>::chirp;
  const FftPlan<T>& inner = chirp ? *plan.down : plan;
  const int64_t group = inner.kind == FftPlan<T>::stages ? kLanes<T> : 1, groups = (rows + group - 1) / group;
  const int64_t used = chirp ? group * inner.n : 0;
  parallel_for(groups, 1 + 16384 / (group * inner.n), [&](int64_t begin, int64_t end) {
    Scratch<T> memory(memory_for(inner));
    Scratch<complex<T>> z(used + group * extra);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i * group;
      f(first, rows - first < group ? rows - first : group, memory.data(), z.data(), z.data() + used);
    }
  });
}

template <class T>
void transform_all(complex<T>* y, const complex<T>* x, int64_t rows, int64_t n, bool inverse, T scale) {
  if (rows == 0 || n == 0) return;
  const FftPlan<T>& plan = fft_plan<T>(n);
  for_groups(plan, rows, 0, [&](int64_t first, int64_t count, T* memory, complex<T>* z, complex<T>*) {
    transform_group(plan, y + first * n, x + first * n, count, inverse, scale, memory, z);
  });
}

// x[n] real -> y[n / 2 + 1].
template <class T> void transform_real(complex<T>* y, const T* x, int64_t rows, int64_t n, T scale) {
  if (rows == 0) return;
  const int64_t half = n / 2, length = n % 2 ? n : half;  // an odd number of them as complex numbers
  const FftPlan<T>& plan = fft_plan<T>(length);
  for_groups(plan, rows, 2 * length, [&](int64_t first, int64_t count, T* memory, complex<T>* z, complex<T>* out) {
    const T* from = x + first * n;
    complex<T>* to = y + first * (half + 1);
    if (n % 2 == 0) {
      transform_group(plan, out, reinterpret_cast<const complex<T>*>(from), count, false, T(1), memory, z);
      for (int64_t i = 0; i < count; ++i) spectrum_of_pairs(to + i * (half + 1), out + i * half, half, scale);
      return;
    }
    complex<T>* in = out + count * n;
    for (int64_t j = 0; j < count * n; ++j) in[j] = complex<T>(from[j], T(0));
    transform_group(plan, out, in, count, false, scale, memory, z);
    for (int64_t i = 0; i < count; ++i)
      for (int64_t k = 0; k <= half; ++k) to[i * (half + 1) + k] = out[i * n + k];
  });
}

// x[n / 2 + 1] -> y[n] real, of the spectrum that x and its conjugate make up.
template <class T> void transform_to_real(T* y, const complex<T>* x, int64_t rows, int64_t n, T scale) {
  if (rows == 0) return;
  const int64_t half = n / 2, length = n % 2 ? n : half;
  const FftPlan<T>& plan = fft_plan<T>(length);
  for_groups(plan, rows, 2 * length, [&](int64_t first, int64_t count, T* memory, complex<T>* z, complex<T>* in) {
    const complex<T>* from = x + first * (half + 1);
    T* to = y + first * n;
    if (n % 2 == 0) {
      for (int64_t i = 0; i < count; ++i) pairs_of_spectrum(in + i * half, from + i * (half + 1), half);
      transform_group(plan, reinterpret_cast<complex<T>*>(to), in, count, true, scale, memory, z);
      return;
    }
    complex<T>* out = in + count * n;
    for (int64_t i = 0; i < count; ++i) {
      const complex<T>* spectrum = from + i * (half + 1);
      in[i * n] = complex<T>(spectrum[0].re, T(0));
      for (int64_t k = 1; k <= half; ++k) {
        in[i * n + k] = spectrum[k];
        in[i * n + n - k] = complex<T>(spectrum[k].re, -spectrum[k].im);
      }
    }
    transform_group(plan, out, in, count, true, scale, memory, z);
    for (int64_t j = 0; j < count * n; ++j) to[j] = out[j].re;
  });
}

template <class T>
void transform_real_rows(void* y, const void* x, int64_t rows, int64_t n, bool inverse, double scale) {
  if (inverse)
    transform_to_real(static_cast<T*>(y), static_cast<const complex<T>*>(x), rows, n, T(scale));
  else
    transform_real(static_cast<complex<T>*>(y), static_cast<const T*>(x), rows, n, T(scale));
}

}  // namespace

void fft(DType dtype, void* y, const void* x, int64_t rows, int64_t n, bool inverse, double scale) {
  if (dtype == DType::f32) {
    transform_real_rows<float>(y, x, rows, n, inverse, scale);
  } else if (dtype == DType::f64) {
    transform_real_rows<double>(y, x, rows, n, inverse, scale);
  } else if (dtype == DType::c64) {
    transform_all(static_cast<complex<float>*>(y), static_cast<const complex<float>*>(x), rows, n, inverse,
                  float(scale));
  } else {
    transform_all(static_cast<complex<double>*>(y), static_cast<const complex<double>*>(x), rows, n, inverse, scale);
  }
}

}  // namespace ink::INK_CPU_LEVEL
