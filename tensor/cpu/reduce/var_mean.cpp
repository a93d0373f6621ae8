// Mean and variance along a dim. A block is summed, then the squares of its distances from its own mean are, while it
// is in cache; blocks are joined by the formula of Chan, Golub & LeVeque 1979. Nothing cancels, memory is read once.
#include "tensor/cpu/reduce/reducers.h"
#include "tensor/cpu/scratch.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

constexpr int64_t kColumns = 512;
constexpr int64_t kRowBlock = 4096;   // elements of a row
constexpr int64_t kColumnBlock = 32;  // rows of a block of columns
constexpr int64_t kPiece = 65536;     // elements of one task when there are few outputs

INK_INLINE int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
INK_INLINE double at_least_0(double x) { return x > 0 || x != x ? x : 0; }
INK_INLINE int64_t pieces(int64_t n, int64_t size) { return (n + size - 1) / size; }

// Of n numbers: their mean and the sum of squared distances from it.
struct Moments {
  double n, mean, m2;
};

INK_INLINE void join(Moments& a, const Moments& b) {
  const double n = a.n + b.n, delta = b.mean - a.mean;
  if (n == 0) return;
  a.mean += delta * (b.n / n);
  a.m2 += b.m2 + delta * delta * (a.n * (b.n / n));
  a.n = n;
}

// sum of (x - m) and of (x - m)^2; with m near the mean the first corrects for m's rounding.
template <class T> Moments around(const T* x, int64_t n, T m) {
  constexpr int64_t L = kLanes<T>, kRun = 32 * L;
  using P = Pack<T, L>;
  double shift = 0, squares = 0;
  int64_t i = 0;
  while (i + L <= n) {
    const int64_t end = i + min(n - i, kRun) / L * L;
    P s[2] = {P(T(0)), P(T(0))}, q[2] = {P(T(0)), P(T(0))};
    for (; i + 2 * L <= end; i += 2 * L)
      for (int k = 0; k < 2; ++k) {
        const P d = P::load(x + i + k * L) - P(m);
        s[k] += d;
        q[k] = muladd(d, d, q[k]);
      }
    for (; i < end; i += L) {
      const P d = P::load(x + i) - P(m);
      s[0] += d;
      q[0] = muladd(d, d, q[0]);
    }
    const auto add = [](auto a, auto b) { return a + b; };
    shift += double(reduce(s[0] + s[1], add));
    squares += double(reduce(q[0] + q[1], add));
  }
  for (; i < n; ++i) {
    const double d = double(x[i]) - double(m);
    shift += d;
    squares += d * d;
  }
  return {double(n), double(m) + shift / double(n), at_least_0(squares - shift * (shift / double(n)))};
}

template <class T> Moments row_moments(const T* x, int64_t n) {
  Moments all{0, 0, 0};
  for (int64_t i = 0; i < n; i += kRowBlock) {
    const int64_t count = min(n - i, kRowBlock);
    double sum = 0;
    PackReduce<fn::Sum, T>::row(&sum, x + i, count);
    join(all, around(x + i, count, T(sum / double(count))));
  }
  return all;
}

