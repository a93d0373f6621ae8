// Depthwise convolutions: output channel o of `out / in` per input channel sees input channel o / (out / in) alone.
// They do a few products per number read, so memory decides: y and dx are made by one thread per pixel, which reads its
// window from the caches.
#include "tensor/cuda/conv/conv.h"
#include "tensor/cuda/conv/window.h"
#include "tensor/cuda/device/planes.h"
#include "tensor/cuda/host/table.h"

namespace ink::cuda {
namespace {

template <class T>
__global__ void correlate(const Planes planes, const Divisor out, const Divisor each, const Window v, T* y, const T* x,
                          const T* weight, const T* bias) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= planes.count) return;
  const Pixel at = planes.at(i);
  const uint32_t o = at.plane - out.divide(at.plane) * out.size;
  x += int64_t(each.divide(at.plane)) * v.h * v.w;
  weight += int64_t(o) * v.kh * v.kw;
  T sum = bias ? bias[o] : T(0);
  for (int r = 0; r < v.kh; ++r)
    for (int s = 0; s < v.kw; ++s) {
      const int row = v.row(at.y, r), col = v.col(at.x, s);
      if (v.inside(row, col)) sum = fn::fma(weight[r * v.kw + s], x[row * v.w + col], sum);
    }
  y[int64_t(at.plane) * v.oh * v.ow + at.place] = sum;
}

template <class T>
__global__ void correlate_backward(const Planes planes, const Divisor in, const int each, const Window v, T* dx,
                                   const T* dy, const T* weight) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= planes.count) return;
  const Pixel at = planes.at(i);
  const uint32_t c = at.plane - in.divide(at.plane) * in.size;
  dy += int64_t(at.plane) * each * v.oh * v.ow;
  weight += int64_t(c) * each * v.kh * v.kw;
  T sum = 0;
  for (int o = 0; o < each; ++o, dy += int64_t(v.oh) * v.ow, weight += v.kh * v.kw)
    for (int r = 0; r < v.kh; ++r) {
      const int p = v.output_row(at.y, r);
      if (p < 0) continue;
      for (int s = 0; s < v.kw; ++s) {
        const int q = v.output_col(at.x, s);
        if (q >= 0) sum = fn::fma(weight[r * v.kw + s], dy[p * v.ow + q], sum);
      }
    }
  dx[int64_t(at.plane) * v.h * v.w + at.place] = sum;
}

// dweight[o, tap] = sum over images and pixels of dy[o] x[o / each]: a block per weight. Its threads stride over the
// pixels of dy, then add up by warps, and the first thread adds the warps.
template <class T>
__global__ void __launch_bounds__(256)
    correlate_weight(const Planes planes, const Window v, const int out, const int each, T* dweight, const bool add,
                     const T* dy, const T* x) {
  INK_SHARED(T[256 / kWarp], part);
  const int taps = v.kh * v.kw, o = int(blockIdx.x) / taps, r = int(blockIdx.x) % taps / v.kw,
            s = int(blockIdx.x) % v.kw;
  const int c = o / each, in = out / each;
  T sum = 0;
  for (uint32_t i = threadIdx.x; i < planes.count; i += blockDim.x) {
    const Pixel at = planes.at(i);  // at.plane: the image
    const int row = v.row(at.y, r), col = v.col(at.x, s);
    if (v.inside(row, col))
      sum = fn::fma(dy[(int64_t(at.plane) * out + o) * v.oh * v.ow + at.place],
                    x[(int64_t(at.plane) * in + c) * v.h * v.w + row * v.w + col], sum);
  }
  for (int step = kWarp / 2; step > 0; step /= 2) sum += __shfl_xor_sync(kFull, sum, step);
  if (threadIdx.x % kWarp == 0) part[threadIdx.x / kWarp] = sum;
  __syncthreads();
  if (threadIdx.x > 0) return;
  for (int w = 1; w < int(blockDim.x) / kWarp; ++w) sum += part[w];
  dweight[blockIdx.x] = add ? dweight[blockIdx.x] + sum : sum;
}

}  // namespace

void depthwise(const ConvArgs& a, void* y, const void* x, const void* weight, const void* bias) {
  const Window v = window_of("conv2d", a);
  visit_float(a.dtype, [&]<class T>() {
    for_planes(a.batch, a.out, a.oh, a.ow, [&](const Planes& planes, int64_t image, dim3 grid, dim3 block) {
      launch("conv2d", correlate<T>, grid, block, 0, planes, Divisor(a.out), Divisor(a.out / a.in), v,
             static_cast<T*>(y) + image * a.out * a.out_plane(), static_cast<const T*>(x) + image * a.in * a.plane(),
             static_cast<const T*>(weight), static_cast<const T*>(bias));
    });
  });
}

void depthwise_backward_input(const ConvArgs& a, void* dx, const void* dy, const void* weight) {
  const Window v = window_of("conv2d_backward_input", a);
  visit_float(a.dtype, [&]<class T>() {
    for_planes(a.batch, a.in, a.h, a.w, [&](const Planes& planes, int64_t image, dim3 grid, dim3 block) {
      launch("conv2d_backward_input", correlate_backward<T>, grid, block, 0, planes, Divisor(a.in), int(a.out / a.in),
             v, static_cast<T*>(dx) + image * a.in * a.plane(),
             static_cast<const T*>(dy) + image * a.out * a.out_plane(), static_cast<const T*>(weight));
    });
  });
}

void depthwise_backward_weight(const ConvArgs& a, void* dweight, const void* dy, const void* x) {
  const Window v = window_of("conv2d_backward_weight", a);
  visit_float(a.dtype, [&]<class T>() {
    for_planes(a.batch, 1, a.oh, a.ow, [&](const Planes& planes, int64_t image, dim3, dim3 block) {
      launch("conv2d_backward_weight", correlate_weight<T>, dim3(unsigned(a.out * a.taps())), block, 0, planes, v,
             int(a.out), int(a.out / a.in), static_cast<T*>(dweight), image > 0,
             static_cast<const T*>(dy) + image * a.out * a.out_plane(),
             static_cast<const T*>(x) + image * a.in * a.plane());
    });
  });
}

}  // namespace ink::cuda
