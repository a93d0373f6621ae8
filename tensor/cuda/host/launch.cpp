// Errors of launches, with the kernel's name and its sizes.
#include "tensor/cuda/host/launch.h"

#include <fmt/format.h>

#include "tensor/error.h"

namespace ink::cuda {

void check_launch(cudaError_t e, const char* name, dim3 grid, dim3 block, size_t shared_bytes) {
  if (e == cudaSuccess) [[likely]]
    return;
  if (e == cudaErrorInvalidConfiguration || e == cudaErrorInvalidValue) {
    cudaGetLastError();
    throw CudaError(
        fmt::format("{}: the launch is beyond the device's limits; got a grid of {} x {} x {} blocks of {} x {} x {} "
                    "threads with {} bytes of shared memory; expected at most 1024 threads and {} bytes",
                    name, grid.x, grid.y, grid.z, block.x, block.y, block.z, shared_bytes,
                    current().properties.sharedMemPerBlockOptin));
  }
  check(e, name);
}

void after_launch(const char* name) {
  if (!capturing(current())) synchronize(current(), name);
}

}  // namespace ink::cuda
