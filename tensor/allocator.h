// Memory for tensors. The caching allocator never gives memory back to the system while it can be used again: a fresh
// page costs more than the arithmetic on it.
#pragma once
#include <cstddef>
#include <cstdint>

#include "tensor/device.h"

namespace ink {

struct MemoryStats {
  int64_t live = 0;      // bytes in use by tensors now
  int64_t peak = 0;      // the most that was live since reset_peak
  int64_t reserved = 0;  // bytes held from the system
  int64_t allocations = 0;
};

// 64-byte aligned blocks of one device. `allocate(0)` is a valid empty block (nullptr).
// MemoryError says how much was asked for and what is live and reserved.
class Allocator {
 public:
  virtual ~Allocator() = default;
  virtual void* allocate(size_t bytes) = 0;
  virtual void deallocate(void* p, size_t bytes) noexcept = 0;  // bytes as given to allocate
  virtual MemoryStats stats() const = 0;
  virtual void reset_peak() = 0;
  virtual void release_cached() = 0;  // give unused memory back to the system
};

Allocator& cpu_allocator();                    // process state: never destroyed
Allocator& allocator(Device device);           // DeviceError if this build or machine has no such device
MemoryStats memory_stats(Device device = {});  // the statistics of allocator(device)

}  // namespace ink
