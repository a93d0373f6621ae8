// The reducers of tensor/math/functors.h's ReduceOps.
#pragma once
#include "tensor/cpu/pack/pack_math.h"
#include "tensor/cpu/reduce/reduce.h"
#include "tensor/math/accumulator.h"

namespace ink::INK_CPU_LEVEL {

template <class Op, class T> struct AccumulatorFor { using type = typename AccumulatorOf<T>::type; };
template <class T> struct AccumulatorFor<fn::Max, T> { using type = T; };
template <class T> struct AccumulatorFor<fn::Min, T> { using type = T; };
template <class T> struct AccumulatorFor<fn::CountNonzero, T> { using type = int64_t; };

template <class Op, class T> struct Reduce {
  using S = typename AccumulatorFor<Op, T>::type;
  using Result = std::conditional_t<std::same_as<Op, fn::CountNonzero>, int64_t, T>;
  static constexpr bool kCounts = std::same_as<Op, fn::CountNonzero>;

  INK_INLINE static S identity() {
    if constexpr (kCounts) {
      return 0;
    } else {
      return Op::template start<S>();
    }
  }
  INK_INLINE static S lift(T x) {
    if constexpr (kCounts) {
      return Op::map(x);
    } else {
      return Op::map(S(x));
    }
  }
  static void start(void* accumulators, int64_t n) {
    for (int64_t j = 0; j < n; ++j) static_cast<S*>(accumulators)[j] = identity();
  }
  static void merge(void* accumulators, const void* others, int64_t n) {
    S* s = static_cast<S*>(accumulators);
    for (int64_t j = 0; j < n; ++j) s[j] = Op::combine(s[j], static_cast<const S*>(others)[j]);
  }
  static void finish(void* out, const void* accumulators, int64_t n) {
    for (int64_t j = 0; j < n; ++j) static_cast<Result*>(out)[j] = Result(static_cast<const S*>(accumulators)[j]);
  }

  // Sixteen running accumulators: a fixed length, which the compiler turns into vectors.
  static void row(void* accumulator, const void* data, int64_t n) {
    constexpr int64_t kLine = 16;
    const T* x = static_cast<const T*>(data);
    S total = *static_cast<S*>(accumulator);
    int64_t i = 0;
    if (n >= 2 * kLine) {
      S line[kLine];
      start(line, kLine);
      for (; i + kLine <= n; i += kLine)
        for (int64_t j = 0; j < kLine; ++j) line[j] = Op::combine(line[j], lift(x[i + j]));
      for (int64_t j = 0; j < kLine; ++j) total = Op::combine(total, line[j]);
    }
    for (; i < n; ++i) total = Op::combine(total, lift(x[i]));
    *static_cast<S*>(accumulator) = total;
  }
  static void columns(void* accumulators, const void* data, int64_t rows, int64_t stride, int64_t n) {
    constexpr int64_t kLine = 16;
    const T* x = static_cast<const T*>(data);
    S* __restrict s = static_cast<S*>(accumulators);
    for (int64_t i = 0; i < rows; ++i, x += stride) {
      int64_t j = 0;
      for (; j + kLine <= n; j += kLine)
        for (int64_t k = 0; k < kLine; ++k) s[j + k] = Op::combine(s[j + k], lift(x[j + k]));
      for (; j < n; ++j) s[j] = Op::combine(s[j], lift(x[j]));
    }
  }
};

// f32 and f64 by packs. A run of kRun elements is summed in T, the runs in S: vector speed, and an error of few
// roundings (each lane of a run adds 16 numbers or fewer). Products stay in S, where a part of a run cannot overflow.
template <class Op, class T> struct PackReduce : Reduce<Op, T> {
  using Base = Reduce<Op, T>;
  using S = typename Base::S;
  static constexpr bool kProduct = std::same_as<Op, fn::Prod>;
  using Lane = std::conditional_t<kProduct, S, T>;
  using In = Pack<T, kLanes<T>>;
  using P = Pack<Lane, kLanes<T>>;
  static constexpr int64_t L = P::lanes, kRun = 1024, kRunRows = 16;

  INK_INLINE static P identity() {
    if constexpr (Base::kCounts) {
      return P(Lane(0));
    } else {
      return Op::template start<P>();
    }
  }
  INK_INLINE static P lift(In x) {
    if constexpr (Base::kCounts) {
      return P(x != In(T(0)));
    } else if constexpr (kProduct) {
      return convert<Lane>(x);
    } else {
      return Op::map(x);
    }
  }
  template <class V> INK_INLINE static V combine(V a, V b) {
    if constexpr (Base::kCounts) {
      return a + b;
    } else {
      return Op::combine(a, b);
    }
  }

  static void row(void* accumulator, const void* data, int64_t n) {
    const T* x = static_cast<const T*>(data);
    S total = *static_cast<S*>(accumulator);
    while (n >= L) {
      const int64_t run = n < kRun ? n / L * L : kRun;
      P a = lift(In::load(x)), b = identity(), c = b, d = b;  // four chains hide the latency of an addition
      int64_t i = L;
      for (; i + 4 * L <= run; i += 4 * L) {
        a = combine(a, lift(In::load(x + i)));
        b = combine(b, lift(In::load(x + i + L)));
        c = combine(c, lift(In::load(x + i + 2 * L)));
        d = combine(d, lift(In::load(x + i + 3 * L)));
      }
      for (; i < run; i += L) b = combine(b, lift(In::load(x + i)));
      const P all = combine(combine(a, b), combine(c, d));
      total = combine(total, S(reduce(all, [](auto u, auto v) { return combine(u, v); })));
      x += run;
      n -= run;
    }
    for (int64_t i = 0; i < n; ++i) total = combine(total, Base::lift(x[i]));
    *static_cast<S*>(accumulator) = total;
  }

  // K packs of columns, down `rows` rows.
  template <int K> INK_INLINE static void column_run(S* s, const T* x, int64_t rows, int64_t stride) {
    P run[K];
    for (int k = 0; k < K; ++k) run[k] = lift(In::load(x + k * L));
    for (int64_t i = 1; i < rows; ++i)
      for (int k = 0; k < K; ++k) run[k] = combine(run[k], lift(In::load(x + i * stride + k * L)));
    for (int k = 0; k < K; ++k) combine(Pack<S, int(L)>::load(s + k * L), convert<S>(run[k])).store(s + k * L);
  }
  static void columns(void* accumulators, const void* data, int64_t rows, int64_t stride, int64_t n) {
    const T* x = static_cast<const T*>(data);
    S* s = static_cast<S*>(accumulators);
    for (int64_t run; rows > 0; rows -= run, x += run * stride) {
      run = rows < kRunRows ? rows : kRunRows;
      int64_t j = 0;
      for (; j + 4 * L <= n; j += 4 * L) column_run<4>(s + j, x + j, run, stride);
      for (; j + L <= n; j += L) column_run<1>(s + j, x + j, run, stride);
      for (int64_t i = 0; i < run && j < n; ++i)
        for (int64_t k = j; k < n; ++k) s[k] = combine(s[k], Base::lift(x[i * stride + k]));
    }
  }
};

template <class Op, class T> constexpr Reducer reducer_entry() {
  if constexpr (std::same_as<Op, fn::CountNonzero> || (Op::domain & domain_of(dtype_of<T>)) != 0) {
    using R = std::conditional_t<std::floating_point<T>, PackReduce<Op, T>, Reduce<Op, T>>;
    return {sizeof(typename R::S), R::start, R::row, R::columns, R::merge, R::finish};
  } else {
    return {};
  }
}
template <class T, class... Op> INK_INLINE Reducer reducer_at(List<Op...>, int op) {
  static constexpr Reducer table[] = {reducer_entry<Op, T>()...};
  return table[op];
}

}  // namespace ink::INK_CPU_LEVEL
