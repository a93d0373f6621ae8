// FlashAttention, backward: the weights are computed again tile by tile from the saved log-sum-exps. Dao et al. 2022,
// algorithm 4; with P and Z as in autograd/ops/attention/attention.cpp and D_i = sum_c g_ic out_ic - h_i:
//
//   dV += (P o Z)^T g,   dS = P o ((g V^T) o Z - D) scale,   dQ += dS K,   dK += dS^T Q
//
// A piece of work is one key head of one batch entry, or some of its query blocks with sums of their own, which are
// then added in a fixed order: no two threads write to one place, and the result has the same bits every time.
#include "tensor/cpu/attention/attention.h"
#include "tensor/cpu/table.h"

namespace ink::INK_CPU_LEVEL {
namespace {

template <class T> struct Backward {
  const AttentionArgs& a;
  const TurnedTiles& turned;
  T* dq;
  const T *dout, *dlse;
  const void *q, *k, *v;
  const T *out, *lse;

  // Rows of what is summed, in whole packs.
  int64_t key_width() const { return whole_packs<T>(a.d); }
  int64_t value_width() const { return whole_packs<T>(a.dv); }

  // One block of queries against all keys; adds to dk [nk, key_width] and dv [nk, value_width].
  void block(int64_t batch, int64_t head, int64_t i0, T* dk, T* dv) const {
    const int64_t kv = head / (a.heads / a.kv_heads), matrix = batch * a.heads + head, step = key_block(a);
    const T *queries = part_of<T>(q, a.q_strides, batch, head) + i0 * a.q_strides[2],
            *keys = part_of<T>(k, a.k_strides, batch, kv), *values = part_of<T>(v, a.v_strides, batch, kv);
    const T *g = dout + (matrix * a.nq + i0) * a.dv, *o = out + (matrix * a.nq + i0) * a.dv;
    const Visible see(a, batch, head);
    Tile t{i0, least(query_block(a), a.nq - i0), 0, 0, 0};
    t.width = whole_packs<T>(t.queries);
    const int64_t most = t.width * step, wide = key_width();
    Scratch<T> query(a.d * t.width), gradient(a.dv * t.width), rows(2 * t.width), dquery(t.queries * wide);
    Scratch<T> score(most), dscore(most), slope(a.softcap > 0 ? most : 0), factor(a.dropout > 0 ? most : 0);
    Scratch<uint8_t> seen(most);
    const WholeRows<T> query_rows(queries, a.q_strides[2], t.queries, a.d), gradient_rows(g, a.dv, t.queries, a.dv);
    T *shift = rows.data(), *inner = shift + t.width, *p = score.data(), *ds = dscore.data();
    const Scores<T> scores{.a = a,
                           .head = head,
                           .see = see,
                           .turned = turned,
                           .query = query.data(),
                           .score = p,
                           .cap_slope = slope.data(),
                           .seen = seen.data()};
    const TileArrays arrays{p, ds, slope.data(), factor.data(), shift, inner};

    turned_queries(query.data(), a, queries, t);
    transpose(gradient.data(), t.width, g, a.dv, t.queries, a.dv, true);
    for (int64_t i = 0; i < t.width; ++i) shift[i] = inner[i] = 0;
    for (int64_t i = 0; i < t.queries; ++i) {
      const int64_t row = matrix * a.nq + i0 + i;
      shift[i] = lse[row];
      inner[i] = T(row_sum(
                     a.dv, [](Lanes<T> x, Lanes<T> y) { return x * y; }, g + i * a.dv, o + i * a.dv)) -  // (4.11)
                 (dlse ? dlse[row] : T(0));
    }
    for (int64_t i = 0; i < t.queries * wide; ++i) dquery[i] = 0;

    for (t.j0 = 0; t.j0 < a.nk; t.j0 += step) {
      t.keys = least(step, a.nk - t.j0);
      const Seen shown = seen_of(see, t);
      if (shown == Seen::none) continue;
      const T *key = keys + t.j0 * a.k_strides[2], *value = values + t.j0 * a.v_strides[2];
      scores.compute(t, key, shown);
      tile_product<T, false>(t.keys, t.width, a.dv, {value, a.v_strides[2], 1}, {gradient.data(), t.width},
                             {ds, t.width});
      if (a.dropout > 0) dropout_factors(factor.data(), a, t, matrix);
      weights_and_gradients(arrays, t);
      if (shown == Seen::some) hide_gradients(p, ds, seen.data(), t);

      add_product(Seen::all, t.keys, t.queries, {p, t.width, 1}, gradient_rows, dv + t.j0 * value_width());  // (4.10)
      add_product(Seen::all, t.keys, t.queries, {ds, t.width, 1}, query_rows, dk + t.j0 * wide);             // (4.13)
      add_product(shown, t.queries, t.keys, {ds, 1, t.width}, WholeRows<T>(key, a.k_strides[2], t.keys, a.d),
                  dquery.data());
    }
    for (int64_t i = 0; i < t.queries; ++i)
      row_map(
          a.d, dq + (matrix * a.nq + i0 + i) * a.d, [](Lanes<T> x) { return x; }, dquery.data() + i * wide);
  }

  struct TileArrays {
    T *p, *ds;                    // [keys][width]: scores become P o Z, and g V^T becomes dS
    const T *cap_slope, *factor;  // the same: the derivative of the soft cap, and Z
    const T *shift, *inner;       // [width]: the log-sum-exp of each query, and its D
  };
  void weights_and_gradients(const TileArrays& x, const Tile& t) const {
    using P = Lanes<T>;
    const P scale(T(a.scale));
    for (int64_t i = 0; i < t.width; i += kLanes<T>) {
      const P lse = P::load(x.shift + i), d = P::load(x.inner + i);
      for (int64_t j = 0, at = i; j < t.keys; ++j, at += t.width) {
        P w = exp(P::load(x.p + at) - lse), dp = P::load(x.ds + at), dw = w * scale;  // (4.9)
        if (a.softcap > 0) dw *= P::load(x.cap_slope + at);
        if (a.dropout > 0) {
          const P z = P::load(x.factor + at);
          dp *= z;
          w *= z;
        }
        w.store(x.p + at);
        (dw * (dp - d)).store(x.ds + at);  // (4.12)
      }
    }
  }
  // Hidden pairs have weight 0 whatever was computed for them (e^{-inf + inf} in a row that sees nothing, NaN in a
  // hidden key).
  static void hide_gradients(T* p, T* ds, const uint8_t* seen, const Tile& t) {
    hide(p, seen, t, T(0));
    hide(ds, seen, t, T(0));
  }
};

// Pieces per key head: so many that there are about 8 in all.
INK_INLINE int64_t parts_of(const AttentionArgs& a, int64_t blocks) {
  const int64_t heads = a.batch * a.kv_heads;
  return heads >= 8 ? 1 : least(blocks, blocks_of(8, heads));
}

}  // namespace

void attention_backward(const AttentionArgs& a, const AttentionBackwardArrays& x) {
  visit_float(a.dtype, [&]<class T>() {
    const TurnedTiles turned(a);
    const Backward<T> backward{.a = a,
                               .turned = turned,
                               .dq = static_cast<T*>(x.dq),
                               .dout = static_cast<const T*>(x.dout),
                               .dlse = static_cast<const T*>(x.dlse),
                               .q = x.q,
                               .k = x.k,
                               .v = x.v,
                               .out = static_cast<const T*>(x.out),
                               .lse = static_cast<const T*>(x.lse)};
    const int64_t size = query_block(a), blocks = blocks_of(a.nq, size), parts = parts_of(a, blocks),
                  group = a.heads / a.kv_heads;
    const int64_t key_sums = a.nk * backward.key_width(), value_sums = a.nk * backward.value_width(),
                  sums = key_sums + value_sums;
    Scratch<T> all(a.batch * a.kv_heads * parts * sums);
    parallel_for(a.batch * a.kv_heads * parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t piece = begin; piece < end; ++piece) {
        const int64_t kv_head = piece / parts, part = piece % parts;
        T* sum = all.data() + piece * sums;
        for (int64_t i = 0; i < sums; ++i) sum[i] = 0;
        for (int64_t h = 0; h < group; ++h)
          for (int64_t b = part; b < blocks; b += parts)
            backward.block(kv_head / a.kv_heads, kv_head % a.kv_heads * group + h, b * size, sum, sum + key_sums);
      }
    });
    auto collect = [&](void* to, int64_t width, int64_t wide, int64_t skip) {
      if (width == 0) return;
      parallel_for(a.batch * a.kv_heads * a.nk, 1 + 16384 / (wide * parts), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          const T* from = all.data() + r / a.nk * parts * sums + skip + r % a.nk * wide;
          T* y = static_cast<T*>(to) + r * width;
          row_map(
              width, y, [](Lanes<T> x) { return x; }, from);
          for (int64_t p = 1; p < parts; ++p)
            row_map(
                width, y, [](Lanes<T> x, Lanes<T> more) { return x + more; }, y, from + p * sums);
        }
      });
    };
    collect(x.dk, a.d, backward.key_width(), 0);
    collect(x.dv, a.dv, backward.value_width(), key_sums);
  });
}

}  // namespace ink::INK_CPU_LEVEL
