// Attention in which a query depends on nothing but itself and the keys and values that it sees: each query makes a
// list of them and works along the list, by the formula as it stands,
//
//   s_t = cap(scale q . k_t) - slope |distance|,   m = max s,   e_t = e^{s_t - m},   o = sum e_t v_t / sum e_t.
//
// Every sum is taken in an order that follows from the length of the list. So hidden keys, whatever they hold, the
// other queries and the batch change no bit of the result.
#include "tensor/cpu/attention/attention.h"
#include "tensor/cpu/product/dots.h"

namespace ink::INK_CPU_LEVEL {
namespace {

// The keys that query i sees, in order; returns how many.
int64_t list_keys(const Visible& see, int64_t i, int64_t nk, int64_t* list) {
  const int64_t begin = within(i + see.low, 0, nk), end = within(i + see.high + 1, begin, nk);
  int64_t n = 0;
  if (!see.mask && !see.tiles)
    for (int64_t j = begin; j < end; ++j) list[n++] = j;
  else if (!see.tiles)
    for (int64_t j = begin; j < end; ++j) list[n] = j, n += see.mask[i * see.mask_row + j * see.mask_col];
  else
    for (int64_t j = begin; j < end; ++j) list[n] = j, n += see(i, j);
  return n;
}

// Rows x[list[t] * row .. ] with weights w[t]: their sum, for V packs of columns. The rows at t % 4 = 0, 1, 2, 3 have a
// sum each, so that an addition need not wait for the one before.
template <class T, int V, class Count>
INK_INLINE void weighted_rows(int64_t n, const int64_t* list, const T* w, const T* x, int64_t row, T scale, T* out,
                              Count lanes) {
  constexpr int kSums = 4;
  Lanes<T> sum[kSums][V];
  for (int s = 0; s < kSums; ++s)
    for (int v = 0; v < V; ++v) sum[s][v] = Lanes<T>(T(0));
  const auto add = [&](Lanes<T>* to, int64_t t) {
    const Lanes<T> weight(w[t]);
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) to[v] = muladd(weight, load(x + list[t] * row + v * kLanes<T>, lanes), to[v]);
  };
  int64_t t = 0;
  for (; t + kSums <= n; t += kSums) {
#pragma GCC unroll 4
    for (int s = 0; s < kSums; ++s) add(sum[s], t + s);
  }
  for (; t < n; ++t) add(sum[0], t);
  for (int v = 0; v < V; ++v)
    store(out + v * kLanes<T>, ((sum[0][v] + sum[1][v]) + (sum[2][v] + sum[3][v])) * Lanes<T>(scale), lanes);
}

#if defined(INK_CPU_LEVEL_v4)
inline constexpr int kValuePacks = 4;  // 16 sums, 1 weight, 1 of the values: 18 of 32 registers
#else
inline constexpr int kValuePacks = 2;  // 8 + 1 + 1 of 16
#endif

// Working memory for one query after another.
template <class T> struct ListedAttention {
  const AttentionArgs& a;
  T *out, *lse;
  const void *q, *k, *v;
  static constexpr int kKeys = kTileColumns<1>;
  Scratch<int64_t> list;
  Scratch<T> query, score;

  ListedAttention(const AttentionArgs& a, void* out, void* lse, const void* q, const void* k, const void* v)
      : a(a),
        out(static_cast<T*>(out)),
        lse(static_cast<T*>(lse)),
        q(q),
        k(k),
        v(v),
        list(a.nk + 1),
        query(a.d),
        score(a.nk + kKeys) {}

  // The scores of query i with the first n keys of the list.
  void scores(int64_t i, int64_t head, int64_t n, const T* from, const T* keys) const {
    row_map(
        a.d, query.data(), [c = Lanes<T>(T(a.scale))](Lanes<T> x) { return x * c; }, from);
    const T* left = query.data();
    for (int64_t t = 0; t < n; t += kKeys) {
      const T* right[kKeys];
      for (int j = 0; j < kKeys; ++j) right[j] = keys + list[least(t + j, n - 1)] * a.k_strides[2];
      dots<T, 1, kKeys>(a.d, &left, right, score.data() + t);
    }
    if (a.softcap > 0)
      row_map(
          n, score.data(),
          [c = Lanes<T>(T(a.softcap)), inverse = Lanes<T>(T(1 / a.softcap))](Lanes<T> s) {
            return c * tanh(s * inverse);
          },
          score.data());
    if (a.slopes)
      for (int64_t t = 0; t < n; ++t) score[t] -= slope_of<T>(a, head) * abs(T(list[t] - i - a.diagonal));
  }

  // Row `row` of [batch, heads, nq].
  void compute(int64_t row) const {
    const int64_t i = row % a.nq, head = row / a.nq % a.heads, batch = row / a.nq / a.heads,
                  kv = head / (a.heads / a.kv_heads);
    const int64_t n = list_keys(Visible(a, batch, head), i, a.nk, list.data());
    T *s = score.data(), *to = out + row * a.dv;
    scores(i, head, n, part_of<T>(q, a.q_strides, batch, head) + i * a.q_strides[2],
           part_of<T>(k, a.k_strides, batch, kv));
    const T m = row_max(n, s);
    const T l = T(row_map_sum(
        n, s, [shift = Lanes<T>(fn::online_shift(m))](Lanes<T> x) { return exp(x - shift); }, s));
    lse[row] = fn::online_lse(fn::Online<T>{m, l});
    const T scale = l == T(0) ? T(0) : T(1) / l;
    const T* values = part_of<T>(v, a.v_strides, batch, kv);
    constexpr int64_t L = kLanes<T>;
    const auto columns = [&]<int V>(int64_t c, auto lanes) {
      weighted_rows<T, V>(n, list.data(), s, values + c, a.v_strides[2], scale, to + c, lanes);
    };
    int64_t c = 0;
    for (; c + kValuePacks * L <= a.dv; c += kValuePacks * L) columns.template operator()<kValuePacks>(c, AllLanes{});
    for (; c + 2 * L <= a.dv; c += 2 * L) columns.template operator()<2>(c, AllLanes{});
    for (; c < a.dv; c += L) columns.template operator()<1>(c, least(L, a.dv - c));
  }
};

}  // namespace

void listed_attention(const AttentionArgs& a, void* out, void* lse, const void* q, const void* k, const void* v) {
  visit_float(a.dtype, [&]<class T>() {
    const int64_t one = a.nk * (a.d + a.dv) + 1;  // multiply-adds of a query
    parallel_for(a.batch * a.heads * a.nq, 1 + 96000 / one, [&](int64_t begin, int64_t end) {
      const ListedAttention<T> attention(a, out, lse, q, k, v);
      for (int64_t row = begin; row < end; ++row) attention.compute(row);
    });
  });
}

}  // namespace ink::INK_CPU_LEVEL
