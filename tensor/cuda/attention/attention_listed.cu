// Attention in which a query depends on nothing but itself and the keys and values that it sees: a warp takes one query
// of one head, and for at most 128 columns of the values. Each lane makes the scores of every 32nd key, each of them
// alone; the maximum does not depend on an order; and the sums go through the keys that are seen one after another.
#include "tensor/cuda/attention/attention.h"
#include "tensor/cuda/attention/attention_half.h"
#include "tensor/cuda/device/warp.h"
#include "tensor/math/online.h"

namespace ink::cuda {
namespace {

constexpr int kWarps = 4, kColumns = 4;  // of a block; of a lane

template <class T>
__global__ void __launch_bounds__(kWarps* kWarp)
    attention_kernel(const AttentionArgs a, T* out, T* lse, const T* q, const T* k, const T* v) {
  const int64_t row = int64_t(blockIdx.x) * kWarps + threadIdx.x / kWarp,
                first = int64_t(blockIdx.y) * kColumns * kWarp;
  const int lane = int(threadIdx.x % kWarp);
  if (row >= a.batch * a.heads * a.nq) return;
  const int64_t i = row % a.nq;
  const Head head(a, row / a.nq);
  const Visible see(a, head.batch, head.head);
  const Score<T> score_of(a, head.head);
  const T *query = head.queries(a, q) + i * a.q_strides[2], *keys = head.keys(a, k), *values = head.values(a, v);
  const auto score = [&](int64_t j) {
    T product = 0, rate;
    for (int64_t c = 0; c < a.d; ++c) product += query[c] * keys[j * a.k_strides[2] + c];
    return score_of(product, T(j - i - a.diagonal), rate);
  };
  const Reach seen = reach_of_queries(see, i, i + 1, a.nk, kWarp);

  T top = fn::lowest<T>();
  for (int64_t j = seen.begin + lane; j < seen.end; j += kWarp)
    if (see(i, j)) top = fn::max(top, score(j));
  top = warp_max(top);

  const T shift = fn::online_shift(top);
  T sum = 0, o[kColumns] = {};
  for (int64_t j0 = seen.begin; j0 < seen.end; j0 += kWarp) {
    const bool own = j0 + lane < seen.end && see(i, j0 + lane);
    const T weight = own ? fn::exp(score(j0 + lane) - shift) : T(0);
    const unsigned all = __ballot_sync(kFull, own);
    for (int from = 0; from < kWarp; ++from) {
      if (!(all >> from & 1)) continue;
      const T e = shuffle(weight, from);
      sum += e;
      for (int c = 0; c < kColumns; ++c)
        if (const int64_t column = first + c * kWarp + lane; column < a.dv)
          o[c] += e * values[(j0 + from) * a.v_strides[2] + column];
    }
  }
  const T scale = sum == 0 ? T(0) : T(1) / sum;
  for (int c = 0; c < kColumns; ++c)
    if (const int64_t column = first + c * kWarp + lane; column < a.dv) out[row * a.dv + column] = o[c] * scale;
  if (lane == 0 && first == 0) lse[row] = fn::online_lse(fn::Online<T>{top, sum});
}

}  // namespace

void listed_attention(const AttentionArgs& a, void* out, void* lse, const void* q, const void* k, const void* v) {
  const int64_t rows = ceil_div(a.batch * a.heads * a.nq, kWarps), columns = ceil_div(a.dv, kColumns * kWarp);
  visit_float(a.dtype, [&]<class T>() {
    launch("attention", attention_kernel<T>, dim3(unsigned(rows), unsigned(columns > 0 ? columns : 1)),
           dim3(kWarps * kWarp), 0, a, static_cast<T*>(out), static_cast<T*>(lse), static_cast<const T*>(q),
           static_cast<const T*>(k), static_cast<const T*>(v));
  });
}

}  // namespace ink::cuda
