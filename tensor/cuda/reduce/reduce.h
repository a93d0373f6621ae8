// The reducers of tensor/math/functors.h's ReduceOps (see reduction.h).
#pragma once
#include "tensor/cuda/device/accumulator.h"
#include "tensor/cuda/reduce/reduction.h"

namespace ink::cuda {

template <class Op> inline constexpr bool is_count = std::is_same_v<Op, fn::CountNonzero>;
template <class Op> inline constexpr bool is_extreme = std::is_same_v<Op, fn::Max> || std::is_same_v<Op, fn::Min>;

// Sums and products run in accumulator_t. Sums of 32-bit floats take the elements of one turn, 32 at most, together in
// f32 first: an error of few roundings, and few operations in the type that many GPUs are slow at. (A product of them
// could overflow.)
template <class Op, class T> struct OpReducer {
  using In = T;
  using Compute = compute_t<T>;
  using State =
      std::conditional_t<is_count<Op>, int64_t, std::conditional_t<is_extreme<Op>, Compute, accumulator_t<T>>>;
  using Result = std::conditional_t<is_count<Op>, int64_t, T>;
  static constexpr bool is_sum = std::is_same_v<Op, fn::Sum> || std::is_same_v<Op, fn::SumSquares>;
  using Run = std::conditional_t<is_sum && std::is_same_v<Compute, float>, float, State>;

  Result* out;

  __device__ __forceinline__ State start() const {
    if constexpr (is_count<Op>)
      return 0;
    else
      return Op::template start<State>();
  }
  __device__ __forceinline__ static Run lift(T x) {
    if constexpr (is_count<Op>)
      return Op::map(Compute(x));
    else
      return Op::map(Run(Compute(x)));
  }
  template <int K, int V>
  __device__ __forceinline__ void add(State& s, const Vec<T, V> (&x)[K], int m, int64_t, int64_t) const {
    Run run[V];
    for (int j = 0; j < V; ++j) {
      run[j] = lift(x[0].lane[j]);
      for (int k = 1; k < K; ++k)
        if (k < m) run[j] = Op::combine(run[j], lift(x[k].lane[j]));
    }
    for (int j = 1; j < V; ++j) run[0] = Op::combine(run[0], run[j]);
    s = Op::combine(s, State(run[0]));
  }
  __device__ __forceinline__ State merge(State a, State b) const { return Op::combine(a, b); }
  __device__ __forceinline__ void write(int64_t at, State s) const {
    if constexpr (is_half_type<T> && !is_count<Op>)
      out[at] = T(float(s));
    else
      out[at] = Result(s);
  }
};

using ReduceEntry = void (*)(const Array& out, const Array& in);

template <class T, class Op> constexpr ReduceEntry reduce_entry() {
  if constexpr (is_count<Op> || (Op::domain & domain_of(dtype_of<T>)) != 0)
    return [](const Array& out, const Array& in) {
      using R = OpReducer<Op, T>;
      run_reduction("reduce", R{static_cast<typename R::Result*>(out.data)}, Reduction(out, in), in.data);
    };
  else
    return nullptr;
}
template <class T, class... Op> ReduceEntry reduce_at(List<Op...>, int op) {
  static constexpr ReduceEntry table[] = {reduce_entry<T, Op>()...};
  return table[op];
}

// By dtype, each in a file of its own: they are most of what the compiler has to do.
ReduceEntry reduce_float(DType t, int op);
ReduceEntry reduce_half(DType t, int op);
ReduceEntry reduce_int(DType t, int op);  // i64, i32
ReduceEntry reduce_other(DType t, int op);

}  // namespace ink::cuda
