// Device memory for the time of a call: the next launches may use it, and what is launched after may have it again.
#pragma once
#include "tensor/allocator.h"
#include "tensor/cuda/host/device.h"
#include "tensor/cuda/host/memory.h"

namespace ink::cuda {

template <class T> class Scratch {
 public:
  explicit Scratch(int64_t count)
      : allocator_(allocator(current().index)),
        bytes_(size_t(count) * sizeof(T)),
        data_(static_cast<T*>(allocator_.allocate(bytes_))) {}
  ~Scratch() { allocator_.deallocate(data_, bytes_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* data() const { return data_; }

 private:
  Allocator& allocator_;
  size_t bytes_;
  T* data_;
};

}  // namespace ink::cuda