// The same for `count` columns of [n, stride].
template <class T> void column_moments(Moments* all, const T* x, int64_t n, int64_t stride, int64_t count) {
  for (int64_t c = 0; c < count; ++c) all[c] = {0, 0, 0};
  alignas(64) double sum[kColumns], squares[kColumns];
  alignas(64) T mean[kColumns];
  for (int64_t first = 0; first < n; first += kColumnBlock) {
    const int64_t rows = min(n - first, kColumnBlock);
    const T* block = x + first * stride;
    const double scale = 1 / double(rows);
    for (int64_t c = 0; c < count; ++c) sum[c] = squares[c] = 0;
    PackReduce<fn::Sum, T>::columns(sum, block, rows, stride, count);
    for (int64_t c = 0; c < count; ++c) mean[c] = T(sum[c] * scale);
    constexpr int64_t L = kLanes<T>;
    using P = Pack<T, L>;
    int64_t c = 0;
    for (; c + L <= count; c += L) {
      const P m = P::load(mean + c);
      P s = P(T(0)), q = s;
      for (int64_t i = 0; i < rows; ++i) {
        const P d = P::load(block + i * stride + c) - m;
        s += d;
        q = muladd(d, d, q);
      }
      convert<double>(s).store(sum + c);
      convert<double>(q).store(squares + c);
    }
    for (; c < count; ++c) {
      sum[c] = 0;
      for (int64_t i = 0; i < rows; ++i) {
        const double d = double(block[i * stride + c]) - double(mean[c]);
        sum[c] += d;
        squares[c] += d * d;
      }
    }
    // join(), with the divisions that all columns share done once
    const double before = all[0].n, n_all = before + double(rows), weight = double(rows) / n_all;
    for (c = 0; c < count; ++c) {
      const double shift = sum[c] * scale, delta = double(mean[c]) + shift - all[c].mean;
      const double m2 = at_least_0(squares[c] - shift * sum[c]);
      all[c] = {n_all, all[c].mean + delta * weight, all[c].m2 + m2 + delta * delta * (before * weight)};
    }
  }
}

template <class T> void moments_of_lines(T* var, T* mean, const T* x, Lines lines, double correction) {
  const int64_t n = lines.n, outputs = lines.outer * lines.inner;
  if (outputs == 0) return;
  const int64_t width = min(lines.inner, kColumns), per_row = pieces(lines.inner, width), tasks = lines.outer * per_row;
  const auto write = [&](int64_t at, const Moments* m, int64_t count) {
    const double freedom = double(n) - correction;
    for (int64_t c = 0; c < count; ++c) {
      mean[at + c] = n > 0 ? T(m[c].mean) : T(NAN);
      var[at + c] = T(m[c].m2 / (freedom > 0 ? freedom : 0));
    }
  };
  const auto measure = [&](Moments* m, int64_t task, int64_t from, int64_t to) {
    const int64_t o = task / per_row, first = task % per_row * width;
    const T* start = x + (o * n + from) * lines.inner + first;
    if (lines.inner == 1) {
      m[0] = row_moments(start, to - from);
    } else {
      column_moments(m, start, to - from, lines.inner, min(lines.inner - first, width));
    }
  };
  const auto place = [&](int64_t task) { return task / per_row * lines.inner + task % per_row * width; };
  const auto count_of = [&](int64_t task) { return min(lines.inner - task % per_row * width, width); };

  const int64_t step = tasks < 64 && n * width > kPiece ? pieces(kPiece, width) : n;  // rows of one task
  if (step >= n) {
    const int64_t grain = n * width < kGrain ? kGrain / (n * width + 1) + 1 : 1;
    return parallel_for(tasks, grain, [&](int64_t begin, int64_t end) {
      Moments m[kColumns];
      for (int64_t task = begin; task < end; ++task) {
        measure(m, task, 0, n);
        write(place(task), m, count_of(task));
      }
    });
  }
  const int64_t parts = pieces(n, step);
  Scratch<Moments> partial(parts * outputs);
  parallel_for(tasks * parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t part = i / tasks, task = i % tasks;
      measure(partial.data() + part * outputs + place(task), task, part * step, min(n, (part + 1) * step));
    }
  });
  parallel_for(outputs, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t part = 1; part < parts; ++part)
      for (int64_t i = begin; i < end; ++i) join(partial[i], partial[part * outputs + i]);
    write(begin, partial.data() + begin, end - begin);
  });
}

}  // namespace

void var_mean(const Array& var, const Array& mean, const Array& in, Lines lines, double correction) {
  visit_float(in.dtype, [&]<class T>() {
    moments_of_lines(static_cast<T*>(var.data), static_cast<T*>(mean.data), static_cast<const T*>(in.data), lines,
                     correction);
  });
}

}  // namespace ink::INK_CPU_LEVEL
