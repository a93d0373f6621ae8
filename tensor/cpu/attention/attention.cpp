// FlashAttention, forward: a block of queries walks along the keys and keeps only the running maximum m, the running
// sum l and the running output o of each query (tensor/math/online.h). Dao 2023, algorithm 1; blocks of queries are
// independent pieces of work.
#include "tensor/cpu/attention/attention.h"

#include "tensor/cpu/table.h"

namespace ink::INK_CPU_LEVEL {
namespace {

// Takes a tile of scores into the states m, l of its queries: scores become e^{s - m}; scale[i] is what o must be
// multiplied by.
template <class T> void absorb(T* s, T* m, T* l, T* scale, const Tile& t) {
  using P = Lanes<T>;
  for (int64_t i = 0; i < t.width; i += kLanes<T>) {
    const P before = P::load(m + i);
    P top = before, sum(T(0));
    for (int64_t j = 0; j < t.keys; ++j) {
      const P x = P::load(s + j * t.width + i);
      top = P(x.v > top.v ? x.v : top.v);  // NaN is passed over here and spoils the sum below
    }
    const P shift = fn::online_shift(top), rescale = fn::online_scale(before, top);
    for (int64_t j = 0; j < t.keys; ++j) {
      const P e = exp(P::load(s + j * t.width + i) - shift);  // (4.6)
      e.store(s + j * t.width + i);
      sum += e;
    }
    top.store(m + i);
    (P::load(l + i) * rescale + sum).store(l + i);  // (4.6)
    rescale.store(scale + i);
  }
}

// The forward pass; block() computes one block of queries of one batch entry and head.
template <class T> struct Forward {
  const AttentionArgs& a;
  const TurnedTiles& turned;
  T *out, *lse;
  const void *q, *k, *v;

  void block(int64_t batch, int64_t head, int64_t i0) const {
    const int64_t kv = head / (a.heads / a.kv_heads), matrix = batch * a.heads + head, step = key_block(a);
    const T *queries = part_of<T>(q, a.q_strides, batch, head) + i0 * a.q_strides[2],
            *keys = part_of<T>(k, a.k_strides, batch, kv), *values = part_of<T>(v, a.v_strides, batch, kv);
    const Visible see(a, batch, head);
    Tile t{i0, least(query_block(a), a.nq - i0), 0, 0, 0};
    t.width = whole_packs<T>(t.queries);
    const int64_t wide = whole_packs<T>(a.dv), most = t.width * step;
    Scratch<T> query(a.d * t.width), score(most), factor(a.dropout > 0 ? most : 0), o(t.queries * wide),
        states(3 * t.width);
    Scratch<uint8_t> seen(most);
    T *m = states.data(), *l = m + t.width, *scale = l + t.width, *s = score.data();
    turned_queries(query.data(), a, queries, t);
    const Scores<T> scores{.a = a,
                           .head = head,
                           .see = see,
                           .turned = turned,
                           .query = query.data(),
                           .score = s,
                           .cap_slope = nullptr,
                           .seen = seen.data()};
    for (int64_t i = 0; i < t.width; ++i) m[i] = lowest<T>(), l[i] = 0;
    for (int64_t i = 0; i < t.queries * wide; ++i) o[i] = 0;

    for (t.j0 = 0; t.j0 < a.nk; t.j0 += step) {
      t.keys = least(step, a.nk - t.j0);
      const Seen shown = seen_of(see, t);
      if (shown == Seen::none) continue;
      scores.compute(t, keys + t.j0 * a.k_strides[2], shown);
      absorb(s, m, l, scale, t);
      for (int64_t i = 0; i < t.queries; ++i)
        if (scale[i] != T(1))
          row_map(
              wide, o.data() + i * wide, [c = Lanes<T>(scale[i])](Lanes<T> x) { return x * c; }, o.data() + i * wide);
      if (a.dropout > 0) {
        dropout_factors(factor.data(), a, t, matrix);
        row_map(
            t.keys * t.width, s, [](Lanes<T> p, Lanes<T> z) { return p * z; }, s, factor.data());
      }
      WholeRows<T> rows(values + t.j0 * a.v_strides[2], a.v_strides[2], t.keys, a.dv);
      add_product(shown, t.queries, t.keys, {s, 1, t.width}, rows, o.data());  // (4.6)
    }
    for (int64_t i = 0; i < t.queries; ++i) {
      const int64_t row = matrix * a.nq + i0 + i;
      const T inverse = l[i] == T(0) ? T(0) : T(1) / l[i];
      row_map(
          a.dv, out + row * a.dv, [c = Lanes<T>(inverse)](Lanes<T> x) { return x * c; }, o.data() + i * wide);
      lse[row] = fn::online_lse(fn::Online<T>{m[i], l[i]});  // (4.9)
    }
  }
};

}  // namespace

void attention(const AttentionArgs& a, void* out, void* lse, const void* q, const void* k, const void* v) {
  if (a.batch_invariant) return listed_attention(a, out, lse, q, k, v);
  const int64_t size = query_block(a), blocks = blocks_of(a.nq, size);
  visit_float(a.dtype, [&]<class T>() {
    const TurnedTiles turned(a);
    const Forward<T> forward{a, turned, static_cast<T*>(out), static_cast<T*>(lse), q, k, v};
    parallel_for(a.batch * a.heads * blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p)  // the longest rows of a causal mask first
        forward.block(p / blocks / a.heads, p / blocks % a.heads, (blocks - 1 - p % blocks) * size);
    });
  });
}

}  // namespace ink::INK_CPU_LEVEL
