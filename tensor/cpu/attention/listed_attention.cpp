// Attention in which a query depends on nothing but itself and the keys and values that it sees. It works along the
// list of those keys, by the formula as it stands,
//
//   s_t = cap(scale q . k_t) - slope |distance|,   m = max s,   e_t = e^{s_t - m},   o = sum e_t v_t / sum e_t,
//
// and every sum is taken in an order that follows from the length of the list. So hidden keys, whatever they hold, the
// other queries and the batch change no bit of the result.
//
// Four neighbouring queries are taken together where that changes no order: a score is a sum of its own, and what all
// four see of the values is loaded once.
#include "tensor/cpu/attention/attention.h"
#include "tensor/cpu/product/dots.h"

namespace ink::INK_CPU_LEVEL {
namespace {

inline constexpr int kQueries = 4;
#if defined(INK_CPU_LEVEL_v4)
inline constexpr int kValuePacks = 4;  // 16 sums, 1 of the values, 4 weights: 21 of 32 registers
#else
inline constexpr int kValuePacks = 2;  // 8 + 1 + 4 of 16
#endif

// The keys that any of some neighbouring queries sees, in order, and which of the queries see each.
struct KeyList {
  Scratch<int64_t> key;
  Scratch<uint8_t> seen;      // bit r: query i0 + r
  int64_t n = 0, common = 0;  // how many; so many of the first ones are seen by all
  uint8_t full = 0;

  explicit KeyList(int64_t most) : key(most + 1), seen(most + 1) {}

