// y[n, o, p, q] = bias[o] + sum over i, r, s of weight[o, i, r, s] x[n, i, p stride - pad + r dilation, ...] and its
// two adjoints.
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

// Calls f(out channel, in channel, tap, output position, input position) for every product of image n with all of
// the positions inside the image.
template <class F>
INK_INLINE void for_each_product(const ConvArgs& a, int64_t o, F&& f) {
  int64_t ig = a.in / a.groups, first = o / (a.out / a.groups) * ig;
  for (int64_t i = 0; i < ig; i++)
    for (int64_t r = 0; r < a.kh; r++)
      for (int64_t s = 0; s < a.kw; s++)
        for (int64_t p = 0; p < a.oh; p++)
          for (int64_t q = 0; q < a.ow; q++) {
            int64_t y = p * a.stride_h - a.pad_h + r * a.dilation_h, x = q * a.stride_w - a.pad_w + s * a.dilation_w;
            if (y < 0 || y >= a.h || x < 0 || x >= a.w) continue;
            f(((o * ig + i) * a.kh + r) * a.kw + s, p * a.ow + q, (first + i) * a.h * a.w + y * a.w + x);
          }
}

}  // namespace

void conv2d(const ConvArgs& a, void* y, const void* x, const void* weight, const void* bias) {
  visit_float(a.dtype, [&]<class T>() {
    parallel_for(a.batch * a.out, 1, [&](int64_t begin, int64_t end) {
      for (int64_t j = begin; j < end; j++) {
        int64_t n = j / a.out, o = j % a.out, plane = a.oh * a.ow;
        T* out = static_cast<T*>(y) + j * plane;
        const T *in = static_cast<const T*>(x) + n * a.in * a.h * a.w, *w = static_cast<const T*>(weight);
        for (int64_t p = 0; p < plane; p++) out[p] = bias ? static_cast<const T*>(bias)[o] : T(0);
        for_each_product(a, o, [&](int64_t k, int64_t p, int64_t q) { out[p] += w[k] * in[q]; });
      }
    });
  });
}

void conv2d_backward_input(const ConvArgs& a, void* dx, const void* dy, const void* weight) {
  visit_float(a.dtype, [&]<class T>() {
    parallel_for(a.batch, 1, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; n++) {
        T* in = static_cast<T*>(dx) + n * a.in * a.h * a.w;
        const T *out = static_cast<const T*>(dy) + n * a.out * a.oh * a.ow, *w = static_cast<const T*>(weight);
        for (int64_t q = 0; q < a.in * a.h * a.w; q++) in[q] = T(0);
        for (int64_t o = 0; o < a.out; o++)
          for_each_product(a, o, [&](int64_t k, int64_t p, int64_t q) { in[q] += w[k] * out[o * a.oh * a.ow + p]; });
      }
    });
  });
}

void conv2d_backward_weight(const ConvArgs& a, void* dweight, const void* dy, const void* x) {
  visit_float(a.dtype, [&]<class T>() {
    parallel_for(a.out, 1, [&](int64_t begin, int64_t end) {
      int64_t size = a.in / a.groups * a.kh * a.kw;
      T* dw = static_cast<T*>(dweight);
      for (int64_t k = begin * size; k < end * size; k++) dw[k] = T(0);
      for (int64_t o = begin; o < end; o++)
        for (int64_t n = 0; n < a.batch; n++) {
          const T *out = static_cast<const T*>(dy) + (n * a.out + o) * a.oh * a.ow,
                  *in = static_cast<const T*>(x) + n * a.in * a.h * a.w;
          for_each_product(a, o, [&](int64_t k, int64_t p, int64_t q) { dw[k] += out[p] * in[q]; });
        }
    });
  });
}

}  // namespace ink::INK_CPU_LEVEL
