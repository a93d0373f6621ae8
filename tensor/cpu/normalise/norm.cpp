// Layer norm (Ba et al. 2016), RMS norm (Zhang & Sennrich 2019) and group norm (Wu & He 2018) of rows:
//   x_hat = (x - mean) rstd,  y = w x_hat + b,  rstd = 1 / sqrt(mean (x - mean)^2 + eps)
// RMS norm is the same with mean = 0. The variance is taken in a second pass: E[x^2] - E[x]^2 would cancel.
#include "tensor/cpu/row.h"
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {

void norm(const NormArgs& a, void* y, void* mean, void* rstd, const void* x, const void* weight, const void* bias) {
  int64_t n = a.cols, inner = a.inner, channels = inner ? n / inner : 0;
  double per_n = 1 / double(n);
  visit_float(a.dtype, [&]<class T>() {
    auto w = static_cast<const T*>(weight), b = static_cast<const T*>(bias);
    parallel_for(a.rows, 8192 / (n + 1) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* row = static_cast<const T*>(x) + r * n;
        T* to = static_cast<T*>(y) + r * n;
        using P = Lanes<T>;
        T m1 = 0;
        if (!a.rms) {  // the mean of what is left corrects the rounding of the first sum
          T guess = T(row_sum(
                          n, [](P v) { return v; }, row) *
                      per_n);
          m1 = T(guess + row_sum(
                             n, [g = P(guess)](P v) { return v - g; }, row) *
                             per_n);
        }
        P m(m1);
        double square = row_sum(
            n, [=](P v) { return (v - m) * (v - m); }, row);
        T s1 = T(1) / sqrt(T(square * per_n + a.eps));
        P s(s1);
        if (!a.rms) static_cast<T*>(mean)[r] = m1;
        static_cast<T*>(rstd)[r] = s1;
        int64_t first = r % a.groups * channels;
        if (inner == 1) {
          const T *wr = w + first, *br = b + first;
          if (w && b)
            row_map(
                n, to, [=](P v, P p, P q) { return (v - m) * s * p + q; }, row, wr, br);
          else if (w)
            row_map(
                n, to, [=](P v, P p) { return (v - m) * s * p; }, row, wr);
          else if (b)
            row_map(
                n, to, [=](P v, P q) { return (v - m) * s + q; }, row, br);
          else
            row_map(
                n, to, [=](P v) { return (v - m) * s; }, row);
        } else {
          for (int64_t c = 0; c < channels; ++c) {
            P p(w ? w[first + c] : T(1)), q(b ? b[first + c] : T(0));
            row_map(
                inner, to + c * inner, [=](P v) { return (v - m) * s * p + q; }, row + c * inner);
          }
        }
      }
    });
  });
}

}  // namespace ink::INK_CPU_LEVEL
