// Working memory of a kernel: n values without constructors, given back at the end of the scope.
#pragma once
#include <cstdint>

#include "tensor/allocator.h"
#include "tensor/math/hd.h"

namespace ink::INK_CPU_LEVEL {

template <class T> class Scratch {
 public:
  explicit Scratch(int64_t n)
      : bytes_(size_t(n) * sizeof(T)), data_(static_cast<T*>(cpu_allocator().allocate(bytes_))) {}
  ~Scratch() { cpu_allocator().deallocate(data_, bytes_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  INK_INLINE T* data() const { return data_; }
  INK_INLINE T& operator[](int64_t i) const { return data_[i]; }

 private:
  size_t bytes_;
  T* data_;
};

}  // namespace ink::INK_CPU_LEVEL
