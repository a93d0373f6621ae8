// The reducers of tensor/functors.h's ReduceOps.
#pragma once
#include "tensor/cpu/reduce.h"

namespace ink::INK_CPU_LEVEL {

// Sums and products run in the type twice as wide: the result is exact to a rounding or two however long the row is.
template <class T>
struct WideOf {
  using type = T;
};
template <>
struct WideOf<float> {
  using type = double;
};
template <>
struct WideOf<complex<float>> {
  using type = complex<double>;
};

template <class Op, class T>
struct StateOf {
  using type = typename WideOf<T>::type;
};
template <class T>
struct StateOf<fn::Max, T> {
  using type = T;
};
template <class T>
struct StateOf<fn::Min, T> {
  using type = T;
};
template <class T>
struct StateOf<fn::CountNonzero, T> {
  using type = int64_t;
};

template <class Op, class T>
struct Reduce {
  using S = typename StateOf<Op, T>::type;
  static constexpr bool kCounts = std::same_as<Op, fn::CountNonzero>;

  INK_INLINE static S identity() {
    if constexpr (kCounts)
      return 0;
    else
      return Op::template start<S>();
  }
  INK_INLINE static S lift(T x) {
    if constexpr (kCounts)
      return Op::map(x);
    else
      return Op::map(S(x));
  }
  static void start(void* states, int64_t n) {
    S* s = static_cast<S*>(states);
    for (int64_t j = 0; j < n; ++j) s[j] = identity();
  }
  static void row(void* state, const void* data, int64_t n) {
    const T* x = static_cast<const T*>(data);
    S total = *static_cast<S*>(state);
    for (int64_t i = 0; i < n; ++i) total = Op::combine(total, lift(x[i]));
    *static_cast<S*>(state) = total;
  }
  static void columns(void* states, const void* data, int64_t rows, int64_t stride, int64_t n) {
    S* s = static_cast<S*>(states);
    const T* x = static_cast<const T*>(data);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < n; ++j) s[j] = Op::combine(s[j], lift(x[i * stride + j]));
  }
  static void merge(void* state, const void* other, int64_t n) {
    S* s = static_cast<S*>(state);
    const S* o = static_cast<const S*>(other);
    for (int64_t j = 0; j < n; ++j) s[j] = Op::combine(s[j], o[j]);
  }
  static void finish(void* out, const void* states, int64_t n) {
    using R = std::conditional_t<kCounts, int64_t, T>;
    const S* s = static_cast<const S*>(states);
    for (int64_t j = 0; j < n; ++j) static_cast<R*>(out)[j] = R(s[j]);
  }
};

template <class Op, class T>
constexpr Reducer reducer_entry() {
  if constexpr (std::same_as<Op, fn::CountNonzero> || (Op::domain & domain_of(dtype_of<T>)) != 0) {
    using R = Reduce<Op, T>;
    return {sizeof(typename R::S), R::start, R::row, R::columns, R::merge, R::finish};
  } else {
    return {};
  }
}
template <class T, class... Op>
INK_INLINE Reducer reducer_at(List<Op...>, int op) {
  static constexpr Reducer table[] = {reducer_entry<Op, T>()...};
  return table[op];
}

}  // namespace ink::INK_CPU_LEVEL
