// What packs of pairs need: the inverse of interleave, and loads and stores of however many lanes are left.
#pragma once
#include "tensor/cpu/pack/pack.h"

namespace ink::INK_CPU_LEVEL {
namespace detail {
template <int from, class T, int N, int... I>
INK_INLINE Pack<T, N> every_second(Pack<T, N> a, Pack<T, N> b, std::integer_sequence<int, I...>) {
  return Pack<T, N>(__builtin_shufflevector(a.v, b.v, (from + 2 * I)...));
}
}  // namespace detail

// (a0 a1 ...) (b0 b1 ...) becomes (a0 a2 ... b0 b2 ...) in a, (a1 a3 ... b1 b3 ...) in b.
template <class T, int N> INK_INLINE void split(Pack<T, N>& a, Pack<T, N>& b) {
  if constexpr (N > 1) {
    Pack<T, N> even = detail::every_second<0>(a, b, std::make_integer_sequence<int, N>());
    b = detail::every_second<1>(a, b, std::make_integer_sequence<int, N>());
    a = even;
  }
}

// The first n lanes, all of them for n >= N and none for n <= 0.
template <int N, class T> INK_INLINE Pack<T, N> load_up_to(const T* p, int64_t n) {
  if constexpr (N > 1) {
    if (n < N) return n > 0 ? Pack<T, N>::load(p, n) : Pack<T, N>(T(0));
  }
  return n > 0 ? Pack<T, N>::load(p) : Pack<T, N>(T(0));
}
template <class T, int N> INK_INLINE void store_up_to(Pack<T, N> v, T* p, int64_t n) {
  if (n >= N) {
    v.store(p);
  } else if constexpr (N > 1) {
    if (n > 0) v.store(p, n);
  }
}

}  // namespace ink::INK_CPU_LEVEL
