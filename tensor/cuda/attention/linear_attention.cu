// Causal linear attention, o_i = sum over j <= i of e^{decay_i - decay_j} (q_i . k_j) v_j, by chunks of kChunk rows
// (Hua et al. 2022, section 3.3). What the chunks before have left is the state, with r the decay of their last row:
//
//   S = sum_j e^{r - decay_j} k_j v_j^T,   o_i = e^{decay_i - r} q_i S + sum over j <= i within the chunk.
//
// Every exponent is a difference of two decays, later minus earlier: e^{-decay_j} alone would overflow.
//
// A block walks along n for one batch entry and kSlice columns of v, whose part of S [d, kSlice] it keeps in shared
// memory, or in device memory where d is too long for that. Where that makes too few blocks, n is cut into parts: the
// first pass finds the state that each part leaves, the second joins those, the third walks all parts, each from where
// the one before it ends. `reverse` walks from the other end: "before" is the order of the walk.
#include "tensor/cuda/device/team.h"
#include "tensor/cuda/host/scratch.h"

namespace ink::cuda {
namespace {

constexpr int kChunk = 32, kSlice = 32, kDepth = 32;  // rows, columns of v, columns of q and k that are taken at once
constexpr int kAcross = 8, kDown = 16;                // the block's threads; each owns kRows x kCols of every 32 x 32
constexpr int kRows = 32 / kDown, kCols = 32 / kAcross;

template <class T> using Tile = T[32][33];  // an odd row, so that the numbers of a column lie in different banks

// Row r and column c of what a thread owns, in a tile of 32 x 32.
__device__ __forceinline__ int own_row(int r) { return int(threadIdx.x) / kAcross + r * kDown; }
__device__ __forceinline__ int own_col(int c) { return int(threadIdx.x) % kAcross + c * kAcross; }
template <class F> __device__ __forceinline__ void for_own(F f) {
  INK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    INK_UNROLL
    for (int c = 0; c < kCols; ++c) f(r, c);
  }
}

template <class T, class F> __device__ __forceinline__ void fill(Tile<T>& tile, F at) {
  for (int i = int(threadIdx.x); i < 32 * 32; i += kAcross * kDown) tile[i / 32][i % 32] = at(i / 32, i % 32);
}

template <class T> struct Parts {
  int64_t count, size;  // of a walk; rows of each but the last
  T* states;            // [walk][part][d][kSlice], or null
  bool shared;          // whether a block's state stands in shared memory while it walks
};

template <class T> struct Operands {
  T* out;                      // [batch, n, dv]
  const T *q, *k, *v, *decay;  // [batch, n, ..]; decay may be null
};

// Blocks are [batch][slice][part]; `measure`: the first pass, which makes no output but the states.
template <class T>
__global__ void __launch_bounds__(kAcross* kDown)
    linear_attention_kernel(const LinearAttentionArgs a, const Operands<T> x, const Parts<T> parts,
                            const bool measure) {
  INK_SHARED(Tile<T>, qs);
  INK_SHARED(Tile<T>, ks);
  INK_SHARED(Tile<T>, vs);
  INK_SHARED(Tile<T>, scores);
  INK_SHARED(T[kChunk], decays);
  INK_SHARED(T[kChunk], weights);  // of the chunk's rows in the state that it leaves
  const int64_t slices = ceil_div(a.dv, kSlice), part = int64_t(blockIdx.x) % parts.count;
  const int64_t entry = int64_t(blockIdx.x) / parts.count / slices;
  const int64_t first_col = int64_t(blockIdx.x) / parts.count % slices * kSlice;
  const int64_t begin = part * parts.size,
                end = begin + parts.size < a.n ? begin + parts.size : a.n;  // in the order of the walk
  T* const own_state = parts.states ? parts.states + int64_t(blockIdx.x) * a.d * kSlice : nullptr;
  T* const state = parts.shared ? dynamic_shared<T>() : own_state;
  const T *q = x.q + entry * a.n * a.d, *k = x.k + entry * a.n * a.d, *v = x.v + entry * a.n * a.dv;
  const T* decay = x.decay ? x.decay + entry * a.n : nullptr;
  T* out = x.out + entry * a.n * a.dv;

  bool begun = part > 0 && !measure;  // else S is 0, whatever stands there
  T last_decay = 0;                   // r
  if (begun) {
    if (decay) last_decay = decay[a.reverse ? a.n - begin : begin - 1];
    for (int64_t i = threadIdx.x; parts.shared && i < a.d * kSlice; i += kAcross * kDown) state[i] = own_state[i];
  }
  for (int64_t t0 = begin; t0 < end; t0 += kChunk) {
    const int count = int(end - t0 < kChunk ? end - t0 : kChunk);
    const auto place = [&](int t) { return a.reverse ? a.n - 1 - t0 - t : t0 + t; };
    if (int t = int(threadIdx.x); t < kChunk) decays[t] = decay && t < count ? decay[place(t)] : T(0);
    fill<T>(vs, [&](int t, int c) {
      return t < count && first_col + c < a.dv ? v[place(t) * a.dv + first_col + c] : T(0);
    });
    __syncthreads();
    const T end_decay = decays[count - 1], start_decay = begun ? last_decay : decays[0];
    const T fade = fn::exp(end_decay - start_decay);
    if (int t = int(threadIdx.x); t < kChunk) weights[t] = t < count ? fn::exp(end_decay - decays[t]) : T(0);

    T sum[kRows][kCols] = {}, score[kRows][kCols] = {};
    for (int64_t p0 = 0; p0 < a.d; p0 += kDepth) {
      const int depth = int(a.d - p0 < kDepth ? a.d - p0 : kDepth);
      fill<T>(ks, [&](int t, int p) { return t < count && p < depth ? k[place(t) * a.d + p0 + p] : T(0); });
      if (!measure)
        fill<T>(qs, [&](int t, int p) { return t < count && p < depth ? q[place(t) * a.d + p0 + p] : T(0); });
      __syncthreads();
      for (int p = 0; p < depth && !measure; ++p) {
        T x[kRows], y[kCols];
        INK_UNROLL
        for (int r = 0; r < kRows; ++r) x[r] = qs[own_row(r)][p];
        INK_UNROLL
        for (int c = 0; c < kCols; ++c) y[c] = ks[own_col(c)][p];
        for_own([&](int r, int c) { score[r][c] = fn::fma(x[r], y[c], score[r][c]); });
        if (!begun) continue;
        INK_UNROLL
        for (int c = 0; c < kCols; ++c) y[c] = state[(p0 + p) * kSlice + own_col(c)];
        for_own([&](int r, int c) { sum[r][c] = fn::fma(x[r], y[c], sum[r][c]); });
      }
      T next[kRows][kCols];  // of this part of S, whose rows are columns of k
      for_own([&](int r, int c) {
        next[r][c] = begun && own_row(r) < depth ? fade * state[(p0 + own_row(r)) * kSlice + own_col(c)] : T(0);
      });
      for (int t = 0; t < count; ++t) {
        T x[kRows], y[kCols];
        INK_UNROLL
        for (int r = 0; r < kRows; ++r) x[r] = weights[t] * ks[t][own_row(r)];
        INK_UNROLL
        for (int c = 0; c < kCols; ++c) y[c] = vs[t][own_col(c)];
        for_own([&](int r, int c) { next[r][c] = fn::fma(x[r], y[c], next[r][c]); });
      }
      __syncthreads();  // all have read S and the tiles
      for_own([&](int r, int c) {
        if (own_row(r) < depth) state[(p0 + own_row(r)) * kSlice + own_col(c)] = next[r][c];
      });
    }

    if (!measure) {
      for_own([&](int r, int c) {
        const int i = own_row(r), j = own_col(c);
        sum[r][c] *= fn::exp(decays[i] - start_decay);
        scores[i][j] = j <= i ? score[r][c] * fn::exp(decays[i] - decays[j]) : T(0);
      });
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
    }
    last_decay = end_decay;
    begun = true;
    __syncthreads();
  }
  for (int64_t i = threadIdx.x; measure && parts.shared && i < a.d * kSlice; i += kAcross * kDown)
    own_state[i] = state[i];
}

// The second pass, a thread per element of a walk's state: what each part leaves becomes what it starts from.
template <class T>
__global__ void join_states(const LinearAttentionArgs a, const T* decay, const Parts<T> parts, const int64_t walks) {
  const int64_t size = a.d * kSlice, at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x, walk = at / size;
  if (walk >= walks) return;
  if (decay) decay += walk / ceil_div(a.dv, kSlice) * a.n;
  T* states = parts.states + walk * parts.count * size + at % size;
  T before = 0, last_decay = 0;
  for (int64_t part = 0; part + 1 < parts.count; ++part) {
    const int64_t last = (part + 1) * parts.size - 1;
    const T own = states[part * size], end_decay = decay ? decay[a.reverse ? a.n - 1 - last : last] : T(0);
    states[part * size] = before;
    before = part > 0 ? fn::fma(before, fn::exp(end_decay - last_decay), own) : own;
    last_decay = end_decay;
  }
  states[(parts.count - 1) * size] = before;
}

// So many parts that all multiprocessors are busy, of 128 rows at least.
int64_t parts_of(int64_t n, int64_t walks) {
  const int64_t most = ceil_div(n, 4 * kChunk),
                wanted = ceil_div(4 * int64_t(current().properties.multiProcessorCount), walks);
  return wanted < most ? wanted : most;
}

}  // namespace

