// Compiled once per CPU level; see pack_level.h.
#include "tests/levels/pack_level.h"

#include "tensor/cpu/pack/pack_half.h"
#include "tensor/cpu/pack/pack_math.h"
#include "tensor/cpu/random/philox_pack.h"
#include "tensor/math/functors.h"

namespace ink::INK_CPU_LEVEL {

namespace {

template <class F> INK_INLINE F with_number() {
  F f{};
  if constexpr (requires { f.s = Scalar(2.5); }) f.s = Scalar(2.5);
  if constexpr (requires { f.slope = 0.1; }) f.slope = 0.1;
  if constexpr (requires { f.alpha = 1.5; }) f.alpha = 1.5;
  return f;
}
template <class F, class T> void pack_map(const T* x, T* y, int64_t n) {
  using P = Pack<T, kLanes<T>>;
  F f = with_number<F>();
  int64_t i = 0;
  for (; i + P::lanes <= n; i += P::lanes) P(f(P::load(x + i))).store(y + i);
  if (i < n) P(f(P::load(x + i, n - i))).store(y + i, n - i);
}
template <class F, class T> void pack_map2(const T* a, const T* b, T* y, int64_t n) {
  using P = Pack<T, kLanes<T>>;
  F f = with_number<F>();
  int64_t i = 0;
  for (; i + P::lanes <= n; i += P::lanes) P(f(P::load(a + i), P::load(b + i))).store(y + i);
  if (i < n) P(f(P::load(a + i, n - i), P::load(b + i, n - i))).store(y + i, n - i);
}
template <class F, class T> void scalar_map(const T* x, T* y, int64_t n) {
  F f = with_number<F>();
  for (int64_t i = 0; i < n; ++i) y[i] = T(f(x[i]));
}
template <class F, class T> void scalar_map2(const T* a, const T* b, T* y, int64_t n) {
  F f = with_number<F>();
  for (int64_t i = 0; i < n; ++i) y[i] = T(f(a[i], b[i]));
}

template <class F> inline constexpr bool on_packs = (F::domain & kFloat) && !std::is_same_v<F, fn::MakeComplex>;
template <class T, class F> UnaryPair<T> unary_pair() {
  if constexpr (on_packs<F>) return {pack_map<F, T>, scalar_map<F, T>};
  return {};
}
template <class T, class F> BinaryPair<T> binary_pair() {
  if constexpr (on_packs<F>) return {pack_map2<F, T>, scalar_map2<F, T>};
  return {};
}
template <class T, class... F> UnaryPair<T> unary_of(int i, List<F...>) {
  const UnaryPair<T> table[] = {unary_pair<T, F>()...};
  return table[i];
}
template <class T, class... F> BinaryPair<T> binary_of(int i, List<F...>) {
  const BinaryPair<T> table[] = {binary_pair<T, F>()...};
  return table[i];
}

struct Halves {
  template <class S> static void decode_all(const S* x, float* y, int64_t n) {  // decode a pack at a time
    using P = Pack<float, kLanes<float>>;
    int64_t i = 0;
    for (; i + P::lanes <= n; i += P::lanes) load<P>(x + i).store(y + i);
    if (i < n) load<P>(x + i, n - i).store(y + i, n - i);
  }
  template <class S> static void encode_all(const float* x, S* y, int64_t n) {
    using P = Pack<float, kLanes<float>>;
    int64_t i = 0;
    for (; i + P::lanes <= n; i += P::lanes) store(y + i, P::load(x + i));
    if (i < n) store(y + i, P::load(x + i, n - i), n - i);
  }
};

// Lanes and memory: what a pack moves, each result written out for the test to look at.
template <class T> struct Lanes {
  using P = Pack<T, kLanes<T>>;
  static void gather(const T* x, int64_t stride, T* y) { P::load_strided(x, stride).store(y); }
  static void scatter(const T* x, T* y, int64_t stride) { P::load(x).store_strided(y, stride); }
  static void stream(const T* x, T* aligned) {
    P::load(x).stream(aligned);
    hw::stream_fence();
  }
  static void part(const T* x, T* y, int64_t n) { P::load(x, n).store(y, n); }
  static void interleaved(const T* x, T* y) {
    P a = P::load(x), b = P::load(x + P::lanes);
    interleave(a, b);
    a.store(y);
    b.store(y + P::lanes);
    deinterleave(a, b);
    a.store(y + 2 * P::lanes);
    b.store(y + 3 * P::lanes);
  }
  static void totals(const T* x, T* y) {
    y[0] = sum(P::load(x));
    y[1] = max(P::load(x));
    y[2] = min(P::load(x));
  }
  static void mask(const T* x, const bool* in, bool* out, int64_t n) {  // (x > 0) ^ in
    auto m = P::load(x) > P(T(0));
    (m ^ Mask<T, P::lanes>::load(in)).store(out);
    if (n < P::lanes) ((P::load(x, n) > P(T(0))) ^ Mask<T, P::lanes>::load(in, n)).store(out, n);
  }
  static bool any_positive(const T* x) { return any(P::load(x) > P(T(0))); }
  static bool all_positive(const T* x) { return all(P::load(x) > P(T(0))); }
  static void fused(const T* a, const T* b, const T* c, T* y) { fma(P::load(a), P::load(b), P::load(c)).store(y); }
};

template <class T> UnaryPair<T> unary_at(int op) { return unary_of<T>(op, UnaryOps()); }
template <class T> BinaryPair<T> binary_at(int op) { return binary_of<T>(op, BinaryOps()); }

template <class T> constexpr LaneFunctions<T> lane_functions() {
  using L = Lanes<T>;
  return {L::P::lanes, L::gather, L::scatter,      L::stream,       L::part, L::interleaved,
          L::totals,   L::mask,   L::any_positive, L::all_positive, L::fused};
}
void words(uint32_t* out, uint64_t seed, uint64_t block, uint32_t wide, int blocks) {
  philox_words(out, seed, block, wide, blocks);
}

}  // namespace

const PackLevel pack_level = {kVectorBytes,
                              unary_at<float>,
                              unary_at<double>,
                              binary_at<float>,
                              binary_at<double>,
                              Halves::decode_all<half>,
                              Halves::encode_all<half>,
                              Halves::decode_all<bfloat16>,
                              Halves::encode_all<bfloat16>,
                              lane_functions<float>(),
                              lane_functions<double>(),
                              words};

}  // namespace ink::INK_CPU_LEVEL
