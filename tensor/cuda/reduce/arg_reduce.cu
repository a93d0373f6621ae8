// The largest or smallest value along a dim and where it first stands; a NaN wins, as in max and min. A reduction (see
// reduction.h) whose states are the best value so far and its place.
#include "tensor/cuda/device/accumulator.h"
#include "tensor/cuda/reduce/reduction.h"

namespace ink::cuda {
namespace {

template <class T> struct ArgReducer {
  using In = T;
  using C = compute_t<T>;
  using State = Best<C>;

  bool max;  // known when the kernel runs only: half the kernels to compile, and memory is slower still
  T* values;
  int64_t* indices;

  // Whether x takes the place of the best value so far: strictly better, or the first NaN.
  __device__ __forceinline__ bool beats(C x, C best) const {
    return (max ? x > best : x < best) || (x != x && best == best);
  }

  __device__ __forceinline__ State start() const { return {C(0), -1}; }
  // Places rise from call to call of a thread, and within x: a tie leaves what is there.
  template <int K, int V>
  __device__ __forceinline__ void add(State& s, const Vec<T, V> (&x)[K], int m, int64_t first, int64_t step) const {
    if (s.place < 0) s = {C(x[0].lane[0]), first};
    for (int k = 0; k < K; ++k) {
      if (k >= m) continue;
      int better = -1;
      for (int j = 0; j < V; ++j) {
        const C v = C(x[k].lane[j]);
        const bool take = beats(v, s.value);
        s.value = take ? v : s.value;
        better = take ? j : better;
      }
      s.place = better >= 0 ? first + k * step + better : s.place;
    }
  }
  __device__ __forceinline__ State merge(const State& a, const State& b) const {
    if (a.place < 0 || b.place < 0) return a.place < 0 ? b : a;
    return beats(b.value, a.value) || (b.place < a.place && !beats(a.value, b.value)) ? b : a;
  }
  __device__ __forceinline__ void write(int64_t at, const State& s) const {
    values[at] = T(s.value);
    indices[at] = s.place;
  }
};

}  // namespace

void arg_reduce(bool max, const Array& values, const Array& indices, const Array& in, Lines lines) {
  if (lines.n == 0) return;
  const Reduction plan(lines);
  visit(in.dtype, [&]<class T>() {
    using U = std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>;  // false and true are ordered like 0 and 1
    if constexpr (domain_of(dtype_of<T>) != kComplex) {
      const ArgReducer<U> r{max, static_cast<U*>(values.data), static_cast<int64_t*>(indices.data)};
      run_reduction("arg_reduce", r, plan, in.data);
    }
  });
}

}  // namespace ink::cuda
