// Lines (rows, or columns of matrices) for kernels that combine a line's values and then write them anew. The threads
// that share a line are a team:
//   LaneTeam    1, 2, 4, .. 32 lanes of a warp; rows of up to 128 bytes per lane, several to a block, no barrier
//   BlockTeam   a block of up to 512 threads per row
//   ColumnTeam  a column of threads of a block: neighbouring columns of a matrix lie side by side, also in memory
// A thread holds its part of a line in registers: up to 128 bytes, so that enough loads are on their way at once. A
// line that is longer than what its team holds goes by chunks. A kernel walks them forwards to combine the values, and
// backwards to write, beginning with the chunk that it still holds: lines of one chunk are read once, others twice, the
// second time partly from the cache.
#pragma once
#include <cstdint>

#include "tensor/backend/kernels.h"
#include "tensor/cuda/device/vector.h"
#include "tensor/cuda/device/warp.h"

#if defined(__CUDACC__)
#define INK_UNROLL _Pragma("unroll")  // what indexes registers must be unrolled
#else
#define INK_UNROLL
#endif

namespace ink::cuda {

struct LineSet {  // what a kernel is told
  int64_t count, n, inner;
  int64_t chunk, last;  // entries that a team holds; where the last chunk begins
  int lanes;            // of a LaneTeam
};

struct LaneTeam {
  // at most of a block; at least on a multiprocessor: 102 registers a thread
  static constexpr int kThreads = 128, kBlocks = 5;
  int size, rank;
  int64_t line, start;  // start: where the line's first entry stands; stride: from one entry to the next
  bool present;         // false: a team too many in the last block, which only takes part in shuffles
  static constexpr int64_t stride = 1;

  __device__ __forceinline__ explicit LaneTeam(const LineSet& s)
      : size(s.lanes),
        rank(int(threadIdx.x) & (size - 1)),
        line(int64_t(blockIdx.x) * (int(blockDim.x) / size) + int(threadIdx.x) / size),
        start(line * s.n),
        present(line < s.count) {}
  template <class T> __device__ __forceinline__ T sum(T v) const { return warp_sum(v, size); }
  template <class T> __device__ __forceinline__ T max(T v) const { return warp_max(v, size); }
};

struct BlockTeam {
  static constexpr int kThreads = 512, kBlocks = 2;  // one block loads while the other computes
  int size, rank;
  int64_t line, start;
  static constexpr bool present = true;
  static constexpr int64_t stride = 1;

  __device__ __forceinline__ explicit BlockTeam(const LineSet& s)
      : size(int(blockDim.x)), rank(int(threadIdx.x)), line(blockIdx.x), start(line * s.n) {}
  template <class T> __device__ __forceinline__ T sum(T v) const { return block_sum(v); }
  template <class T> __device__ __forceinline__ T max(T v) const { return block_max(v); }
};

struct ColumnTeam {
  static constexpr int kThreads = 512, kBlocks = 2;
  int size, rank;
  int64_t line, start, stride;
  bool present;

