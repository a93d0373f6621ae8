// Device memory of a test, copied from and to the host.
#pragma once
#include <vector>

#include "tensor/cuda/host/launch.h"

template <class T> class Buffer {
 public:
  explicit Buffer(size_t n) : n_(n) { ink::cuda::check(cudaMalloc(&memory_, n * sizeof(T)), "Buffer"); }
  Buffer(const std::vector<T>& values) : Buffer(values.size()) { move(memory_, values.data(), cudaMemcpyHostToDevice); }
  ~Buffer() { cudaFree(memory_); }
  Buffer(const Buffer&) = delete;
  T* data() const { return static_cast<T*>(memory_); }
  std::vector<T> host() const {
    std::vector<T> values(n_);
    move(values.data(), memory_, cudaMemcpyDeviceToHost);
    return values;
  }

 private:
  void move(void* to, const void* from, cudaMemcpyKind kind) const {
    ink::cuda::check(cudaMemcpyAsync(to, from, n_ * sizeof(T), kind, ink::cuda::stream()), "Buffer");
    ink::cuda::check(cudaStreamSynchronize(ink::cuda::stream()), "Buffer");
  }
  size_t n_;
  void* memory_ = nullptr;
};
