// CUDA's kernel language for the host compiler: qualifiers, built-in variables, vector types, barriers, warp intrinsics
// and atomics, as far as the kernels of tensor/cuda use them. Names and meanings are CUDA's (CUDA C++ Programming
// Guide, chapter "C++ Language Extensions"); barriers know the line that calls them, for the errors of sim/block.h.
#pragma once
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "tensor/cuda/sim/block.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

// ---- vector types
struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) double2 {
  double x, y;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

// ---- built-in variables: those of the thread that runs
inline constinit thread_local uint3 threadIdx{}, blockIdx{};
inline constinit thread_local dim3 blockDim{}, gridDim{};
inline constexpr int warpSize = 32;

// ---- barriers
inline void __syncthreads(ink::sim::Where where = ink::sim::Where::current()) {
  ink::sim::block_collective("__syncthreads", nullptr, nullptr, where);
}
namespace ink::sim {
struct Vote {
  int predicate, count, all;
};
inline void count_votes(void* const* votes, int n) {
  int count = 0, here = 0;
  for (int i = 0; i < n; ++i)
    if (votes[i]) count += static_cast<Vote*>(votes[i])->predicate != 0, ++here;
  for (int i = 0; i < n; ++i)
    if (votes[i]) static_cast<Vote*>(votes[i])->count = count, static_cast<Vote*>(votes[i])->all = count == here;
}
}  // namespace ink::sim
inline int __syncthreads_count(int predicate, ink::sim::Where where = ink::sim::Where::current()) {
  ink::sim::Vote v{predicate, 0, 0};
  ink::sim::block_collective("__syncthreads_count", &v, ink::sim::count_votes, where);
  return v.count;
}
inline int __syncthreads_or(int predicate, ink::sim::Where where = ink::sim::Where::current()) {
  ink::sim::Vote v{predicate, 0, 0};
  ink::sim::block_collective("__syncthreads_or", &v, ink::sim::count_votes, where);
  return v.count != 0;
}
inline int __syncthreads_and(int predicate, ink::sim::Where where = ink::sim::Where::current()) {
  ink::sim::Vote v{predicate, 0, 0};
  ink::sim::block_collective("__syncthreads_and", &v, ink::sim::count_votes, where);
  return v.all;
}
inline void __syncwarp(unsigned mask = 0xffffffffu, ink::sim::Where where = ink::sim::Where::current()) {
  ink::sim::warp_collective("__syncwarp", mask, nullptr, nullptr, where);
}
inline void __threadfence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
inline void __threadfence_block() { __threadfence(); }
inline void __threadfence_system() { __threadfence(); }

// ---- shuffles and votes
namespace ink::sim {
struct Shuffle {
  uint64_t value, result;
  int from;
  bool missing;
};
inline void exchange(void* const* lanes, int n) {
  for (int i = 0; i < n; ++i) {
    if (!lanes[i]) continue;
    auto* to = static_cast<Shuffle*>(lanes[i]);
    const auto* from = static_cast<const Shuffle*>(lanes[to->from]);
    if (from)
      to->result = from->value;
    else
      to->missing = true;
  }
}
// The value that lane `from` of the warp holds; a lane outside the segment of `width` lanes gives one's own.
template <class T> T shuffle(const char* what, unsigned mask, T value, int from, Where where) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  Shuffle s{0, 0, from, false};
  std::memcpy(&s.value, &value, sizeof(T));
  warp_collective(what, mask, &s, exchange, where);
  if (s.missing) fail("a shuffle reads a lane that its mask does not name", where);
  std::memcpy(&value, &s.result, sizeof(T));
  return value;
}
inline int segment(int width) { return lane_id() & ~(width - 1); }
}  // namespace ink::sim
template <class T>
T __shfl_sync(unsigned mask, T v, int lane, int width = 32, ink::sim::Where where = ink::sim::Where::current()) {
  return ink::sim::shuffle("__shfl_sync", mask, v, ink::sim::segment(width) + (lane & (width - 1)), where);
}
template <class T>
T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32, ink::sim::Where where = ink::sim::Where::current()) {
  int own = ink::sim::lane_id(), from = own - int(by);
  return ink::sim::shuffle("__shfl_up_sync", mask, v, from < ink::sim::segment(width) ? own : from, where);
}
template <class T>
T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32,
                   ink::sim::Where where = ink::sim::Where::current()) {
  int own = ink::sim::lane_id(), from = own + int(by);
  return ink::sim::shuffle("__shfl_down_sync", mask, v, from >= ink::sim::segment(width) + width ? own : from, where);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T v, int with, int width = 32, ink::sim::Where where = ink::sim::Where::current()) {
  int own = ink::sim::lane_id(), from = own ^ with;
  return ink::sim::shuffle("__shfl_xor_sync", mask, v, from >= ink::sim::segment(width) + width ? own : from, where);
}
namespace ink::sim {
inline unsigned vote(const char* what, unsigned mask, int predicate, Where where) {
  struct Ballot {
    unsigned bit, all;
  } b{predicate ? 1u << lane_id() : 0, 0};
  warp_collective(
      what, mask, &b,
      [](void* const* lanes, int n) {
        unsigned all = 0;
        for (int i = 0; i < n; ++i)
          if (lanes[i]) all |= static_cast<Ballot*>(lanes[i])->bit;
        for (int i = 0; i < n; ++i)
          if (lanes[i]) static_cast<Ballot*>(lanes[i])->all = all;
      },
      where);
  return b.all;
}
}  // namespace ink::sim
inline unsigned __ballot_sync(unsigned mask, int p, ink::sim::Where where = ink::sim::Where::current()) {
  return ink::sim::vote("__ballot_sync", mask, p, where);
}
inline int __any_sync(unsigned mask, int p, ink::sim::Where where = ink::sim::Where::current()) {
  return ink::sim::vote("__any_sync", mask, p, where) != 0;
}
inline int __all_sync(unsigned mask, int p, ink::sim::Where where = ink::sim::Where::current()) {
  return ink::sim::vote("__all_sync", mask, p, where) == mask;
}

