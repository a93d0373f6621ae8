// Attention, forward: a block of 64 queries walks along the keys, 64 at a time, and keeps the running maximum m, the
// running sum l and the running output o of each query (tensor/math/online.h; Dao 2023, algorithm 1). Tiles of which no
// query sees a key are passed over. f32 and f64; f16 and bf16 go to tensor cores, or, where those cannot take them, are
// converted to f32.
#include "tensor/cuda/attention/attention_half.h"
#include "tensor/cuda/attention/attention_tile.h"
#include "tensor/math/online.h"

namespace ink::cuda {
namespace {

template <class T, int kCols>
__global__ void __launch_bounds__(kTileThreads, kTileBlocks<T>)
    attention_kernel(const AttentionArgs a, T* out, T* lse, const T* q, const T* k, const T* v) {
  const TileMemory<T, kCols> memory;
  const TileWork<kCols> work(a.nq, a.dv);
  const Head head(a, work.matrix);
  const Visible see(a, head.batch, head.head);
  const Score<T> score(a, head.head);
  const Dropout dropout(a);
  const Factor<T> queries = rows_from(head.queries(a, q), a.q_strides[2], work.first_row, a.nq);
  const int64_t i0 = work.first_row, i1 = i0 + queries.count;

  fn::Online<T> state[kOwn];  // m of the whole row, l of this thread's keys
  T sum[kOwn][kOwn * kCols] = {};
  const Reach keys_seen = reach_of_queries(see, i0, i1, a.nk, kTile);
  for (int64_t j0 = keys_seen.begin; j0 < keys_seen.end; j0 += kTile) {
    const Factor<T> keys = rows_from(head.keys(a, k), a.k_strides[2], j0, a.nk);
    const Seen seen = seen_of(see, i0, i1, j0, j0 + keys.count);
    if (seen == Seen::none) continue;
    T s[kOwn][kOwn];
    tile_product(s, memory, queries, keys, a.d);

    const unsigned shown = own_bits([&](int r, int c) {
      return r < queries.count && c < keys.count && (seen == Seen::all || see(i0 + r, j0 + c));
    });
    const T distance = T(j0 + own_columns() - i0 - own_rows() - a.diagonal);
    INK_UNROLL
    for (int r = 0; r < kOwn; ++r) {
      T top = state[r].m, rate;
      INK_UNROLL
      for (int c = 0; c < kOwn; ++c) {
        s[r][c] = has_bit(shown, r, c) ? score(s[r][c], distance + T(c - r), rate) : fn::lowest<T>();
        top = fn::max(top, s[r][c]);
      }
      top = warp_max(top, kSide);
      const T shift = fn::online_shift(top), rescale = fn::online_scale(state[r].m, top);
      state[r].m = top;
      state[r].l *= rescale;
      INK_UNROLL
      for (int c = 0; c < kOwn; ++c) {
        s[r][c] = fn::exp(s[r][c] - shift);
        state[r].l += s[r][c];
      }
      INK_UNROLL
      for (int c = 0; c < kOwn * kCols; ++c) sum[r][c] *= rescale;
    }
    if (dropout.on) {
      const unsigned dropped = dropped_of(dropout, head.matrix * a.nq + i0, j0, a.nk, true);
      INK_UNROLL
      for (int r = 0; r < kOwn; ++r) {
        INK_UNROLL
        for (int c = 0; c < kOwn; ++c)
          if (has_bit(dropped, r, c)) s[r][c] = 0;
      }
    }
    store_weights(memory, s);
    const Factor<T> values = rows_from(head.values(a, v), a.v_strides[2], j0, a.nk);
    add_weighted(sum, memory, queries.count, values, {work.first_col, a.dv}, seen == Seen::some);
  }

  T scale[kOwn];
  INK_UNROLL
  for (int r = 0; r < kOwn; ++r) {
    const fn::Online<T> whole{state[r].m, warp_sum(state[r].l, kSide)};
    scale[r] = whole.l == 0 ? T(0) : T(dropout.scale) / whole.l;
    const int64_t i = i0 + own_rows() + r;
    if (i < i1 && own_columns() == 0 && work.first_col == 0) lse[head.matrix * a.nq + i] = fn::online_lse(whole);
  }
  store_rows<T, kCols>(out + (head.matrix * a.nq + i0) * a.dv, sum, queries.count, work.first_col, a.dv, scale);
}

template <class T, int kCols>
void run(const AttentionArgs& a, void* out, void* lse, const void* q, const void* k, const void* v) {
  launch("attention", attention_kernel<T, kCols>, dim3(unsigned(TileWork<kCols>::count(a.nq, a.dv, a.batch * a.heads))),
         dim3(kTileThreads), TileMemory<T, kCols>::bytes(), a, static_cast<T*>(out), static_cast<T*>(lse),
         static_cast<const T*>(q), static_cast<const T*>(k), static_cast<const T*>(v));
}

}  // namespace

void attention(const AttentionArgs& a, void* out, void* lse, const void* q, const void* k, const void* v) {
  if (a.batch * a.heads * a.nq == 0) return;
  if (is_half(a.dtype)) {
    if (!a.batch_invariant && attention_mma(a, out, lse, q, k, v)) return;
    const AsFloats f(a, q, k, v);
    const Floats result(a.batch * a.heads * a.nq * a.dv);
    attention(f.args, result.data(), lse, f.q.data(), f.k.data(), f.v.data());
    return result.to(out, a.dtype);
  }
  if (a.batch_invariant) return listed_attention(a, out, lse, q, k, v);
  visit_float(a.dtype, [&]<class T>() {
    if (a.dv <= kTile)
      run<T, 1>(a, out, lse, q, k, v);
    else
      run<T, 2>(a, out, lse, q, k, v);
  });
}

}  // namespace ink::cuda
