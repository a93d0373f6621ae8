// The CUDA language and runtime: the toolkit's (INK_CUDA=ON), or the simulator's, which runs the same files on the CPU.
#pragma once
#include <type_traits>

#if INK_CUDA_SIM
#include "tensor/cuda/sim/runtime.h"
#else
#include <cuda_runtime.h>
#endif

// Shared memory of a block. `INK_SHARED(float[32][33], tile);` declares an array that all threads of the block see;
// dynamic_shared<T>() is the memory whose size the launch gives. Nobody has written it at first.
#if INK_CUDA_SIM
#define INK_SHARED(Type, name)                                                                         \
  auto& name = *static_cast<std::add_pointer_t<std::type_identity_t<Type>>>(::ink::sim::static_shared( \
      [] {                                                                                             \
        static const char key = 0;                                                                     \
        return &key;                                                                                   \
      }(),                                                                                             \
      sizeof(std::type_identity_t<Type>), ::ink::sim::Where::current()))
#else
#define INK_SHARED(Type, name)                                                             \
  __shared__ __align__(16) unsigned char name##_bytes[sizeof(std::type_identity_t<Type>)]; \
  auto& name = *reinterpret_cast<std::add_pointer_t<std::type_identity_t<Type>>>(name##_bytes)
#endif

namespace ink::cuda {

#if INK_CUDA_SIM
template <class T> T* dynamic_shared() { return static_cast<T*>(sim::dynamic_shared()); }
#elif defined(__CUDACC__)
extern __shared__ __align__(16) unsigned char dynamic_shared_bytes[];
template <class T> __device__ __forceinline__ T* dynamic_shared() { return reinterpret_cast<T*>(dynamic_shared_bytes); }
#endif

}  // namespace ink::cuda
