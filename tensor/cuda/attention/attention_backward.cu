// The gradient of attention. The weights P are computed again tile by tile from the saved log-sum-exps; with the
// dropout mask Z over 1 - p, and D_i = sum_c dO_ic O_ic - dlse_i (Dao et al. 2022, algorithm 4):
//
//   dV = (P o Z)^T dO,   dS = P o ((dO V^T) o Z - D),   dQ = scale dS K,   dK = scale dS^T Q
//
// Each result is one launch of the same kernel: a block owns 64 rows of it, of queries for dQ, of keys for dK and dV,
// and walks along the others. Nothing is added by atomics, so the bits are the same every time; the price is that
// scores are computed three times. Here a tile's rows are always what the block owns and its columns the others.
#include "tensor/cuda/attention/attention_half.h"
#include "tensor/cuda/attention/attention_tile.h"

namespace ink::cuda {
namespace {

enum class Gradient { dq, dk, dv };

template <class T> struct Operands { const T *dout, *q, *k, *v, *lse, *deltas; };

// A warp per row: D of it.
template <class T>
__global__ void __launch_bounds__(256)
    attention_deltas(T* deltas, const T* dout, const T* out, const T* dlse, const int64_t rows, const int64_t n) {
  const int64_t row = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) / kWarp;
  const int lane = int(threadIdx.x) % kWarp;
  T sum = 0;
  for (int64_t c = lane; c < n && row < rows; c += kWarp) sum = fn::fma(dout[row * n + c], out[row * n + c], sum);
  sum = warp_sum(sum);
  if (lane == 0 && row < rows) deltas[row] = dlse ? sum - dlse[row] : sum;
}

template <class T>
void run_deltas(const AttentionArgs& a, T* deltas, const void* dout, const void* out, const void* dlse) {
  const int64_t rows = a.batch * a.heads * a.nq;
  launch("attention_backward", attention_deltas<T>, dim3(unsigned(ceil_div(rows, 256 / kWarp))), dim3(256), 0, deltas,
         static_cast<const T*>(dout), static_cast<const T*>(out), static_cast<const T*>(dlse), rows, a.dv);
}

// sum += the part of a tile: `own` rows of queries (dq) or keys, `other` rows of the others.
template <class T, int kCols> struct Walk {
  const AttentionArgs& a;
  const Operands<T>& x;
  const Gradient what;
  const TileMemory<T, kCols> memory;
  const TileWork<kCols> work;
  T sum[kOwn][kOwn * kCols] = {};

  __device__ __forceinline__ Walk(const AttentionArgs& a, const Operands<T>& x, Gradient what)
      : a(a), x(x), what(what), work(what == Gradient::dq ? a.nq : a.nk, what == Gradient::dv ? a.dv : a.d) {}

  __device__ __forceinline__ void head(int64_t matrix) {
    const Head head(a, matrix);
    const Visible see(a, head.batch, head.head);
    const int64_t first = work.first_row, end = first + kTile < own_count() ? first + kTile : own_count();
    const Reach others = what == Gradient::dq ? reach_of_queries(see, first, end, a.nk, kTile)
                                              : reach_of_keys(see, first, end, a.nq, kTile);
    for (int64_t other = others.begin; other < others.end; other += kTile) tile(head, see, other);
  }
  __device__ __forceinline__ int64_t own_count() const { return what == Gradient::dq ? a.nq : a.nk; }

  __device__ __forceinline__ void tile(const Head& head, const Visible& see, int64_t other) {
    const bool by_query = what == Gradient::dq;
    const int64_t i0 = by_query ? work.first_row : other, j0 = by_query ? other : work.first_row;
    const Factor<T> queries = rows_from(head.queries(a, x.q), a.q_strides[2], i0, a.nq);
    const Factor<T> keys = rows_from(head.keys(a, x.k), a.k_strides[2], j0, a.nk);
    const Seen seen = seen_of(see, i0, i0 + queries.count, j0, j0 + keys.count);
    if (seen == Seen::none) return;
    const Factor<T> values = rows_from(head.values(a, x.v), a.v_strides[2], j0, a.nk);
    const Factor<T> grads = rows_from(x.dout + head.matrix * a.nq * a.dv, a.dv, i0, a.nq);
    T products[kOwn][kOwn];
    tile_product(products, memory, by_query ? queries : keys, by_query ? keys : queries, a.d);
    store_weights(memory, products);
    // Until the barrier in add_weighted a thread reads and changes only what it has stored itself.
    const auto own = [&](int r, int c) -> T& {
      return memory.weights_of(own_columns() + c, int(threadIdx.x) / kSide)[r];
    };
    const auto query = [&](int r, int c) { return by_query ? own_rows() + r : own_columns() + c; };
    const auto key = [&](int r, int c) { return by_query ? own_columns() + c : own_rows() + r; };
    const T *lse = x.lse + head.matrix * a.nq + i0, *deltas = x.deltas + head.matrix * a.nq + i0;
    const Score<T> score(a, head.head);
    const Dropout dropout(a);
    const T distance = T(j0 - i0 - a.diagonal), scale = T(dropout.scale);
    unsigned dropped = 0;
    if (dropout.on) {
      const int64_t row0 = head.matrix * a.nq + i0;  // of all queries
      dropped = dropped_of(dropout, by_query ? row0 : j0, by_query ? j0 : row0, a.nk, by_query);
    }
    INK_KEEP_LOOP
    for (int r = 0; r < kOwn; ++r) {
      INK_UNROLL
      for (int c = 0; c < kOwn; ++c) {
        const int i = query(r, c), j = key(r, c);
        const bool shown = i < queries.count && j < keys.count && (seen == Seen::all || see(i0 + i, j0 + j));
        T rate;
        const T s = score(own(r, c), distance + T(j - i), rate);
        if (what == Gradient::dv) rate = has_bit(dropped, r, c) ? T(0) : scale;
        own(r, c) = shown ? fn::exp(s - lse[i]) * rate : T(0);
      }
    }
    if (what != Gradient::dv) {
      tile_product(products, memory, by_query ? grads : values, by_query ? values : grads, a.dv);
      INK_UNROLL
      for (int r = 0; r < kOwn; ++r) {
        INK_UNROLL
        for (int c = 0; c < kOwn; ++c) {
          const T dp = has_bit(dropped, r, c) ? T(0) : products[r][c] * scale;
          if (own(r, c) != 0) own(r, c) *= dp - deltas[query(r, c)];  // what is hidden stays 0, whatever its product is
        }
      }
    }
    add_weighted(sum, memory, by_query ? queries.count : keys.count,
                 by_query               ? keys
                 : what == Gradient::dk ? queries
                                        : grads,
                 {work.first_col, what == Gradient::dv ? a.dv : a.d}, seen == Seen::some);
  }
};

template <class T, int kCols>
__global__ void __launch_bounds__(kTileThreads, kTileBlocks<T>)
    attention_backward_kernel(const AttentionArgs a, const Operands<T> x, const Gradient what, T* result) {
  Walk<T, kCols> walk(a, x, what);
  const int64_t matrix = walk.work.matrix, group = what == Gradient::dq ? 1 : a.heads / a.kv_heads;
  INK_KEEP_LOOP
  for (int64_t h = 0; h < group; ++h) walk.head(matrix * group + h);  // the query heads of a key head, in order

  const int64_t first = walk.work.first_row, rows = walk.own_count(), cols = what == Gradient::dv ? a.dv : a.d;
  const T one[kOwn] = {T(1), T(1), T(1), T(1)};
  store_rows<T, kCols>(result + (matrix * rows + first) * cols, walk.sum,
                       int(rows - first < kTile ? rows - first : kTile), walk.work.first_col, cols, one);
}

template <class T> void run(const AttentionArgs& a, const Operands<T>& x, Gradient what, void* result) {
  const int64_t cols = what == Gradient::dv ? a.dv : a.d, rows = what == Gradient::dq ? a.nq : a.nk;
  const int64_t matrices = a.batch * (what == Gradient::dq ? a.heads : a.kv_heads);
  if (cols == 0) return;
  const auto start = [&]<int kCols>() {
    launch("attention_backward", attention_backward_kernel<T, kCols>,
           dim3(unsigned(TileWork<kCols>::count(rows, cols, matrices))), dim3(kTileThreads),
           TileMemory<T, kCols>::bytes(), a, x, what, static_cast<T*>(result));
  };
  if (cols <= kTile)
    start.template operator()<1>();
  else
    start.template operator()<2>();
}

void backward_halves(const AttentionArgs& a, const AttentionBackwardArrays& x) {
  if (attention_mma_backward(a, x)) return;
  const Shape shape{a.batch, a.heads, a.nq, a.dv}, strides{a.heads * a.nq * a.dv, a.nq * a.dv, a.dv, 1};
  const AsFloats f(a, x.q, x.k, x.v);
  const Floats g(x.dout, a.dtype, shape, strides), o(x.out, a.dtype, shape, strides);
  const Floats rows(a.batch * a.heads * a.nq * a.d), keys(a.batch * a.kv_heads * a.nk * a.d),
      values(a.batch * a.kv_heads * a.nk * a.dv);
  attention_backward(f.args, {.dq = rows.data(),
                              .dk = keys.data(),
                              .dv = values.data(),
                              .dout = g.data(),
                              .dlse = x.dlse,
                              .q = f.q.data(),
                              .k = f.k.data(),
                              .v = f.v.data(),
                              .out = o.data(),
                              .lse = x.lse});
  rows.to(x.dq, a.dtype), keys.to(x.dk, a.dtype), values.to(x.dv, a.dtype);
}

}  // namespace

void attention_backward(const AttentionArgs& a, const AttentionBackwardArrays& x) {
  if (a.batch * a.heads == 0) return;
  if (is_half(a.dtype)) return backward_halves(a, x);
  visit_float(a.dtype, [&]<class T>() {
    const Scratch<T> deltas(a.batch * a.heads * a.nq);
    run_deltas<T>(a, deltas.data(), x.dout, x.out, x.dlse);
    const Operands<T> typed{static_cast<const T*>(x.dout), static_cast<const T*>(x.q),   static_cast<const T*>(x.k),
                            static_cast<const T*>(x.v),    static_cast<const T*>(x.lse), deltas.data()};
    run(a, typed, Gradient::dq, x.dq);
    run(a, typed, Gradient::dk, x.dk);
    run(a, typed, Gradient::dv, x.dv);
  });
}

}  // namespace ink::cuda
