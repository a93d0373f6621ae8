// Loads and stores of several elements at once: 16 bytes are what a thread can move with one instruction.
#pragma once
#include <cstdint>

#include "tensor/cuda/cuda.h"
#include "tensor/math/hd.h"

namespace ink::cuda {

template <class T, int N> struct alignas(sizeof(T) * N) Vec { T lane[N]; };

#if INK_CUDA_SIM
inline void check_aligned(const void* p, size_t bytes, sim::Where where) {
  if (reinterpret_cast<uintptr_t>(p) % bytes != 0) sim::fail("misaligned vector access", where);
}
template <int N, class T> Vec<T, N> load_vector(const T* p, sim::Where where = sim::Where::current()) {
  check_aligned(p, sizeof(T) * N, where);
  return *reinterpret_cast<const Vec<T, N>*>(p);
}
template <int N, class T> void store_vector(T* p, const Vec<T, N>& v, sim::Where where = sim::Where::current()) {
  check_aligned(p, sizeof(T) * N, where);
  *reinterpret_cast<Vec<T, N>*>(p) = v;
}
#elif defined(__CUDACC__)
template <int N, class T> __device__ __forceinline__ Vec<T, N> load_vector(const T* p) {
  return *reinterpret_cast<const Vec<T, N>*>(p);
}
template <int N, class T> __device__ __forceinline__ void store_vector(T* p, const Vec<T, N>& v) {
  *reinterpret_cast<Vec<T, N>*>(p) = v;
}
#endif

inline bool is_aligned(const void* p, size_t bytes) { return reinterpret_cast<uintptr_t>(p) % bytes == 0; }

}  // namespace ink::cuda
