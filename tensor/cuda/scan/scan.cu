// Running sums, products, maxima and logsumexps along a dim (scan_lines.h has the walk).
#include "tensor/cuda/scan/scan_lines.h"

namespace ink::cuda {
namespace {

// What all of them read: one array.
template <class T> struct ScanInput {
  using In = T;
  const T* in;
  __device__ __forceinline__ void enter(int64_t) {}
  template <class State> __device__ __forceinline__ bool start(State&) const { return false; }
  template <int V> __device__ __forceinline__ Vec<T, V> load(int64_t at, int64_t) const {
    return load_vector<V>(in + at);
  }
};

template <ScanOp op, class T> struct Scan : ScanInput<T> {
  using State = accumulator_t<T>;
  T* out;

  __device__ __forceinline__ static State lift(T x, int64_t) { return State(x); }
  __device__ __forceinline__ static State join(State a, State x) {
    if constexpr (op == ScanOp::sum)
      return fn::plus(a, x);
    else if constexpr (op == ScanOp::prod)
      return fn::times(a, x);
    else {  // log(e^a + e^x); equal ones (both infinite, maybe) have no difference to take
      const State high = fn::max(a, x), low = fn::min(a, x);
      return high + fn::log1p(fn::exp(high == low ? State(0) : low - high));
    }
  }
  template <int V> __device__ __forceinline__ void write(int64_t at, int64_t, const Vec<State, V>& s) const {
    Vec<T, V> v;
    for (int j = 0; j < V; ++j) v.lane[j] = T(s.lane[j]);
    store_vector<V>(out + at, v);
  }
};

// The latest of equals, as in torch.cummax; a NaN stays.
template <class T> struct Scan<ScanOp::max, T> : ScanInput<T> {
  using State = Best<T>;
  T* out;
  int64_t* indices;  // may be null

  __device__ __forceinline__ static State lift(T x, int64_t place) { return {x, place}; }
  __device__ __forceinline__ static State join(const State& a, const State& x) {
    return x.value != x.value || x.value >= a.value ? x : a;
  }
  template <int V> __device__ __forceinline__ void write(int64_t at, int64_t, const Vec<State, V>& s) const {
    constexpr int P = V < 2 ? V : 2;
    Vec<T, V> v;
    for (int j = 0; j < V; ++j) v.lane[j] = s.lane[j].value;
    store_vector<V>(out + at, v);
    for (int j = 0; j < V && indices; j += P) {
      Vec<int64_t, P> places;
      for (int k = 0; k < P; ++k) places.lane[k] = s.lane[j + k].place;
      store_vector<P>(indices + at + j, places);
    }
  }
};

}  // namespace

void scan(ScanOp op, DType dtype, void* out, int64_t* indices, const void* in, Lines lines, bool reverse) {
  if (lines.outer * lines.n * lines.inner == 0) return;
  const bool aligned = is_aligned(out, 16) && is_aligned(in, 16) && is_aligned(indices, 16);
  visit(dtype, [&]<class T>() {
    constexpr unsigned domain = is_half_type<T> ? 0u : unsigned(domain_of(dtype_of<T>));
    T* y = static_cast<T*>(out);
    const T* x = static_cast<const T*>(in);
    constexpr int V = int(16 / sizeof(T)) < 4 ? int(16 / sizeof(T)) : 4;
    if constexpr ((domain & kNumber) != 0) {
      if (op == ScanOp::sum) return scan_lines<V>(Scan<ScanOp::sum, T>{{x}, y}, lines, reverse, aligned);
      if (op == ScanOp::prod) return scan_lines<V>(Scan<ScanOp::prod, T>{{x}, y}, lines, reverse, aligned);
    }
    if constexpr ((domain & kOrdered) != 0)
      if (op == ScanOp::max) return scan_lines<V>(Scan<ScanOp::max, T>{{x}, y, indices}, lines, reverse, aligned);
    if constexpr (domain == kFloat)
      if (op == ScanOp::logsumexp) return scan_lines<V>(Scan<ScanOp::logsumexp, T>{{x}, y}, lines, reverse, aligned);
  });
}

}  // namespace ink::cuda
