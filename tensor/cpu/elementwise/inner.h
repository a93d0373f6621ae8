// From a formula of tensor/math/functors.h to an inner function over contiguous memory, and the tables of them by op
// and dtype.
#pragma once
#include "tensor/cpu/elementwise/map.h"
#include "tensor/cpu/pack/pack_math.h"

namespace ink::INK_CPU_LEVEL {

template <class T> inline constexpr Domain domain_of_type = domain_of(dtype_of<T>);

// Floats go through packs, the last elements too: a value has the same bits wherever it stands.
template <class F, class T>
inline constexpr bool by_packs = std::floating_point<T> && !std::same_as<F, fn::MakeComplex>;
inline constexpr int64_t kUnroll =
    16;  // plain loops: blocks of a fixed length are what the compiler turns into vectors

// A result of whole packs; masks (comparisons) are stored as bytes and never past the caches.
template <class R, class P> INK_INLINE void store_result(R* y, P x, bool past_caches) {
  if constexpr (requires { x.stream(y); }) {
    if (past_caches) return x.stream(y);
  }
  x.store(y);
}

template <class F, class T>
void unary_inner(const void* functor, void* out, const void* const* in, int64_t n, bool past_caches) {
  const F f = *static_cast<const F*>(functor);
  const T* x = static_cast<const T*>(in[0]);
  using R = decltype(f(T{}));
  R* y = static_cast<R*>(out);
  int64_t i = 0;
  if constexpr (by_packs<F, T>) {
    using P = Pack<T, kLanes<T>>;
    for (; i + P::lanes <= n; i += P::lanes) store_result(y + i, f(P::load(x + i)), past_caches);
    if (i < n) f(P::load(x + i, n - i)).store(y + i, n - i);
  } else {
    for (; i + kUnroll <= n; i += kUnroll) {
      R block[kUnroll];
      for (int64_t j = 0; j < kUnroll; ++j) block[j] = f(x[i + j]);
      __builtin_memcpy(y + i, block, sizeof block);
    }
    for (; i < n; ++i) y[i] = f(x[i]);
  }
}

template <class F, class T>
void binary_inner(const void* functor, void* out, const void* const* in, int64_t n, bool past_caches) {
  const F f = *static_cast<const F*>(functor);
  const T *a = static_cast<const T*>(in[0]), *b = static_cast<const T*>(in[1]);
  using R = decltype(f(T{}, T{}));
  R* y = static_cast<R*>(out);
  int64_t i = 0;
  if constexpr (by_packs<F, T>) {
    using P = Pack<T, kLanes<T>>;
    for (; i + P::lanes <= n; i += P::lanes) store_result(y + i, f(P::load(a + i), P::load(b + i)), past_caches);
    if (i < n) f(P::load(a + i, n - i), P::load(b + i, n - i)).store(y + i, n - i);
  } else {
    for (; i + kUnroll <= n; i += kUnroll) {
      R block[kUnroll];
      for (int64_t j = 0; j < kUnroll; ++j) block[j] = f(a[i + j], b[i + j]);
      __builtin_memcpy(y + i, block, sizeof block);
    }
    for (; i < n; ++i) y[i] = f(a[i], b[i]);
  }
}

// The inner function of formula F for T; null where T is outside F's domain.
template <class F, class T> constexpr Inner unary_entry() {
  if constexpr ((F::domain & domain_of_type<T>) != 0)
    return unary_inner<F, T>;
  else
    return nullptr;
}
template <class F, class T> constexpr Inner binary_entry() {
  if constexpr ((F::domain & domain_of_type<T>) != 0)
    return binary_inner<F, T>;
  else
    return nullptr;
}
template <class T, class... F> INK_INLINE Inner unary_at(List<F...>, int op) {
  static constexpr Inner table[] = {unary_entry<F, T>()...};
  return table[op];
}
template <class T, class... F> INK_INLINE Inner binary_at(List<F...>, int op) {
  static constexpr Inner table[] = {binary_entry<F, T>()...};
  return table[op];
}

// One dtype a file, so that they compile side by side.
Inner unary_f32(int op);
Inner unary_f64(int op);
Inner unary_other(DType dtype, int op);  // complex numbers, integers, bool
Inner binary_f32(int op);
Inner binary_f64(int op);
Inner binary_other(DType dtype, int op);

}  // namespace ink::INK_CPU_LEVEL
