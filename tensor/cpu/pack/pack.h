// Pack<T, N>: N numbers that take one instruction together. A formula written for a number works on a pack: arithmetic,
// comparisons (they give a Mask), select(mask, a, b), and the functions of pack_math.h. Built on GCC's vector
// extensions, so a debugger shows lanes; the level `scalar` has one lane.
#pragma once
#include <utility>

#include "tensor/cpu/pack/intrinsics.h"
#include "tensor/math/half.h"
#include "tensor/math/math.h"

namespace ink::INK_CPU_LEVEL {

#if defined(INK_CPU_LEVEL_v4)
inline constexpr int kVectorBytes = 64;
#elif defined(INK_CPU_LEVEL_v3)
inline constexpr int kVectorBytes = 32;
#elif defined(INK_CPU_LEVEL_scalar)
inline constexpr int kVectorBytes = 0;
#else
inline constexpr int kVectorBytes = 16;
#endif
// Lanes of T in one register of this level.
template <class T> inline constexpr int kLanes = kVectorBytes ? kVectorBytes / int(sizeof(T)) : 1;

template <int bytes> struct IntOf;
template <> struct IntOf<1> { using type = int8_t; };
template <> struct IntOf<2> { using type = int16_t; };
template <> struct IntOf<4> { using type = int32_t; };
template <> struct IntOf<8> { using type = int64_t; };
template <class T> using int_of = typename IntOf<sizeof(T)>::type;  // the signed integer of T's size

template <class T, int N> struct VectorOf { using type __attribute__((vector_size(N * sizeof(T)))) = T; };
template <class T, int N> using vector_of = typename VectorOf<T, N>::type;

// The result of comparing packs of T: all bits of a lane set where true.
template <class T, int N> struct Mask {
  using V = vector_of<int_of<T>, N>;
  V v;

  Mask() = default;
  INK_INLINE explicit Mask(V vector) : v(vector) {}
  INK_INLINE explicit Mask(bool b) : v(V{} - int_of<T>(b)) {}
  INK_INLINE friend Mask operator&(Mask a, Mask b) { return Mask(a.v & b.v); }
  INK_INLINE friend Mask operator|(Mask a, Mask b) { return Mask(a.v | b.v); }
  INK_INLINE friend Mask operator^(Mask a, Mask b) { return Mask(a.v ^ b.v); }
  INK_INLINE friend Mask operator!(Mask a) { return Mask(~a.v); }
  INK_INLINE bool operator[](int i) const { return v[i] != 0; }

  INK_INLINE static Mask load(const bool* p) {
    vector_of<int8_t, N> bytes;
    __builtin_memcpy(&bytes, p, N);
    return Mask(-__builtin_convertvector(bytes, V));
  }
  INK_INLINE void store(bool* p) const {
    auto bytes = __builtin_convertvector(-v, vector_of<int8_t, N>);
    __builtin_memcpy(p, &bytes, N);
  }
  INK_INLINE static Mask load(const bool* p, int64_t n) {
    V r = {};
    for (int64_t i = 0; i < n; ++i) r[i] = -int_of<T>(p[i]);
    return Mask(r);
  }
  INK_INLINE void store(bool* p, int64_t n) const {
    for (int64_t i = 0; i < n; ++i) p[i] = v[i] != 0;
  }
};
template <class T, int N> INK_INLINE bool any(Mask<T, N> m) { return hw::any<T, N>(m.v); }
template <class T, int N> INK_INLINE bool all(Mask<T, N> m) { return !any(!m); }

template <class T, int N> struct Pack {
  using Lane = T;
  using V = vector_of<T, N>;
  static constexpr int lanes = N;
  V v;

  Pack() = default;
  INK_INLINE explicit Pack(V vector) : v(vector) {}
  INK_INLINE explicit Pack(T x) : v(x - V{}) {}  // x - 0 keeps the sign of -0, 0 + x would not
  INK_INLINE explicit Pack(Mask<T, N> m) : v(__builtin_convertvector(-m.v, V)) {}  // 1 where true

  // Unaligned memory; with n < N only the first n lanes (a load sets the others to 0); `stride` in elements.
  INK_INLINE static Pack load(const T* p) {
    Pack r;
    __builtin_memcpy(&r.v, p, sizeof r.v);
    return r;
  }
  INK_INLINE static Pack load(const T* p, int64_t n) { return Pack(hw::load_some<T, N, V>(p, n)); }
  INK_INLINE static Pack load_strided(const T* p, int64_t stride) {
    Pack r;
    for (int i = 0; i < N; ++i) r.v[i] = p[i * stride];
    return r;
  }
  INK_INLINE void store(T* p) const { __builtin_memcpy(p, &v, sizeof v); }
  INK_INLINE void store(T* p, int64_t n) const { hw::store_some<T, N, V>(p, v, n); }
  INK_INLINE void store_strided(T* p, int64_t stride) const {
    for (int i = 0; i < N; ++i) p[i * stride] = v[i];
  }
  INK_INLINE void stream(T* p) const { hw::stream<T, N, V>(p, v); }  // p aligned to the pack

  INK_INLINE T operator[](int i) const { return v[i]; }

  INK_INLINE friend Pack operator+(Pack a, Pack b) { return Pack(a.v + b.v); }
  INK_INLINE friend Pack operator-(Pack a, Pack b) { return Pack(a.v - b.v); }
  INK_INLINE friend Pack operator*(Pack a, Pack b) { return Pack(a.v * b.v); }
  INK_INLINE friend Pack operator/(Pack a, Pack b) { return Pack(a.v / b.v); }
  INK_INLINE friend Pack operator-(Pack a) { return Pack(-a.v); }
  INK_INLINE Pack& operator+=(Pack b) { return *this = *this + b; }
  INK_INLINE Pack& operator-=(Pack b) { return *this = *this - b; }
  INK_INLINE Pack& operator*=(Pack b) { return *this = *this * b; }
  INK_INLINE Pack& operator/=(Pack b) { return *this = *this / b; }

  using M = Mask<T, N>;
  INK_INLINE friend M operator==(Pack a, Pack b) { return M((typename M::V)(a.v == b.v)); }
  INK_INLINE friend M operator!=(Pack a, Pack b) { return M((typename M::V)(a.v != b.v)); }
  INK_INLINE friend M operator<(Pack a, Pack b) { return M((typename M::V)(a.v < b.v)); }
  INK_INLINE friend M operator<=(Pack a, Pack b) { return M((typename M::V)(a.v <= b.v)); }
  INK_INLINE friend M operator>(Pack a, Pack b) { return M((typename M::V)(a.v > b.v)); }
  INK_INLINE friend M operator>=(Pack a, Pack b) { return M((typename M::V)(a.v >= b.v)); }
};

template <class T, int N> INK_INLINE Pack<T, N> select(Mask<T, N> m, Pack<T, N> a, Pack<T, N> b) {
  return Pack<T, N>(m.v ? a.v : b.v);
}

// Each lane converted to U: rounded, or truncated to an integer.
template <class U, class T, int N> INK_INLINE Pack<U, N> convert(Pack<T, N> x) {
  return Pack<U, N>(__builtin_convertvector(x.v, vector_of<U, N>));
}
// The same bits as lanes of U, which has T's size.
template <class U, class T, int N> INK_INLINE Pack<U, N> bit_cast(Pack<T, N> x) {
  static_assert(sizeof(U) == sizeof(T));
  return Pack<U, N>((vector_of<U, N>)x.v);
}

namespace detail {
template <int from, class T, int N, int... I>
INK_INLINE Pack<T, int(sizeof...(I))> lanes_of(Pack<T, N> x, std::integer_sequence<int, I...>) {
  return Pack<T, int(sizeof...(I))>(__builtin_shufflevector(x.v, x.v, (from + I)...));
}
template <int from, class T, int N, int... I>
INK_INLINE Pack<T, N> zip(Pack<T, N> a, Pack<T, N> b, std::integer_sequence<int, I...>) {
  return Pack<T, N>(__builtin_shufflevector(a.v, b.v, (from + I / 2 + (I % 2) * N)...));
}
template <int from, class T, int N, int... I>
INK_INLINE Pack<T, N> unzip(Pack<T, N> a, Pack<T, N> b, std::integer_sequence<int, I...>) {
  return Pack<T, N>(__builtin_shufflevector(a.v, b.v, (from + 2 * I)...));
}
template <class T, int N, int... I>
INK_INLINE Pack<T, 2 * N> join(Pack<T, N> a, Pack<T, N> b, std::integer_sequence<int, I...>) {
  return Pack<T, 2 * N>(__builtin_shufflevector(a.v, b.v, I...));
}
}  // namespace detail

template <class T, int N> INK_INLINE Pack<T, N / 2> low_half(Pack<T, N> x) {
  return detail::lanes_of<0>(x, std::make_integer_sequence<int, N / 2>());
}
template <class T, int N> INK_INLINE Pack<T, N / 2> high_half(Pack<T, N> x) {
  return detail::lanes_of<N / 2>(x, std::make_integer_sequence<int, N / 2>());
}
template <class T, int N> INK_INLINE Pack<T, 2 * N> join(Pack<T, N> a, Pack<T, N> b) {
  return detail::join(a, b, std::make_integer_sequence<int, 2 * N>());
}
// (a, b) becomes (a0 b0 a1 b1 ...), its first half in a, its second in b.
template <class T, int N> INK_INLINE void interleave(Pack<T, N>& a, Pack<T, N>& b) {
  if constexpr (N > 1) {
    Pack<T, N> first = detail::zip<0>(a, b, std::make_integer_sequence<int, N>());
    b = detail::zip<N / 2>(a, b, std::make_integer_sequence<int, N>());
    a = first;
  }
}

// The reverse: a takes the lanes at even places of (a, b), b those at odd ones.
template <class T, int N> INK_INLINE void deinterleave(Pack<T, N>& a, Pack<T, N>& b) {
  if constexpr (N > 1) {
    Pack<T, N> even = detail::unzip<0>(a, b, std::make_integer_sequence<int, N>());
    b = detail::unzip<1>(a, b, std::make_integer_sequence<int, N>());
    a = even;
  }
}

// The lanes combined in a tree: lane i with lane i + N/2, and so on.
template <class T, int N, class F> INK_INLINE T reduce(Pack<T, N> x, F combine) {
  if constexpr (N == 1) {
    return x[0];
  } else {
    return reduce(combine(low_half(x), high_half(x)), combine);
  }
}

}  // namespace ink::INK_CPU_LEVEL
