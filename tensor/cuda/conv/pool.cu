// Pooling over windows of a plane (see tensor/cpu/conv/pool.cpp): one thread per pixel of the result, which reads its
// window in order. Windows that overlap are read from the caches: device memory moves x once and y once.
#include "tensor/cuda/conv/window.h"
#include "tensor/cuda/device/planes.h"
#include "tensor/cuda/host/table.h"

namespace ink::cuda {
namespace {

template <class T> __global__ void max_pixels(const Planes planes, const Window v, T* y, int64_t* indices, const T* x) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= planes.count) return;
  const Pixel at = planes.at(i);
  x += int64_t(at.plane) * v.h * v.w;
  T best = fn::lowest<T>();
  int place = -1;
  for (int r = 0; r < v.kh; ++r)
    for (int s = 0; s < v.kw; ++s) {
      const int row = v.row(at.y, r), col = v.col(at.x, s);
      if (!v.inside(row, col)) continue;
      const T value = x[row * v.w + col];
      if (place < 0 || value > best || (value != value && best == best)) best = value, place = row * v.w + col;
    }
  const int64_t to = int64_t(at.plane) * v.oh * v.ow + at.place;
  y[to] = best;
  indices[to] = place;
}

// How many of `taps` positions from `first` on lie in [0, size).
__device__ __forceinline__ int positions(int first, int size, int taps, int dilation) {
  const int begin = first < 0 ? (dilation - 1 - first) / dilation : 0;
  const int end = size > first ? (size - first + dilation - 1) / dilation : 0;
  return fn::max(0, fn::min(end, taps) - begin);
}

struct Mean {  // a window's mean is over the positions inside the plane, or (padded) inside the padded plane
  Window v;
  bool padded;

  __device__ __forceinline__ int rows(int p) const {
    return padded ? positions(p * v.stride_h, v.h + 2 * v.pad_h, v.kh, v.dilation_h)
                  : positions(v.row(p, 0), v.h, v.kh, v.dilation_h);
  }
  __device__ __forceinline__ int cols(int q) const {
    return padded ? positions(q * v.stride_w, v.w + 2 * v.pad_w, v.kw, v.dilation_w)
                  : positions(v.col(q, 0), v.w, v.kw, v.dilation_w);
  }
};

template <class T> __device__ __forceinline__ T weight(int count) { return count ? T(1) / T(count) : T(0); }

template <class T> __global__ void mean_pixels(const Planes planes, const Mean mean, T* y, const T* x) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= planes.count) return;
  const Window& v = mean.v;
  const Pixel at = planes.at(i);
  x += int64_t(at.plane) * v.h * v.w;
  T sum = 0;
  for (int r = 0; r < v.kh; ++r)
    for (int s = 0; s < v.kw; ++s) {
      const int row = v.row(at.y, r), col = v.col(at.x, s);
      if (v.inside(row, col)) sum += x[row * v.w + col];
    }
  y[int64_t(at.plane) * v.oh * v.ow + at.place] = sum * weight<T>(mean.rows(at.y) * mean.cols(at.x));
}

// The adjoint as a gather: a pixel of dx sums over the windows that see it, the first window first.
template <class T> __global__ void mean_pixels_backward(const Planes planes, const Mean mean, T* dx, const T* dy) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= planes.count) return;
  const Window& v = mean.v;
  const Pixel at = planes.at(i);
  dy += int64_t(at.plane) * v.oh * v.ow;
  T sum = 0;
  for (int r = v.kh - 1; r >= 0; --r) {
    const int p = v.output_row(at.y, r);
    if (p < 0) continue;
    const int rows = mean.rows(p);
    for (int s = v.kw - 1; s >= 0; --s) {
      const int q = v.output_col(at.x, s);
      if (q >= 0) sum += dy[p * v.ow + q] * weight<T>(rows * mean.cols(q));
    }
  }
  dx[int64_t(at.plane) * v.h * v.w + at.place] = sum;
}

}  // namespace

void max_pool2d(const PoolArgs& a, void* y, int64_t* indices, const void* x) {
  const Window v = window_of("max_pool2d", a);
  visit_float(a.dtype, [&]<class T>() {
    for_planes(a.planes, 1, a.oh, a.ow, [&](const Planes& planes, int64_t first, dim3 grid, dim3 block) {
      launch("max_pool2d", max_pixels<T>, grid, block, 0, planes, v, static_cast<T*>(y) + first * a.out_plane(),
             indices + first * a.out_plane(), static_cast<const T*>(x) + first * a.plane());
    });
  });
}

void avg_pool2d(const PoolArgs& a, void* y, const void* x) {
  const Mean mean{window_of("avg_pool2d", a), a.count_include_pad};
  visit_float(a.dtype, [&]<class T>() {
    for_planes(a.planes, 1, a.oh, a.ow, [&](const Planes& planes, int64_t first, dim3 grid, dim3 block) {
      launch("avg_pool2d", mean_pixels<T>, grid, block, 0, planes, mean, static_cast<T*>(y) + first * a.out_plane(),
             static_cast<const T*>(x) + first * a.plane());
    });
  });
}

void avg_pool2d_backward(const PoolArgs& a, void* dx, const void* dy) {
  const Mean mean{window_of("avg_pool2d_backward", a), a.count_include_pad};
  visit_float(a.dtype, [&]<class T>() {
    for_planes(a.planes, 1, a.h, a.w, [&](const Planes& planes, int64_t first, dim3 grid, dim3 block) {
      launch("avg_pool2d_backward", mean_pixels_backward<T>, grid, block, 0, planes, mean,
             static_cast<T*>(dx) + first * a.plane(), static_cast<const T*>(dy) + first * a.out_plane());
    });
  });
}

}  // namespace ink::cuda
