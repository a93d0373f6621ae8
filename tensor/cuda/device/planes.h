// Kernels over planes of pixels (convolution, pooling): one thread per pixel of all planes.
#pragma once
#include "tensor/cuda/device/nest.h"
#include "tensor/cuda/host/launch.h"

namespace ink::cuda {

struct Pixel {
  uint32_t plane;
  int place, y, x;  // place = y * w + x
};
struct Planes {    // h x w pixels each
  uint32_t count;  // of pixels, at most 2^30
  uint32_t first;  // plane
  Divisor plane, row;

  Planes(int64_t first, int64_t planes, int64_t h, int64_t w)
      : count(uint32_t(planes * h * w)), first(uint32_t(first)), plane(h * w), row(w) {}
  __device__ __forceinline__ Pixel at(uint32_t i) const {
    const uint32_t n = plane.divide(i), place = i - n * plane.size, y = row.divide(place);
    return {first + n, int(place), int(y), int(place - y * row.size)};
  }
};

// Calls f(planes, image, grid, block) for pieces of `images` images of `channels` planes of h x w pixels. The planes of
// a piece are counted from the first one of that image.
template <class F> void for_planes(int64_t images, int64_t channels, int64_t h, int64_t w, F&& f) {
  const int64_t all = images * channels, most = (int64_t(1) << 30) / (h * w);
  for (int64_t first = 0; first < all; first += most) {
    const Planes planes(first % channels, most < all - first ? most : all - first, h, w);
    const int threads = threads_for(planes.count);
    f(planes, first / channels, dim3(unsigned(ceil_div(planes.count, threads))), dim3(unsigned(threads)));
  }
}

}  // namespace ink::cuda
