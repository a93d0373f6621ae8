// Attention in f16 and bf16 on tensor cores, forward (Dao 2023, algorithm 1): four warps share a block of queries,
// whose rows they own, and walk along the keys, 64 at a time. Each tile of values is on its way while the scores of its
// keys are computed, and the next keys while the weights are formed and multiplied. The weights go from the
// accumulators of one product to the next without leaving their registers. Exponentials are powers of 2: log2 e is in
// the scale.
#include "tensor/cuda/attention/attention_half.h"
#include "tensor/cuda/attention/attention_mma.h"
#include "tensor/math/online.h"

namespace ink::cuda {
namespace {

constexpr int kKeys = 64, kWarps = 4, kMmaThreads = kWarps * kWarp;

template <class T> struct Operands {
  const T *q, *k, *v;  // of one head
};
template <class T> struct Results {
  T* out;      // [batch, heads, nq, dv]
  float* lse;  // [batch, heads, nq]
};

// What the kernel below computes, row by row, in f32, and without ever touching a key that a query does not see: for
// blocks in which hidden keys hold NaN or infinities, since 0 times those is NaN. A warp takes a row.
template <class T>
__device__ void by_rows(const AttentionArgs& a, const Head& head, int64_t i0, int64_t i1, const Results<T>& to,
                        const Operands<T>& x) {
  constexpr int kPer = 256 / kWarp;
  const Visible see(a, head.batch, head.head);
  const Score<float> score(a, head.head);
  const Dropout dropout(a);
  const int lane = int(threadIdx.x) % kWarp;
  for (int64_t i = i0 + int(threadIdx.x) / kWarp; i < i1; i += kWarps) {
    const T* query = x.q + i * a.q_strides[2];
    const Reach keys = reach_of_queries(see, i, i + 1, a.nk, 1);
    fn::Online<float> state;
    float sum[kPer] = {}, rate;
    for (int64_t j = keys.begin; j < keys.end; ++j) {
      if (!see(i, j)) continue;
      float product = 0;
      for (int c = lane; c < a.d; c += kWarp)
        product = fn::fma(float(query[c]), float(x.k[j * a.k_strides[2] + c]), product);
      const fn::Online<float> one{score(warp_sum(product), float(j - i - a.diagonal), rate), 1.f};
      const fn::Online<float> both = fn::online_merge(state, one);
      bool keep[1] = {true};
      if (dropout.on) dropout.keeps(keep, uint64_t((head.matrix * a.nq + i) * a.nk + j));
      const float before = fn::online_scale(state.m, both.m), weight = keep[0] ? fn::online_scale(one.m, both.m) : 0.f;
      state = both;
      INK_UNROLL
      for (int c = 0; c < kPer; ++c)
        if (lane + c * kWarp < a.dv) {
          sum[c] *= before;
          if (keep[0]) sum[c] = fn::fma(weight, float(x.v[j * a.v_strides[2] + lane + c * kWarp]), sum[c]);
        }
    }
    const float scale = state.l == 0 ? 0.f : float(dropout.scale) / state.l;
    INK_UNROLL
    for (int c = 0; c < kPer; ++c)
      if (lane + c * kWarp < a.dv) to.out[(head.matrix * a.nq + i) * a.dv + lane + c * kWarp] = T(sum[c] * scale);
    if (lane == 0) to.lse[head.matrix * a.nq + i] = fn::online_lse(state);
  }
}

// What a warp knows of its rows while it walks along the keys: for each of a lane's rows the largest score so far, the
// sum of the weights, and the weighted sum of the values. A lane has two rows of each block of 16.
template <int D, int kBlocks> struct RowStates {
  float top[kBlocks][2], total[kBlocks][2] = {}, sum[kBlocks][D / 8][4] = {};

  __device__ __forceinline__ RowStates() {
    INK_UNROLL
    for (int m = 0; m < kBlocks; ++m) top[m][0] = top[m][1] = fn::lowest<float>();
  }

  // Takes a tile of scores s into the states: the scores become weights, sums are rescaled to the new largest score.
  template <int N> __device__ __forceinline__ void absorb(float (&s)[kBlocks][N][4], const Exponent& exponent) {
    INK_UNROLL
    for (int m = 0; m < kBlocks; ++m) {
      INK_UNROLL
      for (int r = 0; r < 2; ++r) {
        float larger = top[m][r];  // NaN is passed over here and spoils the sum below
        INK_UNROLL
        for (int n = 0; n < N; ++n) larger = ::fmaxf(larger, ::fmaxf(s[m][n][2 * r], s[m][n][2 * r + 1]));
        larger = ::fmaxf(larger, __shfl_xor_sync(kFull, larger, 1));
        larger = ::fmaxf(larger, __shfl_xor_sync(kFull, larger, 2));
        const float shift = larger == fn::lowest<float>() ? 0.f : larger * exponent.factor;
        const float rescale = fast_exp2(fn::fma(top[m][r], exponent.factor, -shift));
        top[m][r] = larger;
        total[m][r] *= rescale;
        INK_UNROLL
        for (int n = 0; n < D / 8; ++n) sum[m][n][2 * r] *= rescale, sum[m][n][2 * r + 1] *= rescale;
        INK_UNROLL
        for (int n = 0; n < N; ++n) {
          INK_UNROLL
          for (int e = 0; e < 2; ++e) {
            float& w = s[m][n][2 * r + e];
            w = fast_exp2(fn::fma(w, exponent.factor, -shift));
            total[m][r] += w;
          }
        }
      }
    }
  }

  // Divides the sums by the totals, with dropout's `kept` factor, and calls lse(row, value) for each row. NaN if a sum
  // is not finite, else 0.
  template <class F> __device__ __forceinline__ float finish(const Exponent& exponent, float kept, F lse) {
    float worst = 0;
    INK_UNROLL
    for (int m = 0; m < kBlocks; ++m) {
      INK_UNROLL
      for (int r = 0; r < 2; ++r) {
        total[m][r] = warp_sum(total[m][r], 4);
        const float scale = total[m][r] == 0 ? 0.f : kept / total[m][r];
        INK_UNROLL
        for (int n = 0; n < D / 8; ++n) {
          INK_UNROLL
          for (int e = 0; e < 2; ++e) worst += sum[m][n][2 * r + e] * 0.f, sum[m][n][2 * r + e] *= scale;
        }
        lse(16 * m + 8 * r + int(threadIdx.x) % kWarp / 4, top[m][r] * exponent.factor * kLn2 + fn::log(total[m][r]));
      }
    }
    return worst;
  }
};

template <class T, int D, int kBlocks>
__global__ void __launch_bounds__(kMmaThreads)
    attention_mma_kernel(const AttentionArgs a, T* out, float* lse, const T* q, const T* k, const T* v) {
#if INK_CUDA_SIM || __CUDA_ARCH__ >= 800
  // The block's queries, and this warp's among them.
  constexpr int kRows = kWarps * 16 * kBlocks, N = kKeys / 8;
  T *qs = dynamic_shared<T>(), *ks = qs + kRows * D, *vs = ks + kKeys * D;
  const int64_t blocks = ceil_div(a.nq, kRows);
  const Head head(a, int64_t(blockIdx.x) / blocks);
  const int64_t i0 = (blocks - 1 - int64_t(blockIdx.x) % blocks) * kRows, i1 = i0 + kRows < a.nq ? i0 + kRows : a.nq;
  const Operands<T> x{head.queries(a, q), head.keys(a, k), head.values(a, v)};
  const Visible see(a, head.batch, head.head);
  const Exponent exponent(Score<float>(a, head.head));
  const Reach keys = reach_of_queries(see, i0, i1, a.nk, kKeys);
  const int row0 = int(threadIdx.x) / kWarp * 16 * kBlocks;  // this warp's first
  const int d = int(a.d), dv = int(a.dv);

  // The tiles of keys of which something is seen.
  const auto count = [&](int64_t j0) { return int(a.nk - j0 < kKeys ? a.nk - j0 : kKeys); };
  Seen seen = Seen::none;  // of the tile of keys that comes next
  const auto next_tile = [&](int64_t j0) {
    for (; j0 < keys.end; j0 += kKeys)
      if ((seen = seen_of(see, i0, i1, j0, j0 + count(j0))) != Seen::none) break;
    return j0;
  };

  RowStates<D, kBlocks> rows;
  bool some_hidden = false;
  start_tile<D, kRows, kMmaThreads>(qs, x.q + i0 * a.q_strides[2], a.q_strides[2], int(i1 - i0), d);
  int64_t j0 = next_tile(keys.begin);
  if (j0 < keys.end) start_tile<D, kKeys, kMmaThreads>(ks, x.k + j0 * a.k_strides[2], a.k_strides[2], count(j0), d);
  cp_async_commit();
  while (j0 < keys.end) {
    // Scores of this tile, while its values and then the next keys are on their way.
    const int present = count(j0);
    const bool all = seen == Seen::all && present == kKeys;
    some_hidden = some_hidden || seen == Seen::some;
    cp_async_wait<0>();
    __syncthreads();  // the keys are here, and the last values have been read
    start_tile<D, kKeys, kMmaThreads>(vs, x.v + j0 * a.v_strides[2], a.v_strides[2], present, dv);
    cp_async_commit();
    float s[kBlocks][N][4] = {};
    multiply_rows<D>(s, qs, unsigned(row0), ks);
    cp_async_wait<0>();
    __syncthreads();  // the values are here, and the keys have been read
    const int64_t next = next_tile(j0 + kKeys);
    if (next < keys.end)
      start_tile<D, kKeys, kMmaThreads>(ks, x.k + next * a.k_strides[2], a.k_strides[2], count(next), d);
    cp_async_commit();

    // Soft cap and ALiBi.
    if (!exponent.plain) {
      const float distance = float(j0 - i0 - row0 - a.diagonal);
      for_own<kBlocks, N>([&](int m, int n, int i, int row, int column) {
        float rate;
        s[m][n][i] = exponent(s[m][n][i], distance + float(column - row), rate);
      });
    }
    // What is hidden.
    if (!all) {
      hide_beyond(s, i0 + row0 - j0, see.low, see.high, present);
      if (see.mask || see.tiles)
        hide_unless(s, [&](int row, int column) {
          const int64_t i = i0 + row0 + row, j = j0 + column;
          return i < a.nq && j < a.nk && see(i, j);
        });
    }
    // Weights, dropout, and the values that they weigh.
    rows.absorb(s, exponent);
    if (a.dropout > 0) {
      const Dropout dropout(a);  // only here: it takes registers
      const uint64_t dropped = own_bits<kBlocks, N>([&](int row, int column) {
        bool keep[1];
        dropout.keeps(keep, uint64_t((head.matrix * a.nq + i0 + row0 + row) * a.nk + j0 + column));
        return !keep[0];
      });
      for_own<kBlocks, N>([&](int m, int n, int i, int, int) {
        if (has_bit<N>(dropped, m, n, i)) s[m][n][i] = 0;
      });
    }
    add_weighted<D>(rows.sum, s, vs);
    j0 = next;
  }

  // Results; by the slow way if a hidden key may have spoilt them.
  const float worst = rows.finish(exponent, float(Dropout(a).scale), [&](int row, float value) {
    if (i0 + row0 + row < i1 && threadIdx.x % 4 == 0) lse[head.matrix * a.nq + i0 + row0 + row] = value;
  });
  cp_async_wait<0>();
  if (__syncthreads_or(some_hidden && worst != 0)) return by_rows(a, head, i0, i1, Results<T>{out, lse}, x);
  store_rows<D>(out + (head.matrix * a.nq + i0) * a.dv, rows.sum, qs, row0, int(i1 - i0), dv);
#endif
}

template <class T, int D, int kBlocks>
void run(const AttentionArgs& a, void* out, void* lse, const void* q, const void* k, const void* v) {
  constexpr int kRows = kWarps * 16 * kBlocks;
  launch("attention", attention_mma_kernel<T, D, kBlocks>, dim3(unsigned(ceil_div(a.nq, kRows) * a.batch * a.heads)),
         dim3(kMmaThreads), (kRows + 2 * kKeys) * D * sizeof(T), a, static_cast<T*>(out), static_cast<float*>(lse),
         static_cast<const T*>(q), static_cast<const T*>(k), static_cast<const T*>(v));
}

}  // namespace

bool attention_mma(const AttentionArgs& a, void* out, void* lse, const void* q, const void* k, const void* v) {
  if (!fits_mma(a, {out, q, k, v})) return false;
  with_mma_tile(a, [&]<class T, int D>() { run<T, D, D <= 128 ? 2 : 1>(a, out, lse, q, k, v); });
  return true;
}

}  // namespace ink::cuda
