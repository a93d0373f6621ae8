// Memory of CUDA devices: allocators, copies, page-locked memory of the host, the private memory of a captured graph.
#pragma once
#include <cstdint>
#include <memory>

#include "tensor/device.h"
#include "tensor/math/dtype.h"
#include "tensor/tensor_fwd.h"

namespace ink {
class Allocator;
class Shape;
}  // namespace ink

namespace ink::cuda {

Allocator& allocator(int device);
// Copies bytes between devices, at least one of which is a CUDA device; waits unless `async`.
void copy(void* to, Device to_device, const void* from, Device from_device, int64_t bytes, bool async);
Tensor pinned(const Shape& shape, DType dtype);  // uninitialised, in page-locked memory of the CPU

// Between begin() and end() the device's allocations come from this pool. What it has handed out goes back to it, and
// is never used for anything else: a replay writes there again.
class Pool {
 public:
  struct Blocks;
  explicit Pool(int device);
  void begin();
  void end();

 private:
  int device_;
  std::shared_ptr<Blocks> blocks_;
};

}  // namespace ink::cuda
