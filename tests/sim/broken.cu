#include "tests/sim/broken.h"

#include <cstring>
#include <stdexcept>

#include "tensor/cuda/device/mma.h"
#include "tensor/cuda/device/vector.h"
#include "tests/sim/buffer.h"

using namespace ink;
using namespace ink::cuda;

namespace {

__global__ void some_return(int* y) {
  if (threadIdx.x >= 20) return;
  __syncthreads();
  y[threadIdx.x] = 1;
}
__global__ void two_barriers(int* y) {
  if (threadIdx.x < 40)
    __syncthreads();
  else
    __syncthreads();
  y[threadIdx.x] = 1;
}
__global__ void barrier_and_shuffle(int* y) {
  if (threadIdx.x < 16) __syncthreads();
  y[threadIdx.x] = __shfl_sync(kFull, 1, 0);
}
__global__ void past_the_end(int* y) { y[threadIdx.x + 1] = 1; }
__global__ void after_free(int* y) { y[threadIdx.x] = 1; }
__global__ void static_overrun(int* y) {
  INK_SHARED(int[32], tile);
  int* p = tile;
  p[threadIdx.x + 1] = int(threadIdx.x);
  __syncthreads();
  y[threadIdx.x] = p[threadIdx.x];
}
__global__ void dynamic_overrun(int* y) {
  int* p = dynamic_shared<int>();
  p[threadIdx.x] = int(threadIdx.x);
  __syncthreads();
  y[threadIdx.x] = p[threadIdx.x];
}
__global__ void too_much_shared(int* y) {
  INK_SHARED(int[20000], large);
  large[threadIdx.x] = 1;
  y[threadIdx.x] = large[threadIdx.x];
}
__global__ void not_in_own_mask(int* y) { y[threadIdx.x] = __shfl_sync(0x0000ffffu, 1, 0); }
__global__ void lane_never_comes(int* y) {
  if (threadIdx.x != 7) y[threadIdx.x] = __shfl_sync(kFull, 1, 0);
}
__global__ void mask_beyond_block(int* y) { y[threadIdx.x] = __any_sync(kFull, 1); }
__global__ void other_intrinsic(int* y) {
  if (threadIdx.x < 16)
    y[threadIdx.x] = __any_sync(kFull, 1);
  else
    y[threadIdx.x] = __all_sync(kFull, 1);
}
__global__ void from_outside_mask(int* y) {
  if (threadIdx.x < 16) y[threadIdx.x] = __shfl_sync(0x0000ffffu, 1, 20);
}
__global__ void misaligned(int* y) { y[threadIdx.x] = load_vector<4>(y + 1).lane[0]; }
__global__ void misaligned_copy(int* y) {
  INK_SHARED(int[64], tile);
  cp_async16(tile + threadIdx.x, y);
}
__global__ void throws(int* y) {
  if (threadIdx.x == 5) throw std::runtime_error("no good");
  y[threadIdx.x] = 1;
}
__global__ void nothing(int*) {}
__global__ void launches(int* y) { launch("nothing", nothing, 1, 32, 0, y); }

void run(const char* name, void (*kernel)(int*), dim3 block, size_t shared_bytes = 0, dim3 grid = 40) {
  Buffer<int> y(256);
  launch(name, kernel, grid, block, shared_bytes, y.data());
}

}  // namespace

const std::vector<Broken>& broken_kernels() {
  static const std::vector<Broken> all{
      {"some_return", [] { run("some_return", some_return, 32); }},
      {"two_barriers", [] { run("two_barriers", two_barriers, 64); }},
      {"barrier_and_shuffle", [] { run("barrier_and_shuffle", barrier_and_shuffle, 32); }},
      {"past_the_end", [] { run("past_the_end", past_the_end, 256); }},
      {"after_free",
       [] {
         int* y;
         {
           Buffer<int> gone(256);
           y = gone.data();
         }
         launch("after_free", after_free, 1, 32, 0, y);
       }},
      {"static_overrun", [] { run("static_overrun", static_overrun, 32); }},
      {"dynamic_overrun", [] { run("dynamic_overrun", dynamic_overrun, 32, 31 * sizeof(int)); }},
      {"too_much_shared", [] { run("too_much_shared", too_much_shared, 32); }},
      {"not_in_own_mask", [] { run("not_in_own_mask", not_in_own_mask, 32); }},
      {"lane_never_comes", [] { run("lane_never_comes", lane_never_comes, 32); }},
      {"mask_beyond_block", [] { run("mask_beyond_block", mask_beyond_block, 20); }},
      {"other_intrinsic", [] { run("other_intrinsic", other_intrinsic, 32); }},
      {"from_outside_mask", [] { run("from_outside_mask", from_outside_mask, 32); }},
      {"misaligned", [] { run("misaligned", misaligned, 32); }},
      {"misaligned_copy", [] { run("misaligned_copy", misaligned_copy, 32); }},
      {"throws", [] { run("throws", throws, 32); }},
      {"launches", [] { run("launches", launches, 32); }},
      {"too_many_threads", [] { run("too_many_threads", nothing, dim3(64, 32), 1000); }},
      {"too_many_blocks", [] { run("too_many_blocks", nothing, 32, 0, dim3(1, 70000)); }},
      {"host_touch",
       [] {
         Buffer<int> y(256);
         launch("nothing", nothing, 1, 32, 0, y.data());
         y.data()[7] = 1;  // no kernel does this
       }},
  };
  return all;
}

namespace {

__global__ void read_unwritten(float* y) {
  INK_SHARED(float[33], tile);
  tile[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x + 1];  // the last element is nobody's
}
__global__ void read_too_early(float* y, const float* x) {
  INK_SHARED(float[128], tile);
  cp_async16(tile + 4 * threadIdx.x, x + 4 * threadIdx.x);
  cp_async_commit();
  __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x];
}
template <bool kRight> __global__ void reverse(float* y) {
  INK_SHARED(float[64], tile);
  tile[threadIdx.x] = float(threadIdx.x);
  __syncthreads();
  const float other = tile[63 - threadIdx.x];
  if (kRight) __syncthreads();
  tile[threadIdx.x] = other;  // perhaps before somebody has read it
  __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x];
}
__global__ void last_block_wins(float* y) { *y = float(blockIdx.x); }

template <class... P, class... A>
std::vector<uint32_t> result(void (*kernel)(float*, P...), dim3 grid, dim3 block, A... args) {
  Buffer<float> y(std::vector<float>(64));
  launch("result", kernel, grid, block, 0, y.data(), args...);
  std::vector<float> values = y.host();
  std::vector<uint32_t> bits(values.size());
  std::memcpy(bits.data(), values.data(), values.size() * sizeof(float));
  return bits;
}

}  // namespace

std::vector<uint32_t> unwritten_shared() { return result(read_unwritten, 1, 32); }
std::vector<uint32_t> copy_without_wait() {
  Buffer<float> x(std::vector<float>(128, 1.0f));
  return result(read_too_early, 1, 32, static_cast<const float*>(x.data()));
}
std::vector<uint32_t> missing_barrier() { return result(reverse<false>, 1, 64); }
std::vector<uint32_t> no_barrier_missing() { return result(reverse<true>, 1, 64); }
std::vector<uint32_t> block_order() { return result(last_block_wins, 2, 1); }