// ---- atomics: blocks run in parallel, so these are the CPU's; each returns the value before
template <class T, class V> T atomicAdd(T* p, V v) { return std::atomic_ref<T>(*p).fetch_add(T(v)); }
template <class T, class V> T atomicExch(T* p, V v) { return std::atomic_ref<T>(*p).exchange(T(v)); }
template <class T, class V> T atomicOr(T* p, V v) { return std::atomic_ref<T>(*p).fetch_or(T(v)); }
template <class T, class V> T atomicAnd(T* p, V v) { return std::atomic_ref<T>(*p).fetch_and(T(v)); }
template <class T, class V, class W> T atomicCAS(T* p, V expected, W desired) {
  T e = T(expected);
  std::atomic_ref<T>(*p).compare_exchange_strong(e, T(desired));
  return e;
}
template <class T, class V> T atomicMax(T* p, V v) {
  T old = std::atomic_ref<T>(*p).load();
  while (old < T(v) && !std::atomic_ref<T>(*p).compare_exchange_weak(old, T(v))) {}
  return old;
}
template <class T, class V> T atomicMin(T* p, V v) {
  T old = std::atomic_ref<T>(*p).load();
  while (T(v) < old && !std::atomic_ref<T>(*p).compare_exchange_weak(old, T(v))) {}
  return old;
}

// ---- integers and bits
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(unsigned(x)); }
inline int __ffs(int x) { return x ? std::countr_zero(unsigned(x)) + 1 : 0; }
inline unsigned __brev(unsigned x) {
  unsigned r = 0;
  for (int i = 0; i < 32; ++i) r |= (x >> i & 1) << (31 - i);
  return r;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(uint64_t(a) * b >> 32); }
template <class T> T __ldg(const T* p) { return *p; }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
