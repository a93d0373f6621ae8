// Shuffles of any plain struct between the lanes of a warp, word by word; the merging of what the threads of a group
// hold, given to the first of them; sums and maxima of numbers over a warp or a block, given to all. The order is
// always the same.
#pragma once
#include <cstring>

#include "tensor/cuda/host/launch.h"
#include "tensor/math/math.h"

namespace ink::cuda {

// v with f applied to each of its words.
template <class T, class F> __device__ __forceinline__ T by_words(const T& v, F f) {
  using Word = std::conditional_t<sizeof(T) % 8 == 0, uint64_t, uint32_t>;
  constexpr int n = int((sizeof(T) + sizeof(Word) - 1) / sizeof(Word));
  Word words[n] = {};
  memcpy(words, &v, sizeof(T));
  for (int i = 0; i < n; ++i) words[i] = f(words[i]);
  T out;
  memcpy(&out, words, sizeof(T));
  return out;
}
// What the lane `by` places further on (back) holds, in segments of `width` lanes; one's own beyond the segment's end.
template <class T> __device__ __forceinline__ T shuffle_down(const T& v, int by, int width = kWarp) {
  return by_words(v, [=](auto w) { return __shfl_down_sync(kFull, w, unsigned(by), width); });
}
template <class T> __device__ __forceinline__ T shuffle_up(const T& v, int by, int width = kWarp) {
  return by_words(v, [=](auto w) { return __shfl_up_sync(kFull, w, unsigned(by), width); });
}
template <class T> __device__ __forceinline__ T shuffle(const T& v, int lane) {
  return by_words(v, [=](auto w) { return __shfl_sync(kFull, w, lane); });
}

// The states of each `group` neighbouring threads merged, in the first of them (the others get something else). A group
// is 1, 2, 4, .. 32 lanes or the whole block; all threads of the block take part.
template <class S, class Merge> __device__ __forceinline__ S merge_group(S s, int group, Merge merge) {
  const int width = group < kWarp ? group : kWarp;
  for (int by = width / 2; by > 0; by /= 2) s = merge(s, shuffle_down(s, by, width));
  if (group <= kWarp) return s;
  INK_SHARED(S[kWarp], warps);
  if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = s;
  __syncthreads();
  if (threadIdx.x == 0)
    for (int w = 1; w < int(blockDim.x) / kWarp; ++w) s = merge(s, warps[w]);
  return s;
}

// Each lane's v merged over `width` neighbouring lanes (1, 2, 4, .. 32), in all of them. Lanes exchange with lane ^ 16,
// then lane ^ 8, ..: merge(a, b) = merge(b, a), so both sides of an exchange hold the same bits.
template <class T, class Merge> __device__ __forceinline__ T merge_lanes(T v, int width, Merge merge) {
  for (int with = width / 2; with > 0; with /= 2) v = merge(v, __shfl_xor_sync(kFull, v, with));
  return v;
}
// Each thread's v merged over the whole block, in all of its threads, which must all call it.
template <class T, class Merge> __device__ __forceinline__ T merge_block(T v, Merge merge) {
  INK_SHARED(T[kWarp], warps);
  v = merge_lanes(v, kWarp, merge);
  if (threadIdx.x % kWarp == 0) warps[threadIdx.x / kWarp] = v;
  __syncthreads();
  v = warps[0];
  for (int w = 1; w < int(blockDim.x) / kWarp; ++w) v = merge(v, warps[w]);
  __syncthreads();  // the next call writes where others still read
  return v;
}

struct Plus {
  template <class T> __device__ __forceinline__ T operator()(T a, T b) const { return a + b; }
};
struct Larger {  // NaN wins
  template <class T> __device__ __forceinline__ T operator()(T a, T b) const { return fn::max(a, b); }
};
template <class T> __device__ __forceinline__ T warp_sum(T v, int width = kWarp) {
  return merge_lanes(v, width, Plus{});
}
template <class T> __device__ __forceinline__ T warp_max(T v, int width = kWarp) {
  return merge_lanes(v, width, Larger{});
}
template <class T> __device__ __forceinline__ T block_sum(T v) { return merge_block(v, Plus{}); }
template <class T> __device__ __forceinline__ T block_max(T v) { return merge_block(v, Larger{}); }

}  // namespace ink::cuda
