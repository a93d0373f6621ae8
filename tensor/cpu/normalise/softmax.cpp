// softmax: y_i = e^(x_i - m) / sum_k e^(x_k - m), m = max x, so that no exponential overflows.
// log_softmax: y_i = x_i - m - log sum_k e^(x_k - m).
#include "tensor/cpu/row.h"
#include "tensor/cpu/scratch.h"
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

// The number of leading entries of a row that count.
INK_INLINE int64_t visible(const SoftmaxArgs& a, int64_t row) {
  if (a.causal_rows == 0) return a.lines.n;
  int64_t n = row % a.causal_rows + 1 + a.lines.n - a.causal_rows;
  return n < 0 ? 0 : n;
}

template <class T> void forward_row(bool of_log, int64_t n, T* y, const T* x) {
  using P = Lanes<T>;
  T top = row_max(n, x);
  P m(top);
  if (of_log) {
    double sum = row_sum(
        n, [=](P v) { return exp(v - m); }, x);
    P shift(T(log(sum) + double(top)));
    row_map(
        n, y, [=](P v) { return v - shift; }, x);
  } else {
    P scale(T(1 / row_map_sum(
                      n, y, [=](P v) { return exp(v - m); }, x)));
    row_map(
        n, y, [=](P v) { return v * scale; }, y);
  }
}

// dx = y (dy - sum dy y); for the log form dx = dy - e^y sum dy.
template <class T> void backward_row(bool of_log, int64_t n, T* dx, const T* dy, const T* y) {
  using P = Lanes<T>;
  if (of_log) {
    P sum(T(row_sum(
        n, [](P g) { return g; }, dy)));
    row_map(
        n, dx, [=](P g, P v) { return g - exp(v) * sum; }, dy, y);
  } else {
    P sum(T(row_sum(
        n, [](P g, P v) { return g * v; }, dy, y)));
    row_map(
        n, dx, [=](P g, P v) { return v * (g - sum); }, dy, y);
  }
}

// The same for `count` neighbouring columns of a matrix with rows `step` apart: the loop over the dim goes outside.
template <class T>
void forward_columns(bool of_log, int64_t n, int64_t count, int64_t step, T* y, const T* x, T* m, T* sum) {
  using P = Lanes<T>;
  P one(T(1));
  for (int64_t j = 0; j < count; ++j) m[j] = lowest<T>(), sum[j] = 0;
  for (int64_t i = 0; i < n; ++i)
    row_map(
        count, m, [](P a, P b) { return max(a, b); }, m, x + i * step);
  for (int64_t i = 0; i < n; ++i)
    for_packs<T>(count, [&](int64_t j, auto k) {
      P e = exp(load(x + i * step + j, k) - load(m + j, k));
      if (!of_log) store(y + i * step + j, e, k);
      store(sum + j, load(sum + j, k) + e, k);
    });
  if (of_log) {
    row_map(
        count, m, [](P top, P s) { return top + log(s); }, m, sum);
    for (int64_t i = 0; i < n; ++i)
      row_map(
          count, y + i * step, [](P v, P s) { return v - s; }, x + i * step, m);
  } else {
    row_map(
        count, sum, [=](P s) { return one / s; }, sum);
    for (int64_t i = 0; i < n; ++i)
      row_map(
          count, y + i * step, [](P v, P s) { return v * s; }, y + i * step, sum);
  }
}

template <class T>
void backward_columns(bool of_log, int64_t n, int64_t count, int64_t step, T* dx, const T* dy, const T* y, T* sum) {
  using P = Lanes<T>;
  for (int64_t j = 0; j < count; ++j) sum[j] = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (of_log)
      row_map(
          count, sum, [](P s, P g) { return s + g; }, sum, dy + i * step);
    else
      row_map(
          count, sum, [](P s, P g, P v) { return s + g * v; }, sum, dy + i * step, y + i * step);
  }
  for (int64_t i = 0; i < n; ++i) {
    int64_t at = i * step;
    if (of_log)
      row_map(
          count, dx + at, [](P g, P v, P s) { return g - exp(v) * s; }, dy + at, y + at, sum);
    else
      row_map(
          count, dx + at, [](P g, P v, P s) { return v * (g - s); }, dy + at, y + at, sum);
  }
}

constexpr int64_t kColumns = 128;

// Calls f(offset, count) for every block of columns of every matrix [n, inner].
template <class F> void for_columns(Lines lines, F f) {
  int64_t blocks = (lines.inner + kColumns - 1) / kColumns;
  parallel_for(lines.outer * blocks, 8192 / (lines.n * kColumns + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      int64_t first = b % blocks * kColumns;
      f(b / blocks * lines.n * lines.inner + first, lines.inner - first < kColumns ? lines.inner - first : kColumns);
    }
  });
}

template <class T> INK_INLINE void fill_hidden(T* row, int64_t from, int64_t n, T value) {
  for (int64_t i = from; i < n; ++i) row[i] = value;
}

}  // namespace

void softmax(const SoftmaxArgs& a, void* y, const void* x) {
  int64_t n = a.lines.n, inner = a.lines.inner;
  if (n == 0) return;
  visit_float(a.dtype, [&]<class T>() {
    auto to = static_cast<T*>(y);
    auto from = static_cast<const T*>(x);
    if (inner != 1)
      return for_columns(a.lines, [&](int64_t at, int64_t count) {
        T m[kColumns], sum[kColumns];
        forward_columns(a.log, n, count, inner, to + at, from + at, m, sum);
      });
    parallel_for(a.lines.outer, 8192 / n + 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        int64_t seen = visible(a, r);
        if (seen > 0) forward_row(a.log, seen, to + r * n, from + r * n);
        fill_hidden(to + r * n, seen, n, a.log ? lowest<T>() : T(0));
      }
    });
  });
}

void softmax_backward(const SoftmaxArgs& a, void* dx, const void* dy, const void* y) {
  int64_t n = a.lines.n, inner = a.lines.inner;
  if (n == 0) return;
  visit_float(a.dtype, [&]<class T>() {
    auto to = static_cast<T*>(dx);
    auto g = static_cast<const T*>(dy), v = static_cast<const T*>(y);
    if (inner != 1)
      return for_columns(a.lines, [&](int64_t at, int64_t count) {
        T sum[kColumns];
        backward_columns(a.log, n, count, inner, to + at, g + at, v + at, sum);
      });
    parallel_for(a.lines.outer, 8192 / n + 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        int64_t seen = visible(a, r);
        if (seen > 0) backward_row(a.log, seen, to + r * n, g + r * n, v + r * n);
        fill_hidden(to + r * n, seen, n, T(0));
      }
    });
  });
}

}  // namespace ink::INK_CPU_LEVEL
