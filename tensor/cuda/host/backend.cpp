// The table through which the rest of the library reaches this backend.
#include "tensor/runtime/cuda_backend.h"

#include "tensor/cuda/host/device.h"
#include "tensor/cuda/host/graph.h"
#include "tensor/cuda/host/memory.h"
#include "tensor/cuda/host/table.h"

extern "C" const ink::CudaBackend* ink_cuda_backend() {
  using namespace ink::cuda;
  static constexpr ink::CudaBackend backend{
      .simulated = INK_CUDA_SIM != 0,
      .device_count = device_count,
      .status = status,
      .synchronize = [](ink::Device device) { synchronize(use(device.index), "cuda_synchronize"); },
      .kernels = kernels,
      .allocator = allocator,
      .copy = copy,
      .pinned = pinned,
      .capture = capture_step,
  };
  return &backend;
}
