#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

constexpr int64_t kColumns = 256;

// Two passes over [n, count] columns while they are in cache.
template <class T>
void columns(T* var, T* mean, const T* x, int64_t n, int64_t inner, int64_t count, double correction) {
  for (int64_t c = 0; c < count; ++c) {
    double sum = 0, squares = 0;
    for (int64_t j = 0; j < n; ++j) sum += x[j * inner + c];
    const double m = sum / double(n);
    for (int64_t j = 0; j < n; ++j) squares += (x[j * inner + c] - m) * (x[j * inner + c] - m);
    mean[c] = T(m);
    const double freedom = double(n) - correction;
    var[c] = T(squares / (freedom > 0 ? freedom : 0));
  }
}

}  // namespace

void var_mean(const Array& var, const Array& mean, const Array& in, Lines lines, double correction) {
  visit_float(in.dtype, [&]<class T>() {
    T *v = static_cast<T*>(var.data), *m = static_cast<T*>(mean.data);
    const T* x = static_cast<const T*>(in.data);
    const int64_t blocks = (lines.inner + kColumns - 1) / kColumns;
    parallel_for(lines.outer * blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t o = task / blocks, first = task % blocks * kColumns, out = o * lines.inner + first;
        const int64_t count = lines.inner - first < kColumns ? lines.inner - first : kColumns;
        columns(v + out, m + out, x + o * lines.n * lines.inner + first, lines.n, lines.inner, count, correction);
      }
    });
  });
}

}  // namespace ink::INK_CPU_LEVEL
