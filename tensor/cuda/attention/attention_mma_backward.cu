// The gradient of attention in f16 and bf16 on tensor cores; the formulas stand in attention_backward.cu. As there, a
// block owns rows of a result, of queries for dQ, of keys for dK and dV, and walks along the others: the rows of a tile
// are what it owns, the columns the others. So dQ needs three products per tile, dK and dV together four, and there are
// no atomics. The next tile is on its way while one is computed; weights go from product to product in their registers.
#include "tensor/cuda/attention/attention_half.h"
#include "tensor/cuda/attention/attention_mma.h"

namespace ink::cuda {
namespace {

// Which gradients a launch computes.
enum class Wanted {
  dq,     // a block owns queries
  dk,     // a block owns keys, here and below
  dv,     // the two in launches of their own, where both would not fit in the registers
  dk_dv,  // both at once
};

template <class T> struct Operands {
  const T *dout, *q, *k, *v;
  const float *deltas, *exponents;  // [batch, heads, padded]: D, and the log-sum-exp in powers of 2
  int64_t padded;                   // nq, up to a multiple of kMaskTile
};

// A warp per row: D, and the log-sum-exp; for a query that sees nothing, or is not there, +inf, which makes every
// weight 0.
template <class T> struct Statistics {
  float *deltas, *exponents;  // [matrices, padded]
  const T *dout, *out;        // [matrices, nq, width]
  const float *lse, *dlse;    // [matrices, nq]
  int64_t matrices, nq, padded, width;
};
template <class T> __global__ void __launch_bounds__(256) attention_statistics(const Statistics<T> x) {
  const int64_t at = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) / kWarp, i = at % x.padded,
                row = at / x.padded * x.nq + i;
  const int lane = int(threadIdx.x) % kWarp;
  const bool there = at < x.matrices * x.padded && i < x.nq;
  float sum = 0;
  for (int64_t c = lane; c < x.width && there; c += kWarp)
    sum = fn::fma(float(x.dout[row * x.width + c]), float(x.out[row * x.width + c]), sum);
  sum = warp_sum(sum);
  if (lane != 0 || at >= x.matrices * x.padded) return;
  x.deltas[at] = !there ? 0.f : x.dlse ? sum - x.dlse[row] : sum;
  x.exponents[at] = there && x.lse[row] != fn::lowest<float>() ? x.lse[row] * kLog2e : fn::highest<float>();
}

// dQ row by row, in f32, without touching a key that a query does not see (see attention_mma.cu). A warp takes a row.
template <class T>
__device__ void by_rows(const AttentionArgs& a, const Head& head, int64_t i0, int64_t i1, T* dq, const Operands<T>& x) {
  constexpr int kPer = 256 / kWarp;
  const Visible see(a, head.batch, head.head);
  const Exponent exponent(Score<float>(a, head.head));
  const Dropout dropout(a);
  const int lane = int(threadIdx.x) % kWarp;
  const T *queries = head.queries(a, x.q), *keys = head.keys(a, x.k), *values = head.values(a, x.v);
  for (int64_t i = i0 + int(threadIdx.x) / kWarp; i < i1; i += int(blockDim.x) / kWarp) {
    const int64_t row = head.matrix * a.nq + i, padded = head.matrix * x.padded + i;
    const Reach seen = reach_of_queries(see, i, i + 1, a.nk, 1);
    float sum[kPer] = {}, rate = 1;
    for (int64_t j = seen.begin; j < seen.end; ++j) {
      if (!see(i, j)) continue;
      const T *key = keys + j * a.k_strides[2], *value = values + j * a.v_strides[2];
      float product = 0, dp = 0;
      for (int c = lane; c < a.d; c += kWarp)
        product = fn::fma(float(queries[i * a.q_strides[2] + c]), float(key[c]), product);
      for (int c = lane; c < a.dv; c += kWarp) dp = fn::fma(float(x.dout[row * a.dv + c]), float(value[c]), dp);
      product = warp_sum(product), dp = warp_sum(dp);
      if (dropout.on) {
        bool keep[1];
        dropout.keeps(keep, uint64_t(row * a.nk + j));
        dp = keep[0] ? dp * float(dropout.scale) : 0.f;
      }
      if (!exponent.plain) product = exponent(product, float(j - i - a.diagonal), rate);
      const float ds =
          fast_exp2(fn::fma(product, exponent.factor, -x.exponents[padded])) * (dp - x.deltas[padded]) * rate;
      INK_UNROLL
      for (int c = 0; c < kPer; ++c)
        if (lane + c * kWarp < a.d) sum[c] = fn::fma(ds, float(key[lane + c * kWarp]), sum[c]);
    }
    INK_UNROLL
    for (int c = 0; c < kPer; ++c)
      if (lane + c * kWarp < a.d) dq[row * a.d + lane + c * kWarp] = T(sum[c] * exponent.scale);
  }
}

template <class T> struct Rows {  // of a matrix in device memory
  const T* matrix;
  int64_t row;
  int width;
};
template <int D, int kRows, int kThreads, class T>
__device__ __forceinline__ void start_rows(T* tile, const Rows<T>& x, int64_t first, int count) {
  start_tile<D, kRows, kThreads>(tile, x.matrix + first * x.row, x.row, count, x.width);
}

struct Step {  // of a block's walk: head h of a group, and the tile of the others at `at`
  int64_t h, at;
  Seen seen;
};

// The shape of a block's work: `kWarps` warps own 16 rows each and see kOther of the others at a time.
template <int D> struct Sizes {
  static constexpr int kWarps = D <= 128 ? 8 : 4, kThreads = kWarps * kWarp, kRows = kWarps * 16;
  static constexpr int kOther = D <= 64 ? 64 : D <= 128 ? 32 : 16;
  static constexpr int kStage = 2 * kOther * D;  // of two operands
  template <class T> static constexpr size_t bytes() {
    return (2 * kRows * D + 2 * kStage) * sizeof(T) + 4 * kOther * sizeof(float);
  }
};

template <class T, int D, Wanted kWanted>
__global__ void __launch_bounds__(Sizes<D>::kThreads)
    attention_mma_backward_kernel(const AttentionArgs a, const Operands<T> x, T* result, T* result_dv) {
#if INK_CUDA_SIM || __CUDA_ARCH__ >= 800
  using S = Sizes<D>;
  constexpr bool kByQuery = kWanted == Wanted::dq;
  constexpr bool kScores = kWanted != Wanted::dv;  // the gradient of the scores is needed
  constexpr bool kValues = kWanted == Wanted::dv || kWanted == Wanted::dk_dv;
  constexpr int N = S::kOther / 8;
  T *own_first = dynamic_shared<T>(), *own_second = own_first + S::kRows * D, *others = own_second + S::kRows * D;
  // By stage: D and exponents of the columns.
  float* const statistics = reinterpret_cast<float*>(others + 2 * S::kStage);

  // What the block owns, and this warp of it.
  const int64_t own_count = kByQuery ? a.nq : a.nk, other_count = kByQuery ? a.nk : a.nq;
  const int64_t blocks = ceil_div(own_count, S::kRows), matrix = int64_t(blockIdx.x) / blocks,
                block = int64_t(blockIdx.x) % blocks;
  // Under a causal mask the last queries and the first keys have the most to do: they come first.
  const int64_t own0 = (kByQuery ? blocks - 1 - block : block) * S::kRows;
  const int64_t own1 = own0 + S::kRows < own_count ? own0 + S::kRows : own_count;
  const int64_t group = kByQuery ? 1 : a.heads / a.kv_heads;
  const int row0 = int(threadIdx.x) / kWarp * 16, lane = int(threadIdx.x) % kWarp;
  const Dropout dropout(a);

  // Head h of those whose queries read the block's keys; there are no divisions in it.
  const Head first_head(a, matrix * group);
  const auto head_of = [&](int64_t h) {
    Head head = first_head;
    head.head += h, head.matrix += h;
    return head;
  };
  // The operands of a head: what stands in the rows, and what in the columns of a tile.
  const auto queries = [&](const Head& head) { return Rows<T>{head.queries(a, x.q), a.q_strides[2], int(a.d)}; };
  const auto keys = [&](const Head& head) { return Rows<T>{head.keys(a, x.k), a.k_strides[2], int(a.d)}; };
  const auto values = [&](const Head& head) { return Rows<T>{head.values(a, x.v), a.v_strides[2], int(a.dv)}; };
  const auto grads = [&](const Head& head) { return Rows<T>{x.dout + head.matrix * a.nq * a.dv, a.dv, int(a.dv)}; };

  // The steps: tiles of the others of which something is seen, for one head after the other.
  const Visible any(a, first_head.batch, first_head.head);
  const Reach reach =
      kByQuery ? reach_of_queries(any, own0, own1, a.nk, S::kOther) : reach_of_keys(any, own0, own1, a.nq, S::kOther);
  const auto count_at = [&](int64_t at) { return int(other_count - at < S::kOther ? other_count - at : S::kOther); };
  const auto seek = [&](Step step) {  // from `step` on
    for (; step.h < group; ++step.h, step.at = reach.begin) {
      const Head head = head_of(step.h);
      const Visible see(a, head.batch, head.head);
      for (; step.at < reach.end; step.at += S::kOther) {
        const int64_t end = step.at + count_at(step.at);
        step.seen = kByQuery ? seen_of(see, own0, own1, step.at, end) : seen_of(see, step.at, end, own0, own1);
        if (step.seen != Seen::none) return step;
      }
    }
    return step;
  };
  const auto start = [&](const Step& step, int stage) {
    if (step.h < group) {
      const Head head = head_of(step.h);
      T *first = others + stage * S::kStage, *second = first + S::kOther * D;
      start_rows<D, S::kOther, S::kThreads>(first, kByQuery ? keys(head) : queries(head), step.at, count_at(step.at));
      start_rows<D, S::kOther, S::kThreads>(second, kByQuery ? values(head) : grads(head), step.at, count_at(step.at));
      if (int i = int(threadIdx.x) * 4; !kByQuery && i < 2 * S::kOther) {
        const float* from = i < S::kOther ? x.deltas + i : x.exponents + i - S::kOther;
        cp_async16(statistics + stage * 2 * S::kOther + i, from + head.matrix * x.padded + step.at);
      }
    }
    cp_async_commit();
  };

  // The rows that it owns, and their statistics.
  const int present = int(own1 - own0);
  start_rows<D, S::kRows, S::kThreads>(own_first, kByQuery ? queries(first_head) : keys(first_head), own0, present);
  if constexpr (kScores)
    start_rows<D, S::kRows, S::kThreads>(own_second, kByQuery ? grads(first_head) : values(first_head), own0, present);
  float own_delta[2] = {}, own_exponent[2] = {};
  if constexpr (kByQuery)
    for (int r = 0; r < 2; ++r) {
      const int64_t i = own0 + row0 + 8 * r + lane / 4;
      own_delta[r] = i < a.nq ? x.deltas[matrix * x.padded + i] : 0.f;
      own_exponent[r] = i < a.nq ? x.exponents[matrix * x.padded + i] : fn::highest<float>();
    }

  constexpr int kWidth = kScores && kValues ? D / 8 : 1;
  float sum[1][D / 8][4] = {}, sum_dv[1][kWidth][4] = {};  // sum_dv: only if both are wanted
  bool some_hidden = false;
  int stage = 0;
  Step step = seek({0, reach.begin, Seen::none});
  start(step, stage);
  while (step.h < group) {
    const int64_t at = step.at;
    const Step next = seek({step.h, at + S::kOther, Seen::none});
    const Head head = head_of(step.h);
    const bool all = step.seen == Seen::all && count_at(at) == S::kOther;
    some_hidden = some_hidden || step.seen == Seen::some;
    cp_async_wait<0>();
    __syncthreads();  // this step's tiles are here, and the last step's have been read
    start(next, 1 - stage);
    const T *first = others + stage * S::kStage, *second = first + S::kOther * D;
    const float* columns = statistics + stage * 2 * S::kOther + 2 * (lane % 4);

    // Scores, and the gradient of the weights less D.
    float w[1][N][4] = {}, g[1][kScores ? N : 1][4] = {};  // scores, then weights; their gradient
    multiply_rows<D>(w, own_first, unsigned(row0), first);
    const auto position = [&](int row, int column) {
      const int64_t own = own0 + row0 + row, other = at + column;
      return uint64_t((head.matrix * a.nq + (kByQuery ? own : other)) * a.nk + (kByQuery ? other : own));
    };
    uint64_t dropped = 0;
    if (dropout.on)
      dropped = own_bits<1, N>([&](int row, int column) {
        bool keep[1];
        dropout.keeps(keep, position(row, column));
        return !keep[0];
      });
    if constexpr (kScores) {
      multiply_rows<D>(g, own_second, unsigned(row0), second);
      if (dropout.on)
        for_own<1, N>([&](int, int n, int i, int, int) {
          g[0][n][i] = has_bit<N>(dropped, 0, n, i) ? 0.f : g[0][n][i] * float(dropout.scale);
        });
      for_own<1, N>(
          [&](int, int n, int i, int, int) { g[0][n][i] -= kByQuery ? own_delta[i / 2] : columns[8 * n + i % 2]; });
    }
    // Soft cap and ALiBi.
    const Score<float> score(a, head.head);
    const Exponent exponent(score);
    if (!exponent.plain) {
      const float distance = float((kByQuery ? at - own0 - row0 : own0 + row0 - at) - a.diagonal);
      for_own<1, N>([&](int, int n, int i, int row, int column) {
        float rate;
        w[0][n][i] = exponent(w[0][n][i], distance + float(kByQuery ? column - row : row - column), rate);
        if constexpr (kScores) g[0][n][i] *= rate;
      });
    }
    // What is hidden.
    if (!all) {
      const Visible see(a, head.batch, head.head);
      hide_beyond(w, own0 + row0 - at, kByQuery ? see.low : -see.high, kByQuery ? see.high : -see.low, count_at(at));
      if (see.mask || see.tiles)
        hide_unless(w, [&](int row, int column) {
          const int64_t own = own0 + row0 + row, other = at + column;
          return own < own_count && other < other_count && (kByQuery ? see(own, other) : see(other, own));
        });
    }
    // Weights, and the gradient of the scores.
    const auto weight = [&](int n, int i) {
      const float shift = kByQuery ? own_exponent[i / 2] : columns[S::kOther + 8 * n + i % 2];
      return fast_exp2(fn::fma(w[0][n][i], exponent.factor, -shift));
    };
    if (all)
      for_own<1, N>([&](int, int n, int i, int, int) {
        w[0][n][i] = weight(n, i);
        if constexpr (kScores) g[0][n][i] *= w[0][n][i];
      });
    else  // what is hidden is 0, whatever the log-sum-exp is and the products are
      for_own<1, N>([&](int, int n, int i, int, int) {
        w[0][n][i] = w[0][n][i] == fn::lowest<float>() ? 0.f : weight(n, i);
        if constexpr (kScores) g[0][n][i] = w[0][n][i] == 0 ? 0.f : g[0][n][i] * w[0][n][i];
      });
    // The products that the gradients are sums of.
    if constexpr (kScores) add_weighted<D>(sum, g, first);
    if constexpr (kValues) {
      if (dropout.on)
        for_own<1, N>([&](int, int n, int i, int, int) {
          w[0][n][i] = has_bit<N>(dropped, 0, n, i) ? 0.f : w[0][n][i] * float(dropout.scale);
        });
      if constexpr (kScores)
        add_weighted<D>(sum_dv, w, second);
      else
        add_weighted<D>(sum, w, second);
    }
    step = next;
    stage = 1 - stage;
  }

  // Results; by the slow way if a hidden key may have spoilt them.
  cp_async_wait<0>();
  if constexpr (kByQuery) {
    float worst = 0;  // NaN if a sum is not finite
    for_own<1, D / 8>([&](int, int n, int i, int, int) { worst += sum[0][n][i] * 0.f; });
    if (__syncthreads_or(some_hidden && worst != 0)) return by_rows(a, first_head, own0, own1, result, x);
  } else {
    __syncthreads();
  }
  if constexpr (kScores) for_own<1, D / 8>([&](int, int n, int i, int, int) { sum[0][n][i] *= float(a.scale); });
  const int width = int(kScores ? a.d : a.dv);
  store_rows<D>(result + (matrix * own_count + own0) * width, sum, own_first, row0, present, width);
  if constexpr (kScores && kValues)
    store_rows<D>(result_dv + (matrix * own_count + own0) * a.dv, sum_dv, own_second, row0, present, int(a.dv));
#endif
}

template <class T, int D, Wanted kWanted>
void run(const AttentionArgs& a, const Operands<T>& x, void* result, void* result_dv = nullptr) {
  const bool by_query = kWanted == Wanted::dq;
  const int64_t blocks =
      ceil_div(by_query ? a.nq : a.nk, Sizes<D>::kRows) * a.batch * (by_query ? a.heads : a.kv_heads);
  launch("attention_backward", attention_mma_backward_kernel<T, D, kWanted>, dim3(unsigned(blocks)),
         dim3(Sizes<D>::kThreads), Sizes<D>::template bytes<T>(), a, x, static_cast<T*>(result),
         static_cast<T*>(result_dv));
}

}  // namespace

