// Causal linear attention, o_i = sum over j <= i of e^{decay_i - decay_j} (q_i . k_j) v_j, by chunks of kChunk rows (Hua et
// al. 2022, section 3.3). What the chunks before have left is the state, with r the decay of their last row:
//
//   S = sum_j e^{r - decay_j} k_j v_j^T,   o_i = e^{decay_i - r} q_i S + sum over j <= i within the chunk.
//
// Every exponent is a difference of two decays, later minus earlier: e^{-decay_j} alone would overflow.
//
// A block walks along n for one batch entry and kSlice columns of v, whose part of S [d, kSlice] it keeps in shared memory, or
// in device memory where d is too long for that. `reverse` walks from the other end: "before" is the order of the walk.
#include "tensor/cuda/scratch.h"
#include "tensor/cuda/team.h"

namespace ink::cuda {
namespace {

constexpr int kChunk = 32, kSlice = 32, kDepth = 32;  // rows, columns of v, columns of q and k that are taken at once
constexpr int kAcross = 8, kDown = 16;                // the block's threads; each owns kRows x kCols of every 32 x 32
constexpr int kRows = 32 / kDown, kCols = 32 / kAcross;

template <class T>
using Tile = T[32][33];  // an odd row, so that the numbers of a column lie in different banks

// Row `row` and column `col` of what a thread owns, in a tile of 32 x 32.
__device__ __forceinline__ int own_row(int r) { return int(threadIdx.x) / kAcross + r * kDown; }
__device__ __forceinline__ int own_col(int c) { return int(threadIdx.x) % kAcross + c * kAcross; }

template <class T, class F>
__device__ __forceinline__ void fill(Tile<T>& tile, F at) {
  for (int i = int(threadIdx.x); i < 32 * 32; i += kAcross * kDown) tile[i / 32][i % 32] = at(i / 32, i % 32);
}

template <class T>
__global__ void __launch_bounds__(kAcross* kDown)
    linear_attention_kernel(const LinearAttentionArgs a, T* out, const T* q, const T* k, const T* v, const T* decay, T* states) {
  INK_SHARED(Tile<T>, qs);
  INK_SHARED(Tile<T>, ks);
  INK_SHARED(Tile<T>, vs);
  INK_SHARED(Tile<T>, scores);
  INK_SHARED(T[kChunk], decays);
  INK_SHARED(T[kChunk], weights);  // of the chunk's rows in the state that it leaves
  const int64_t slices = ceil_div(a.dv, kSlice), entry = int64_t(blockIdx.x) / slices;
  const int64_t first_col = int64_t(blockIdx.x) % slices * kSlice;
  T* state = states ? states + int64_t(blockIdx.x) * a.d * kSlice : dynamic_shared<T>();
  q += entry * a.n * a.d, k += entry * a.n * a.d, v += entry * a.n * a.dv, out += entry * a.n * a.dv;
  if (decay) decay += entry * a.n;

  T last_decay = 0;  // r; of no meaning before the first chunk, when S is 0
  for (int64_t t0 = 0; t0 < a.n; t0 += kChunk) {  // t counts rows in the order of the walk
    const int count = int(a.n - t0 < kChunk ? a.n - t0 : kChunk);
    const auto place = [&](int t) { return a.reverse ? a.n - 1 - t0 - t : t0 + t; };
    if (int t = int(threadIdx.x); t < kChunk) decays[t] = decay && t < count ? decay[place(t)] : T(0);
    fill<T>(vs, [&](int t, int c) { return t < count && first_col + c < a.dv ? v[place(t) * a.dv + first_col + c] : T(0); });
    __syncthreads();
    const T end_decay = decays[count - 1], start_decay = t0 > 0 ? last_decay : decays[0];
    const T keep = fn::exp(end_decay - start_decay);
    if (int t = int(threadIdx.x); t < kChunk) weights[t] = t < count ? fn::exp(end_decay - decays[t]) : T(0);

    T sum[kRows][kCols] = {}, score[kRows][kCols] = {};
    for (int64_t p0 = 0; p0 < a.d; p0 += kDepth) {
      const int depth = int(a.d - p0 < kDepth ? a.d - p0 : kDepth);
      fill<T>(qs, [&](int t, int p) { return t < count && p < depth ? q[place(t) * a.d + p0 + p] : T(0); });
      fill<T>(ks, [&](int t, int p) { return t < count && p < depth ? k[place(t) * a.d + p0 + p] : T(0); });
      __syncthreads();
      for (int p = 0; p < depth; ++p) {
        INK_UNROLL
        for (int r = 0; r < kRows; ++r) {
          const T x = qs[own_row(r)][p];
          INK_UNROLL
          for (int c = 0; c < kCols; ++c) score[r][c] = fn::fma(x, ks[own_col(c)][p], score[r][c]);
        }
      }
      T old[kRows][kCols];  // rows p of this part of S
      INK_UNROLL
      for (int r = 0; r < kRows; ++r)
        INK_UNROLL
        for (int c = 0; c < kCols; ++c)
          old[r][c] = t0 > 0 && own_row(r) < depth ? state[(p0 + own_row(r)) * kSlice + own_col(c)] : T(0);
      if (t0 > 0)
        for (int p = 0; p < depth; ++p) {
          INK_UNROLL
          for (int r = 0; r < kRows; ++r) {
            const T x = qs[own_row(r)][p];
            INK_UNROLL
            for (int c = 0; c < kCols; ++c)
              sum[r][c] = fn::fma(x, state[(p0 + p) * kSlice + own_col(c)], sum[r][c]);
          }
        }
      INK_UNROLL
      for (int r = 0; r < kRows; ++r)
        INK_UNROLL
        for (int c = 0; c < kCols; ++c) old[r][c] *= keep;
      for (int t = 0; t < count; ++t) {
        INK_UNROLL
        for (int r = 0; r < kRows; ++r) {
          const T x = weights[t] * ks[t][own_row(r)];
          INK_UNROLL
          for (int c = 0; c < kCols; ++c) old[r][c] = fn::fma(x, vs[t][own_col(c)], old[r][c]);
        }
      }
      __syncthreads();  // all have read S and the tiles
      INK_UNROLL
      for (int r = 0; r < kRows; ++r)
        INK_UNROLL
        for (int c = 0; c < kCols; ++c)
          if (own_row(r) < depth) state[(p0 + own_row(r)) * kSlice + own_col(c)] = old[r][c];
    }

    INK_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const int i = own_row(r);
      INK_UNROLL
      for (int c = 0; c < kCols; ++c) {
        const int j = own_col(c);
        sum[r][c] *= fn::exp(decays[i] - start_decay);
        scores[i][j] = j <= i ? score[r][c] * fn::exp(decays[i] - decays[j]) : T(0);
      }
    }
    __syncthreads();
    INK_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const int i = own_row(r);
      for (int j = 0; j <= i && i < count; ++j) {  // later rows do not count, whatever they hold
        INK_UNROLL
        for (int c = 0; c < kCols; ++c) sum[r][c] = fn::fma(scores[i][j], vs[j][own_col(c)], sum[r][c]);
      }
      INK_UNROLL
      for (int c = 0; c < kCols; ++c)
        if (i < count && first_col + own_col(c) < a.dv) out[place(i) * a.dv + first_col + own_col(c)] = sum[r][c];
    }
    last_decay = end_decay;
    __syncthreads();
  }
}

}  // namespace

void linear_attention(const LinearAttentionArgs& a, void* out, const void* q, const void* k, const void* v,
                      const void* decay) {
  const int64_t blocks = a.batch * ceil_div(a.dv, kSlice);
  if (blocks == 0 || a.n == 0) return;
  visit_float(a.dtype, [&]<class T>() {
    const int64_t bytes = a.d * kSlice * int64_t(sizeof(T));
    const bool fits = bytes + 4 * int64_t(sizeof(Tile<T>)) <= 47 << 10;  // beside the tiles
    const Scratch<T> states(fits ? 0 : blocks * a.d * kSlice);
    launch("linear_attention", linear_attention_kernel<T>, dim3(unsigned(blocks)), dim3(kAcross * kDown),
           fits ? size_t(bytes) : 0, a, static_cast<T*>(out), static_cast<const T*>(q), static_cast<const T*>(k),
           static_cast<const T*>(v), static_cast<const T*>(decay), fits ? nullptr : states.data());
  });
}

}  // namespace ink::cuda