void linear_attention(const LinearAttentionArgs& a, void* out, const void* q, const void* k, const void* v,
                      const void* decay) {
  const int64_t walks = a.batch * ceil_div(a.dv, kSlice);
  if (walks == 0 || a.n == 0) return;
  visit_float(a.dtype, [&]<class T>() {
    const int64_t size = a.d * kSlice, bytes = size * int64_t(sizeof(T));
    const bool shared = bytes + 4 * int64_t(sizeof(Tile<T>)) <= 47 << 10;  // beside the tiles
    Parts<T> parts{1, ceil_div(ceil_div(a.n, parts_of(a.n, walks)), kChunk) * kChunk, nullptr, shared};
    parts.count = ceil_div(a.n, parts.size);
    const Scratch<T> states(shared && parts.count == 1 ? 0 : walks * parts.count * size);
    if (!shared || parts.count > 1) parts.states = states.data();
    const Operands<T> x{.out = static_cast<T*>(out),
                        .q = static_cast<const T*>(q),
                        .k = static_cast<const T*>(k),
                        .v = static_cast<const T*>(v),
                        .decay = static_cast<const T*>(decay)};
    const auto walk = [&](bool measure) {
      launch("linear_attention", linear_attention_kernel<T>, dim3(unsigned(walks * parts.count)), dim3(kAcross * kDown),
             shared ? size_t(bytes) : 0, a, x, parts, measure);
    };
    if (parts.count > 1) {
      walk(true);
      launch("linear_attention", join_states<T>, dim3(unsigned(ceil_div(walks * size, 256))), dim3(256), 0, a, x.decay,
             parts, walks);
    }
    walk(false);
  });
}

}  // namespace ink::cuda
