// Watched<T>: a T in memory whose loads and stores the simulator counts (tensor/cuda/sim/counters.h); to nvcc it is T.
// A kernel that declares its arrays as Watched<T> reads like any other:
//
//   __global__ void scale(Watched<float>* y, const Watched<float>* x) { y[threadIdx.x] = 2 * x[threadIdx.x]; }
//
// A value is read by converting it to T, so members come after a copy: `float4 v = x4[i]; v.x`, and templates want the
// copy too: `float v = x[i]; fn::max(v, m)`. Never `auto`.
#pragma once
#include "tensor/cuda/cuda.h"
#include "tensor/math/hd.h"

#if INK_CUDA_SIM
#include "tensor/cuda/sim/counters.h"
#endif

namespace ink::cuda {

#if INK_CUDA_SIM
// What Watched puts in front of each access, at the place of the access: where this returns to tells instructions
// apart.
[[gnu::noinline]] inline void watch(const void* p, size_t bytes, bool store) {
  if (reinterpret_cast<uintptr_t>(p) % bytes != 0) sim::fail("misaligned access", sim::Where::current());
  if (sim::counting()) sim::count_access(p, bytes, store, __builtin_return_address(0));
}

template <class T> class Watched {
 public:
  Watched() = default;
  Watched(const Watched&) = delete;  // an uncounted load
  INK_INLINE operator T() const {
    watch(&value_, sizeof(T), false);
    return value_;
  }
  INK_INLINE Watched& operator=(T v) {
    watch(&value_, sizeof(T), true);
    value_ = v;
    return *this;
  }
  INK_INLINE Watched& operator=(const Watched& other) { return *this = T(other); }
  INK_INLINE Watched& operator+=(T v) { return *this = T(*this) + v; }

 private:
  T value_;
};
#else
template <class T> using Watched = T;
#endif

}  // namespace ink::cuda
