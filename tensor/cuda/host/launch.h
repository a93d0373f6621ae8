// launch(): how every kernel is started, on a GPU and in the simulator, on the current device's stream.
#pragma once
#include "tensor/cuda.h"
#include "tensor/cuda/host/device.h"

namespace ink::cuda {

inline constexpr int kWarp = 32;
inline constexpr unsigned kFull = 0xffffffffu;  // all lanes of a warp

INK_HD INK_INLINE constexpr int64_t ceil_div(int64_t n, int64_t size) { return (n + size - 1) / size; }
// Threads for n pieces of work of one block: whole warps, `most` at most.
inline int threads_for(int64_t n, int most = 256) {
  return int(n >= most ? most : n <= kWarp ? kWarp : ceil_div(n, kWarp) * kWarp);
}

void check_launch(cudaError_t e, const char* name, dim3 grid, dim3 block, size_t shared_bytes);
void after_launch(const char* name);  // waits if cuda_options().sync

// Runs kernel(args...) on grid x block threads; `name` stands in error messages. A grid without blocks does nothing.
// CudaError if the sizes are beyond what the device offers.
template <class... P, class... A>
void launch(const char* name, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, A&&... args) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
#if INK_CUDA_SIM
  auto body = [kernel, ... all = static_cast<P>(args)] { kernel(all...); };
  static_assert((std::is_trivially_copyable_v<P> && ...), "arguments are copied as bytes, as by a GPU");
  auto run = [](void* b) { (*static_cast<decltype(body)*>(b))(); };
  check_launch(sim::launch(name, grid, block, shared_bytes, stream(), run, &body, sizeof(body)), name, grid, block,
               shared_bytes);
#elif defined(__CUDACC__)
  if (shared_bytes > (size_t(48) << 10))
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(shared_bytes)), name);
  // (The formatter takes <<< and >>> apart in a header.)
  // clang-format off
  kernel<<<grid, block, shared_bytes, stream()>>>(static_cast<P>(args)...);
  // clang-format on
  check_launch(cudaGetLastError(), name, grid, block, shared_bytes);
#endif
  if (cuda_options().sync) after_launch(name);
}

}  // namespace ink::cuda