  INK_INLINE void add(int64_t j, int by) {
    key[n] = j, seen[n] = uint8_t(by);
    n += by != 0;
  }
  void fill(const Visible& see, int64_t i0, int rows, int64_t nk) {
    const int64_t last = i0 + rows - 1, begin = within(i0 + see.low, 0, nk),
                  end = within(last + see.high + 1, begin, nk);
    // between these two the diagonals hide nothing
    const int64_t open = within(last + see.low, begin, end), close = within(i0 + see.high + 1, open, end);
    const auto asked = [&](int64_t from, int64_t to) {
      for (int64_t j = from; j < to; ++j) {
        int by = 0;
        for (int r = 0; r < rows; ++r) by |= int(see(i0 + r, j)) << r;
        add(j, by);
      }
    };
    full = uint8_t((1 << rows) - 1), n = common = 0;
    asked(begin, open);
    if (see.tiles) {
      asked(open, close);
    } else if (see.mask) {
      const bool* row[kQueries];
      for (int r = 0; r < kQueries; ++r) row[r] = see.mask + (i0 + least(r, rows - 1)) * see.mask_row;
      for (int64_t j = open; j < close; ++j) {
        const int64_t at = j * see.mask_col;
        add(j, (row[0][at] | row[1][at] << 1 | row[2][at] << 2 | row[3][at] << 3) & full);
      }
    } else {
      for (int64_t j = open; j < close; ++j) key[n + j - open] = j, seen[n + j - open] = full;
      n += close - open;
    }
    asked(close, end);
    while (common < n && seen[common] == full) ++common;
  }
  // The part of `from` at the keys that query r sees, moved together to `to`; returns its length.
  template <class X> int64_t keep(int r, int64_t begin, int64_t end, const X* from, X* to) const {
    int64_t count = 0;
    for (int64_t t = begin; t < end; ++t) {
      to[count] = from[t];
      count += seen[t] >> r & 1;
    }
    return count;
  }
};

// o[r] += the sum over t < n of w[r][t] x[list[t]], one after the other, for M rows and V packs of columns.
template <class T, int M, int V, class Count>
INK_INLINE void add_rows(int64_t n, const int64_t* list, const T* const* w, const T* x, int64_t row, T* o, int64_t wide,
                         Count lanes) {
  constexpr int64_t L = kLanes<T>;
  Lanes<T> sum[M * V];
  repeat<M * V>([&](auto s) { sum[s] = Lanes<T>::load(o + s / V * wide + s % V * L); });
  for (int64_t t = 0; t < n; ++t) {
    const T* from = x + list[t] * row;
    Lanes<T> weight[M];
    repeat<M>([&](auto r) { weight[r] = Lanes<T>(w[r][t]); });
    repeat<V>([&](auto v) {
      const Lanes<T> value = load(from + v * L, lanes);
      repeat<M>([&](auto r) { sum[r * V + v] = muladd(weight[r], value, sum[r * V + v]); });
    });
  }
  repeat<M * V>([&](auto s) { sum[s].store(o + s / V * wide + s % V * L); });
}

// Working memory for one group of up to four queries after another.
template <class T> struct ListedAttention {
  const AttentionArgs& a;
  T *out, *lse;
  const void *q, *k, *v;
  int64_t wide, score_row;
  KeyList list;
  Scratch<int64_t> part;
  Scratch<T> query, score, o;

  ListedAttention(const AttentionArgs& a, void* out, void* lse, const void* q, const void* k, const void* v)
      : a(a),
        out(static_cast<T*>(out)),
        lse(static_cast<T*>(lse)),
        q(q),
        k(k),
        v(v),
        wide(whole_packs<T>(a.dv)),
        score_row(a.nk + 8),
        list(a.nk),
        part(a.nk + 1),
        query(kQueries * a.d),
        score(kQueries * score_row),
        o(kQueries * wide) {}

  // q . k of M queries and every key of the list. The last queries may be the same.
  template <int M> __attribute__((flatten)) void products(const T* keys, int rows) const {
    constexpr int J = kTileColumns<M>;
    const T* left[M];
    for (int r = 0; r < M; ++r) left[r] = query.data() + least(r, rows - 1) * a.d;
    for (int64_t t = 0; t < list.n; t += J) {
      const T* right[J];
      for (int j = 0; j < J; ++j) right[j] = keys + list.key[least(t + j, list.n - 1)] * a.k_strides[2];
      dots<T, M, J>(a.d, left, right,
                    [&](int r, int j, auto sums) { sums.store(score.data() + r * score_row + t + j); });
    }
  }
  // Query r of the group: its scores become e^{s - m}, moved together; returns 1 / their sum.
  T weigh(int r, int64_t row, int64_t head) const {
    T* s = score.data() + r * score_row;
    if (a.softcap > 0)
      row_map(
          list.n, s,
          [c = Lanes<T>(T(a.softcap)), inverse = Lanes<T>(T(1 / a.softcap))](Lanes<T> x) {
            return c * tanh(x * inverse);
          },
          s);
    if (a.slopes)
      for (int64_t t = 0; t < list.n; ++t) s[t] -= slope_of<T>(a, head) * abs(T(list.key[t] - row % a.nq - a.diagonal));
    const int64_t n = list.common + list.keep(r, list.common, list.n, s, s + list.common);
    const T m = row_max(n, s);
    const T l = T(row_map_sum(
        n, s, [shift = Lanes<T>(fn::online_shift(m))](Lanes<T> x) { return exp(x - shift); }, s));
    lse[row] = fn::online_lse(fn::Online<T>{m, l});
    return l == T(0) ? T(0) : T(1) / l;
  }
  // add_rows for all columns of the values.
  template <int M>
  __attribute__((flatten)) void add_values(int64_t n, const int64_t* keys, const T* const* w, const T* values,
                                           T* to) const {
    constexpr int64_t L = kLanes<T>;
    const int64_t row = a.v_strides[2];
    int64_t c = 0;
    for (; c + kValuePacks * L <= a.dv; c += kValuePacks * L)
      add_rows<T, M, kValuePacks>(n, keys, w, values + c, row, to + c, wide, AllLanes{});
    for (; c + 2 * L <= a.dv; c += 2 * L) add_rows<T, M, 2>(n, keys, w, values + c, row, to + c, wide, AllLanes{});
    for (; c + L <= a.dv; c += L) add_rows<T, M, 1>(n, keys, w, values + c, row, to + c, wide, AllLanes{});
    if (c < a.dv) add_rows<T, M, 1>(n, keys, w, values + c, row, to + c, wide, a.dv - c);
  }
  // o = sum e_t v_t for each query, along the list: stretches that all of them see in one go, others query by query.
  template <int M> void sum_values(int rows, const T* values) const {
    const T* w[M];
    for (int r = 0; r < M; ++r) w[r] = score.data() + least(r, rows - 1) * score_row;
    for (int64_t i = 0; i < kQueries * wide; ++i) o[i] = 0;
    for (int64_t t = 0, end; t < list.n; t = end) {
      const bool all = list.seen[t] == list.full;
      for (end = t + 1; end < list.n && (list.seen[end] == list.full) == all;) ++end;
      if (all) {
        add_values<M>(end - t, list.key.data() + t, w, values, o.data());
        for (int r = 0; r < M; ++r) w[r] += end - t;
        continue;
      }
      for (int r = 0; r < rows; ++r) {
        const int64_t n = list.keep(r, t, end, list.key.data(), part.data());
        add_values<1>(n, part.data(), w + r, values, o.data() + r * wide);
        w[r] += n;
      }
      for (int r = rows; r < M; ++r) w[r] = w[rows - 1];
    }
  }

  // Queries i0 .. i0 + rows of matrix [batch, head].
  template <int M> void compute(int64_t matrix, int64_t i0, int rows) {
    const int64_t batch = matrix / a.heads, head = matrix % a.heads, kv = head / (a.heads / a.kv_heads);
    list.fill(Visible(a, batch, head), i0, rows, a.nk);
    const T* from = part_of<T>(q, a.q_strides, batch, head);
    for (int r = 0; r < rows; ++r)
      row_map(
          a.d, query.data() + r * a.d, [c = Lanes<T>(T(a.scale))](Lanes<T> x) { return x * c; },
          from + (i0 + r) * a.q_strides[2]);
    products<M>(part_of<T>(k, a.k_strides, batch, kv), rows);
    T scale[kQueries];
    const int64_t row = matrix * a.nq + i0;
    for (int r = 0; r < rows; ++r) scale[r] = weigh(r, row + r, head);
    sum_values<M>(rows, part_of<T>(v, a.v_strides, batch, kv));
    for (int r = 0; r < rows; ++r)
      row_map(
          a.dv, out + (row + r) * a.dv, [c = Lanes<T>(scale[r])](Lanes<T> x) { return x * c; }, o.data() + r * wide);
  }
};

}  // namespace

void listed_attention(const AttentionArgs& a, void* out, void* lse, const void* q, const void* k, const void* v) {
  visit_float(a.dtype, [&]<class T>() {
    const int64_t groups = blocks_of(a.nq, kQueries), one = least(a.nq, kQueries) * a.nk * (a.d + a.dv) + 1;
    parallel_for(a.batch * a.heads * groups, 1 + 96000 / one, [&](int64_t begin, int64_t end) {
      ListedAttention<T> attention(a, out, lse, q, k, v);
      for (int64_t p = begin; p < end; ++p) {
        const int64_t i0 = p % groups * kQueries;
        const int rows = int(least(kQueries, a.nq - i0));
        if (rows == 1)
          attention.template compute<1>(p / groups, i0, rows);
        else if (rows == 2)
          attention.template compute<2>(p / groups, i0, rows);
        else
          attention.template compute<4>(p / groups, i0, rows);
      }
    });
  });
}

}  // namespace ink::INK_CPU_LEVEL
