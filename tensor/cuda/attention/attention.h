// What the attention kernels share: which scores of a tile count, how a score is made from a product q . k, and the
// draws of dropout. The ways to compute it: attention.cu and attention_backward.cu for f32 and f64, and by tensor cores
// attention_mma.cu and attention_mma_backward.cu for f16 and bf16.
#pragma once
#include "tensor/backend/visible.h"
#include "tensor/cuda/device/team.h"
#include "tensor/math/philox.h"

#if defined(__CUDACC__)
#define INK_KEEP_LOOP _Pragma("unroll 1")  // what is long and not hot stands in the code once
#else
#define INK_KEEP_LOOP
#endif

namespace ink::cuda {

// What is seen of the rectangle of queries [i0, i1) and keys [j0, j1). A dense mask is not looked into: it hides some.
__device__ __forceinline__ Seen seen_of(const Visible& see, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
  const Seen by_diagonals = see.by_diagonals(i0, i1, j0, j1);
  if (by_diagonals == Seen::none) return Seen::none;
  const Seen by_tiles = see.by_tiles(i0, i1, j0, j1);
  if (by_tiles != Seen::all) return by_tiles;
  return see.mask ? Seen::some : by_diagonals;
}

// The keys (or queries) that may count for a block of the others: from `begin`, a multiple of the tile's size, to
// `end`.
struct Reach {
  int64_t begin, end;
};
__device__ __forceinline__ Reach reach(int64_t first, int64_t last, int64_t n, int tile) {
  const int64_t begin = first > 0 ? first / tile * tile : 0, end = last + 1 < n ? last + 1 : n;
  return {begin, end};
}
__device__ __forceinline__ Reach reach_of_queries(const Visible& see, int64_t i0, int64_t i1, int64_t nk, int tile) {
  return reach(i0 + see.low, i1 - 1 + see.high, nk, tile);
}
__device__ __forceinline__ Reach reach_of_keys(const Visible& see, int64_t j0, int64_t j1, int64_t nq, int tile) {
  return reach(j0 - see.high, j1 - 1 - see.low, nq, tile);
}

// Scores of one head: cap(scale q . k) - slope |j - i - diagonal|.
template <class T> struct Score {
  T scale, cap, slope;

  __device__ __forceinline__ Score(const AttentionArgs& a, int64_t head)
      : scale(T(a.scale)), cap(T(a.softcap)), slope(a.slopes ? static_cast<const T*>(a.slopes)[head] : T(0)) {}

  // The score at j - i - diagonal = `distance`, and in `rate` its derivative by the product.
  __device__ __forceinline__ T operator()(T product, T distance, T& rate) const {
    T s = product * scale;
    rate = scale;
    if (cap > 0) {
      const T t = fn::tanh(s / cap);
      s = cap * t;
      rate = scale * (1 - t * t);
    }
    if (slope != 0) s -= slope * fn::abs(distance);
    return s;
  }
};

// Dropout of the weights: a weight is kept if its draw is at least p, and then divided by 1 - p.
struct Dropout {
  uint64_t seed, offset;
  float p;
  double scale;
  bool on;

  __device__ __forceinline__ explicit Dropout(const AttentionArgs& a)
      : seed(a.key.seed), offset(a.key.offset), p(float(a.dropout)), scale(1), on(a.dropout > 0) {
    if (!on) return;
    scale = a.dropout < 1 ? 1 / (1 - a.dropout) : 0;
    if (a.key.live) seed = a.key.live[0], offset += a.key.live[1];  // a replayed step goes on in the stream
  }
  // Whether the weights at `position` and the N - 1 after it are kept; four positions share a counter.
  template <int N> __device__ __forceinline__ void keeps(bool (&keep)[N], uint64_t position) const {
    static_assert(N <= 4);
    position += offset;
    const int first = int(position % 4);
    const PhiloxWords here = philox(seed, position / 4, 0);
    PhiloxWords next = here;
    if (first + N > 4) next = philox(seed, position / 4 + 1, 0);
    const auto word = [](const PhiloxWords& x, int at) {
      return at < 2 ? at == 0 ? x.w[0] : x.w[1] : at == 2 ? x.w[2] : x.w[3];
    };
    INK_UNROLL
    for (int k = 0; k < N; ++k)
      keep[k] = uniform_from(first + k < 4 ? word(here, first + k) : word(next, first + k - 4)) >= p;
  }
};

// One batch entry and query head, and where its rows stand.
struct Head {
  int64_t batch, head, kv_head, matrix;  // matrix: of [batch, heads]

  __device__ __forceinline__ Head(const AttentionArgs& a, int64_t matrix)
      : batch(matrix / a.heads), head(matrix % a.heads), kv_head(head / (a.heads / a.kv_heads)), matrix(matrix) {}
  template <class T> __device__ __forceinline__ const T* queries(const AttentionArgs& a, const T* q) const {
    return q + batch * a.q_strides[0] + head * a.q_strides[1];
  }
  template <class T> __device__ __forceinline__ const T* keys(const AttentionArgs& a, const T* k) const {
    return k + batch * a.k_strides[0] + kv_head * a.k_strides[1];
  }
  template <class T> __device__ __forceinline__ const T* values(const AttentionArgs& a, const T* v) const {
    return v + batch * a.v_strides[0] + kv_head * a.v_strides[1];
  }
};

}  // namespace ink::cuda
