// Cross entropy of logits against class numbers, without ever storing the probabilities.
//   lse = log sum_k e^(x_k)      loss = (1 - s) (lse - x_t) + s (lse - mean_k x_k)      (s: label smoothing)
//   dx_k = g (e^(x_k - lse) - s / K - (1 - s) [k = t])
// The forward pass reads a row once: it keeps the maximum m so far and the sum of e^(x - m), and rescales the sum
// whenever m grows (the online softmax of Milakov & Gimelshein 2018, alg. 3), block by block.
#include "tensor/cpu/row.h"
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

constexpr int64_t kBlock = 1024;

template <class T> struct RowStatistics {
  double lse;
  double sum;  // of x, for label smoothing
};

template <class T> RowStatistics<T> statistics(int64_t n, const T* x, bool smoothing) {
  using P = Lanes<T>;
  T m = lowest<T>();
  double exp_sum = 0, sum = 0;
  for (int64_t i = 0; i < n; i += kBlock) {
    int64_t count = n - i < kBlock ? n - i : kBlock;
    T block_max = row_max(count, x + i), top = block_max > m ? block_max : m;
    T shift = top == lowest<T>() ? T(0) : top;  // nothing finite yet: -inf - -inf would be NaN
    exp_sum *= exp(double(m) - double(shift));
    exp_sum += row_sum(
        count, [c = P(shift)](P v) { return exp(v - c); }, x + i);
    if (smoothing)
      sum += row_sum(
          count, [](P v) { return v; }, x + i);
    m = top;
  }
  return {double(m) + log(exp_sum), sum};
}

}  // namespace

void cross_entropy(const CrossEntropyArgs& a, void* loss, void* lse, const void* logits, const int64_t* target) {
  int64_t n = a.classes;
  double s = a.label_smoothing;
  visit_float(a.dtype, [&]<class T>() {
    parallel_for(a.rows, 8192 / (n + 1) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        T &l = static_cast<T*>(loss)[r], &e = static_cast<T*>(lse)[r];
        l = e = T(0);
        if (target[r] == a.ignore_index) continue;
        const T* x = static_cast<const T*>(logits) + r * n;
        RowStatistics<T> row = statistics(n, x, s != 0);
        double z = row.lse, nll = z - double(x[target[r]]);
        e = T(z), l = T(s == 0 ? nll : (1 - s) * nll + s * (z - row.sum / double(n)));
      }
    });
  });
}

void cross_entropy_backward(const CrossEntropyArgs& a, void* dlogits, const void* dloss, const void* logits,
                            const void* lse, const int64_t* target) {
  int64_t n = a.classes;
  bool large = a.rows * n * size_of(a.dtype) > int64_t(32) << 20;
  visit_float(a.dtype, [&]<class T>() {
    parallel_for(a.rows, 8192 / (n + 1) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T *x = static_cast<const T*>(logits) + r * n, scale = static_cast<const T*>(dloss)[r];
        T* dx = static_cast<T*>(dlogits) + r * n;
        using P = Lanes<T>;
        if (target[r] == a.ignore_index) {
          row_map(n, dx, [] { return P(T(0)); });
          continue;
        }
        T others = T(a.label_smoothing / double(n)), z = static_cast<const T*>(lse)[r];
        T at_target = scale * (exp(x[target[r]] - z) - others - T(1 - a.label_smoothing));
        auto dx_of = [g = P(scale), z = P(z), q = P(others)](P v) { return g * (exp(v - z) - q); };
        if (large)
          row_map_stream(n, dx, dx_of, x);
        else
          row_map(n, dx, dx_of, x);
        dx[target[r]] = at_target;
      }
      if (large) hw::stream_fence();
    });
  });
}

}  // namespace ink::INK_CPU_LEVEL
