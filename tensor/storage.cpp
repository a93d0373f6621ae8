// Memory of tensors: from the allocator of its device, or somebody else's with an owner.
#include "tensor/storage.h"

namespace ink {

Storage::Storage(int64_t bytes, Device device)
    : data(allocator(device).allocate(size_t(bytes))), bytes(bytes), device(device) {}

Storage::Storage(void* data, int64_t bytes, Device device, std::shared_ptr<void> owner)
    : data(data), bytes(bytes), device(device), foreign(std::move(owner)) {}

Storage::~Storage() {
  if (!foreign) allocator(device).deallocate(data, size_t(bytes));
}

}  // namespace ink