  __device__ __forceinline__ explicit ColumnTeam(const LineSet& s)
      : size(int(blockDim.y)),
        rank(int(threadIdx.y)),
        line(int64_t(blockIdx.x) * blockDim.x + threadIdx.x),
        start(line / s.inner * s.n * s.inner + line % s.inner),
        stride(s.inner),
        present(line < s.count) {}
  template <class T> __device__ __forceinline__ T sum(T v) const { return merge(v, Plus{}); }
  template <class T> __device__ __forceinline__ T max(T v) const { return merge(v, Larger{}); }
  template <class T, class Merge> __device__ __forceinline__ T merge(T v, Merge merge) const {
    if (size == 1) return v;
    INK_SHARED(T[kThreads], all);
    all[threadIdx.y * blockDim.x + threadIdx.x] = v;
    __syncthreads();
    v = all[threadIdx.x];
    for (int k = 1; k < size; ++k) v = merge(v, all[k * blockDim.x + threadIdx.x]);
    __syncthreads();
    return v;
  }
};

// Entries of a chunk as one thread holds them: vectors of N, those of the team's threads side by side.
template <class T, int N, int kPer> struct Held {
  T v[kPer];

  // v[k .. k + N) are the entries from i on, for k a multiple of N.
  template <class Team> __device__ __forceinline__ static int place(const Team& team, int k) {
    return (k / N * team.size + team.rank) * N;
  }
  template <class Team> __device__ __forceinline__ static int in_chunk(const Team& team, int64_t n) {
    return int(n < team.size * kPer ? n : team.size * kPer);
  }
  // Calls f(k, i) for each vector that starts among the chunk's first n entries.
  template <class Team, class F> __device__ __forceinline__ static void each_vector(const Team& team, int64_t n, F f) {
    const int most = in_chunk(team, n);
    INK_UNROLL
    for (int k = 0; k < kPer; k += N)
      if (const int i = place(team, k); i < most) f(k, i);
  }
  // The sum of f(k), v[k] being one of the first n entries, over what this thread holds; lane by lane, for short
  // chains.
  template <class Team, class F> __device__ __forceinline__ static T sum(const Team& team, int64_t n, F f) {
    T lane[N] = {};
    each_vector(team, n, [&](int k, int) {
      INK_UNROLL
      for (int j = 0; j < N; ++j) lane[j] += f(k + j);
    });
    INK_UNROLL
    for (int half = N / 2; half > 0; half /= 2)
      for (int j = 0; j < half; ++j) lane[j] += lane[j + half];
    return lane[0];
  }
  // The first n entries at p; `other` in the place of those beyond.
  template <class Team> __device__ __forceinline__ void load(const Team& team, const T* p, int64_t n, T other) {
    const int most = in_chunk(team, n);
    INK_UNROLL
    for (int k = 0; k < kPer; k += N) {
      const int i = place(team, k);
      Vec<T, N> x;
      if constexpr (N > 1) {
        if (i < most) x = load_vector<N>(p + i);
      } else {
        if (i < most) x.lane[0] = p[i * team.stride];
      }
      INK_UNROLL
      for (int j = 0; j < N; ++j) v[k + j] = i + j < most ? x.lane[j] : other;
    }
  }
  // Writes f(k, i) as entry i (v[k] in this thread), for the first n.
  template <class Team, class F> __device__ __forceinline__ static void store(const Team& team, T* p, int64_t n, F f) {
    each_vector(team, n, [&](int k, int i) {
      Vec<T, N> x;
      INK_UNROLL
      for (int j = 0; j < N; ++j) x.lane[j] = f(k + j, i + j);
      if constexpr (N > 1)
        store_vector<N>(p + i, x);
      else
        p[i * team.stride] = x.lane[0];
    });
  }
};

// ---- the host's side

template <class T> inline constexpr int kMostHeld = 128 / int(sizeof(T));
template <class T> inline constexpr int kWidth = 16 / int(sizeof(T));  // of vectors

// Calls run.operator()<N, kPer, Team>(lines, grid, block) for rows of n values; `arrays` of them are held at once.
// `vectors`: n is a multiple of kWidth, and all arrays are aligned.
template <class T, int kArrays, class F> void for_rows(int64_t rows, int64_t n, bool vectors, F&& run) {
  const auto by_lanes = [&]<int N, int kPer>() {
    int lanes = 1;
    while (lanes * kPer < n) lanes *= 2;
    const int threads = threads_for(rows * lanes, LaneTeam::kThreads);
    run.template operator()<N, kPer, LaneTeam>(LineSet{rows, n, 1, lanes * kPer, 0, lanes},
                                               dim3(unsigned(ceil_div(rows, threads / lanes))),
                                               dim3(unsigned(threads)));
  };
  const auto by_length = [&]<int N>() {
    // one by one costs more registers
    constexpr int kFew = kMostHeld<T> / 4, kPer = kMostHeld<T> / (N > 1 ? kArrays : 2);
    if (n <= kWarp * kFew) return by_lanes.template operator()<N, kFew>();
    if (n <= kWarp * kPer) return by_lanes.template operator()<N, kPer>();
    const int64_t chunks = ceil_div(n, BlockTeam::kThreads * kPer);  // of nearly the same size
    const int threads = threads_for(ceil_div(n, chunks * kPer), BlockTeam::kThreads);
    const int64_t chunk = int64_t(threads) * kPer;
    run.template operator()<N, kPer, BlockTeam>(LineSet{rows, n, 1, chunk, (n - 1) / chunk * chunk, 0},
                                                dim3(unsigned(rows)), dim3(unsigned(threads)));
  };
  if (vectors)
    by_length.template operator()<kWidth<T>>();
  else
    by_length.template operator()<1>();
}

// The same for the lines of a contiguous array along a dim that is not the last.
template <class T, class F> void for_columns(Lines l, F&& run) {
  const int64_t count = l.outer * l.inner;
  const auto with = [&]<int kPer>(int most) {
    int size = 1;
    while (size < most && size * kPer < l.n) size *= 2;
    const int width = size < 8 ? threads_for(count, 256 / size) : kWarp;
    const int64_t chunk = size * kPer;
    run.template operator()<1, kPer, ColumnTeam>(LineSet{count, l.n, l.inner, chunk, (l.n - 1) / chunk * chunk, 0},
                                                 dim3(unsigned(ceil_div(count, width))),
                                                 dim3(unsigned(width), unsigned(size)));
  };
  constexpr int kFew = kMostHeld<T> / 4;
  if (l.n <= 8 * kFew)
    with.template operator()<kFew>(8);
  else
    with.template operator()<2 * kFew>(ColumnTeam::kThreads / kWarp);
}

}  // namespace ink::cuda
