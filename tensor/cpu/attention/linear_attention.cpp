// Causal linear attention, o_i = sum_{j <= i} e^{decay_i - decay_j} (q_i . k_j) v_j, in chunks: inside a chunk by the
// definition, across chunks through the state S = sum_j e^{r - decay_j} k_j v_j^T of all that came before (r: the decay
// at the last row of it). Time n (chunk (d + dv) + 2 d dv), memory d dv. Hua et al. 2022, section 3.2; Yang et al.
// 2024, section 2.2. Exponents are differences of decays in the order in which time runs: at most 0 where decays fall,
// so nothing overflows.
#include "tensor/cpu/attention/tile_product.h"
#include "tensor/cpu/elementwise/transpose.h"
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

constexpr int64_t kChunk = 64;

template <class T> struct Line {  // one batch entry, columns c0 .. c0 + columns of v
  const LinearAttentionArgs& a;
  const T *q, *k, *v, *decay;  // decay may be null
  T* out;
  int64_t columns, wide;  // wide: in whole packs
  Scratch<T> state, query, score, scaled, o;

  Line(const LinearAttentionArgs& a, int64_t columns)
      : a(a),
        columns(columns),
        wide(whole_packs<T>(columns)),
        state(a.d * wide),
        query(a.d * whole_packs<T>(kChunk)),
        score(kChunk * whole_packs<T>(kChunk)),
        scaled(kChunk * a.d),
        o(kChunk * wide) {}

  void run() {
    for (int64_t i = 0; i < a.d * wide; ++i) state[i] = 0;
    const int64_t chunks = (a.n + kChunk - 1) / kChunk;
    T reference = 0;
    for (int64_t c = 0; c < chunks; ++c) chunk((a.reverse ? chunks - 1 - c : c) * kChunk, c == 0, reference);
  }

  T weight(T from, T to) const { return T(exp(double(to) - double(from))); }

  void chunk(int64_t first, bool begin, T& reference) {
    const int64_t rows = a.n - first < kChunk ? a.n - first : kChunk, width = whole_packs<T>(rows);
    const T *qs = q + first * a.d, *ks = k + first * a.d, *g = decay ? decay + first : nullptr;
    // scores^T [key][query], queries in lanes
    transpose(query.data(), width, qs, a.d, rows, a.d, true);
    tile_product<T, false>(rows, width, a.d, {ks, a.d, 1}, {query.data(), width}, {score.data(), width});
    for (int64_t j = 0; j < rows; ++j)
      for (int64_t i = 0; i < rows; ++i) {
        T& s = score[j * width + i];
        if (a.reverse ? j < i : j > i)
          s = 0;
        else if (g)
          s *= weight(g[j], g[i]);
      }
    const WholeRows<T> values(v + first * a.dv, a.dv, rows, columns);
    tile_product<T, false>(rows, wide, rows, {score.data(), 1, width}, values.rows(), {o.data(), wide});
    // what came before
    if (!begin) {
      const T* from = qs;
      if (g) from = scale_rows(qs, rows, [&](int64_t i) { return weight(reference, g[i]); });
      tile_product<T, true>(rows, wide, a.d, {from, a.d, 1}, {state.data(), wide}, {o.data(), wide});
    }
    for (int64_t i = 0; i < rows; ++i)
      row_map(
          columns, out + (first + i) * a.dv, [](Lanes<T> x) { return x; }, o.data() + i * wide);
    // S and its reference move on to the end of this chunk
    const T* from = ks;
    if (g) {
      const T end = g[a.reverse ? 0 : rows - 1];
      if (!begin)
        row_map(
            a.d * wide, state.data(), [c = Lanes<T>(weight(reference, end))](Lanes<T> x) { return x * c; },
            state.data());
      from = scale_rows(ks, rows, [&](int64_t j) { return weight(g[j], end); });
      reference = end;
    }
    tile_product<T, true>(a.d, wide, rows, {from, 1, a.d}, values.rows(), {state.data(), wide});
  }

  template <class F> const T* scale_rows(const T* from, int64_t rows, F factor) {  // in `scaled`
    for (int64_t r = 0; r < rows; ++r)
      row_map(
          a.d, scaled.data() + r * a.d, [c = Lanes<T>(factor(r))](Lanes<T> x) { return x * c; }, from + r * a.d);
    return scaled.data();
  }
};

}  // namespace

void linear_attention(const LinearAttentionArgs& a, void* out, const void* q, const void* k, const void* v,
                      const void* decay) {
  visit_float(a.dtype, [&]<class T>() {
    // Few batch entries are cut along dv, in whole packs.
    const int64_t packs = whole_packs<T>(a.dv) / kLanes<T>, slices = a.batch >= 8 ? 1
                                                                     : packs < 4  ? 1
                                                                     : packs < 8  ? 2
                                                                                  : 4;
    const int64_t size = (packs + slices - 1) / slices * kLanes<T>;
    parallel_for(a.batch * slices, 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        const int64_t entry = p / slices, c0 = p % slices * size, columns = a.dv - c0 < size ? a.dv - c0 : size;
        if (columns <= 0) continue;
        Line<T> line(a, columns);
        line.q = static_cast<const T*>(q) + entry * a.n * a.d;
        line.k = static_cast<const T*>(k) + entry * a.n * a.d;
        line.v = static_cast<const T*>(v) + entry * a.n * a.dv + c0;
        line.decay = decay ? static_cast<const T*>(decay) + entry * a.n : nullptr;
        line.out = static_cast<T*>(out) + entry * a.n * a.dv + c0;
        line.run();
      }
    });
  });
}

}  // namespace ink::INK_CPU_LEVEL