bool attention_mma_backward(const AttentionArgs& a, const AttentionBackwardArrays& arrays) {
  if (!fits_mma(a, {arrays.dq, arrays.dk, arrays.dv, arrays.dout, arrays.q, arrays.k, arrays.v, arrays.out}))
    return false;
  const int64_t padded = ceil_div(a.nq, kMaskTile) * kMaskTile, matrices = a.batch * a.heads;
  const Scratch<float> deltas(matrices * padded), exponents(matrices * padded);
  with_mma_tile(a, [&]<class T, int D>() {
    const Statistics<T> statistics{.deltas = deltas.data(),
                                   .exponents = exponents.data(),
                                   .dout = static_cast<const T*>(arrays.dout),
                                   .out = static_cast<const T*>(arrays.out),
                                   .lse = static_cast<const float*>(arrays.lse),
                                   .dlse = static_cast<const float*>(arrays.dlse),
                                   .matrices = matrices,
                                   .nq = a.nq,
                                   .padded = padded,
                                   .width = a.dv};
    launch("attention_backward", attention_statistics<T>, dim3(unsigned(ceil_div(matrices * padded, 256 / kWarp))),
           dim3(256), 0, statistics);
    const Operands<T> x{.dout = statistics.dout,
                        .q = static_cast<const T*>(arrays.q),
                        .k = static_cast<const T*>(arrays.k),
                        .v = static_cast<const T*>(arrays.v),
                        .deltas = deltas.data(),
                        .exponents = exponents.data(),
                        .padded = padded};
    run<T, D, Wanted::dq>(a, x, arrays.dq);
    if constexpr (D <= 128)
      run<T, D, Wanted::dk_dv>(a, x, arrays.dk, arrays.dv);
    else
      run<T, D, Wanted::dk>(a, x, arrays.dk), run<T, D, Wanted::dv>(a, x, arrays.dv);
  });
  return true;
}

}  // namespace ink::cuda
