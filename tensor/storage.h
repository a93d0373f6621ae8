// Storage: the memory that a tensor and its views share, and what an in-place write leaves behind.
#pragma once
#include <memory>

#include "tensor/allocator.h"
#include "tensor/ref.h"

namespace ink {

struct Storage : RefCounted {
  void* data = nullptr;
  int64_t bytes = 0;
  Device device;
  uint32_t version = 0;           // counts in-place writes; saved tensors check it
  const char* last_writer = "";   // the op that wrote last
  std::shared_ptr<void> foreign;  // set when the memory belongs to somebody else (from_blob)

  Storage(int64_t bytes, Device device);
  Storage(void* data, int64_t bytes, Device device, std::shared_ptr<void> owner);
  ~Storage();
};

}  // namespace ink
