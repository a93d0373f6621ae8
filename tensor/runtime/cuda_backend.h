// What tensor/ asks of CUDA devices: a table of functions that the backend in tensor/cuda fills. The backend is part of
// the library (INK_CUDA=ON), or the simulator in a shared library of its own, which is opened at the first question
// about a CUDA device.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "tensor/backend/kernels.h"
#include "tensor/capture.h"
#include "tensor/device.h"
#include "tensor/math/dtype.h"

namespace ink {

class Allocator;

// A step that was recorded, and what the ops in it ask for while it is being recorded.
struct CudaGraph::State {
  virtual ~State() = default;
  virtual void replay() = 0;
  virtual Tensor live(int64_t bytes, std::unique_ptr<capture::Refresh> refresh) = 0;
  virtual RandomKey random_key(Generator& generator, int64_t n) = 0;
};

namespace capture {
extern constinit thread_local CudaGraph::State* recording;  // the step that this thread is recording; null: none
}

// Each function throws a DeviceError if there is no device of that index.
struct CudaBackend {
  bool simulated;
  int (*device_count)();
  std::string (*status)();  // the devices with their memory, or why there are none
  void (*synchronize)(Device device);
  const Kernels& (*kernels)(int device);
  Allocator& (*allocator)(int device);
  // Copies bytes between two devices, at least one of which is a CUDA device; waits unless `async`.
  void (*copy)(void* to, Device to_device, const void* from, Device from_device, int64_t bytes, bool async);
  Tensor (*pinned)(const Shape& shape, DType dtype);  // uninitialised, in page-locked memory of the CPU
  std::unique_ptr<CudaGraph::State> (*capture)(FunctionRef<void()> step, Device device);
};

const CudaBackend& cuda_backend(Device device);  // DeviceError that says why if there is none

}  // namespace ink

// The backend's only exported name, by which a library that is opened is asked for its table.
extern "C" const ink::CudaBackend* ink_cuda_backend();
