// Discrete Fourier transform of rows: y[k] = scale * sum over j of x[j] exp(-+ 2 pi i j k / n).
#include "tensor/allocator.h"
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {

void fft(DType dtype, void* y, const void* x, int64_t rows, int64_t n, bool inverse, double scale) {
  auto run = [&]<class T>() {
    parallel_for(rows, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; row++)
        for (int64_t k = 0; k < n; k++) {
          double re = 0, im = 0;
          for (int64_t j = 0; j < n; j++) {
            complex<T> v = static_cast<const complex<T>*>(x)[row * n + j];
            double angle = (inverse ? 2 : -2) * M_PI * double(j * k % n) / double(n), c = cos(angle), s = sin(angle);
            re += v.re * c - v.im * s;
            im += v.re * s + v.im * c;
          }
          static_cast<complex<T>*>(y)[row * n + k] = {T(re * scale), T(im * scale)};
        }
    });
  };
  dtype == DType::c64 ? run.operator()<float>() : run.operator()<double>();
}

}  // namespace ink::INK_CPU_LEVEL
