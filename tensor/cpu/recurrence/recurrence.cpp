// First-order linear recurrences along a dim, h_t = a_t h_{t-1} + b_t, and their gradients. In columns (inner > 1)
// neighbouring ones advance together, a pack at a time; a row (inner = 1) goes a pack of steps at a time, whose steps
// are joined in pairs.
#include "tensor/cpu/row.h"
#include "tensor/cpu/table.h"
#include "tensor/math/math_complex.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

constexpr int64_t kRecurrenceColumns = 512;  // columns that advance together: the step before is still in L1
constexpr int64_t kRecurrenceWork = 16384;   // elements of a task
constexpr int64_t kRecurrenceStreams = int64_t(32) << 20;  // bytes of a result that is written past the caches

// Numbers of type T in one register, complex ones as re, im, re, im.
template <class T> struct Step {
  using P = Lanes<T>;
  static constexpr int64_t lanes = kLanes<T>;
  INK_INLINE static P load(const T* p) { return P::load(p); }
  INK_INLINE static void store(T* p, P v) { v.store(p); }
  INK_INLINE static P multiply_add(P a, P h, P b) { return muladd(a, h, b); }  // a h + b
  INK_INLINE static P conjugate(P a) { return a; }
};
template <class R> struct Step<complex<R>> {
  using P = Lanes<R>;
  static constexpr int64_t lanes = kLanes<R> / 2;  // 0 where a register holds one real number: all is done one by one
  INK_INLINE static P load(const complex<R>* p) { return P::load(&p->re); }
  INK_INLINE static void store(complex<R>* p, P v) { v.store(&p->re); }
  template <int... I> INK_INLINE static P multiply_add(P a, P h, P b, std::integer_sequence<int, I...>) {
    const P re(__builtin_shufflevector(a.v, a.v, (I & ~1)...)), im(__builtin_shufflevector(a.v, a.v, (I | 1)...));
    const P swapped(__builtin_shufflevector(h.v, h.v, (I ^ 1)...)), sign(typename P::V{R(I & 1 ? 1 : -1)...});
    return muladd(re, h, muladd(im * sign, swapped, b));
  }
  INK_INLINE static P multiply_add(P a, P h, P b) {
    return multiply_add(a, h, b, std::make_integer_sequence<int, kLanes<R>>());
  }
  template <int... I> INK_INLINE static P conjugate(P a, std::integer_sequence<int, I...>) {
    return a * P(typename P::V{R(I & 1 ? -1 : 1)...});
  }
  INK_INLINE static P conjugate(P a) { return conjugate(a, std::make_integer_sequence<int, kLanes<R>>()); }
};

// y[i] = a[i] h[i] + b[i], and y[i] = x[i] conj(h[i]).
template <class T> INK_INLINE void multiply_add(int64_t n, T* y, const T* a, const T* h, const T* b, bool conjugate_a) {
  using S = Step<T>;
  int64_t i = 0;
  if constexpr (S::lanes > 0)
    for (; i + S::lanes <= n; i += S::lanes) {
      const auto factor = S::load(a + i);
      S::store(y + i, S::multiply_add(conjugate_a ? S::conjugate(factor) : factor, S::load(h + i), S::load(b + i)));
    }
  for (; i < n; ++i) y[i] = (conjugate_a ? fn::conj(a[i]) : a[i]) * h[i] + b[i];
}
template <class T> INK_INLINE void multiply_conjugate(int64_t n, T* y, const T* x, const T* h) {
  using S = Step<T>;
  int64_t i = 0;
  if constexpr (S::lanes > 0)
    for (; i + S::lanes <= n; i += S::lanes)
      S::store(y + i, S::multiply_add(S::conjugate(S::load(h + i)), S::load(x + i), typename S::P(real_t<T>(0))));
  for (; i < n; ++i) y[i] = x[i] * fn::conj(h[i]);
}

// state[i] = a[i] state[i] + b[i], written to y past the caches as well: memory is then not read before it is written.
// y is aligned to a register and n a number of whole ones.
template <class T> INK_INLINE void advance_streaming(int64_t n, T* y, T* state, const T* a, const T* b) {
  using S = Step<T>;
  if constexpr (S::lanes > 0)
    for (int64_t i = 0; i < n; i += S::lanes) {
      const auto next = S::multiply_add(S::load(a + i), S::load(state + i), S::load(b + i));
      S::store(state + i, next);
      next.stream(reinterpret_cast<real_t<T>*>(y + i));
    }
}

// One line, or several neighbouring columns of one: where its arrays begin.
template <class T> struct RecurrenceLine {
  int64_t n, stride, columns;  // steps, elements from one to the next
  bool reverse, constant;
  const T *a, *start;  // start may be null
  int64_t at(int64_t t) const { return (reverse ? n - 1 - t : t) * stride; }
  const T* factor(int64_t t) const { return a + (constant ? 0 : at(t)); }
};

template <class T> void walk_columns(const RecurrenceLine<T>& l, T* h, const T* b) {
  for (int64_t t = 0; t < l.n; ++t) {
    const T* before = t ? h + l.at(t - 1) : l.start;
    if (before)
      multiply_add(l.columns, h + l.at(t), l.factor(t), before, b + l.at(t), false);
    else
      for (int64_t c = 0; c < l.columns; ++c) h[l.at(t) + c] = b[l.at(t) + c];
  }
}

// The same for a result too large for the caches, with the state in L1.
template <class T> bool can_stream(const RecurrenceLine<T>& l, const T* h) {
  constexpr int64_t lanes = Step<T>::lanes;
  if constexpr (lanes == 0)
    return false;
  else
    return uintptr_t(h) % sizeof(typename Step<T>::P) == 0 && l.stride % lanes == 0 && l.columns % lanes == 0;
}
template <class T> void walk_columns_streaming(const RecurrenceLine<T>& l, T* h, const T* b) {
  T state[kRecurrenceColumns];
  int64_t t = 0;
  if (l.start) {
    for (int64_t c = 0; c < l.columns; ++c) state[c] = l.start[c];
  } else {
    for (int64_t c = 0; c < l.columns; ++c) h[l.at(0) + c] = state[c] = b[l.at(0) + c];
    t = 1;
  }
  for (; t < l.n; ++t) advance_streaming(l.columns, h + l.at(t), state, l.factor(t), b + l.at(t));
  hw::stream_fence();
}

template <class T> void walk_back(const RecurrenceLine<T>& l, T* da, T* db, const T* dh, const T* h) {
  for (int64_t t = l.n - 1; t >= 0; --t) {
    T* g = db + l.at(t);
    if (t + 1 < l.n)
      multiply_add(l.columns, g, l.factor(t + 1), db + l.at(t + 1), dh + l.at(t), true);
    else
      for (int64_t c = 0; c < l.columns; ++c) g[c] = dh[l.at(t) + c];
    const T* before = t ? h + l.at(t - 1) : l.start;
    if (before)
      multiply_conjugate(l.columns, da + l.at(t), g, before);
    else
      for (int64_t c = 0; c < l.columns; ++c) da[l.at(t) + c] = T(0);
  }
}

// A row of real numbers, a pack of steps at once. A stretch of steps takes h to A h + B; two stretches in a row make
// (a2 a1, a2 b1 + b2). Doubling the stretches gives every lane those from the pack's first step to its own (Hillis &
// Steele 1986), and only the carry goes from pack to pack.
template <class T, int... I> INK_INLINE void walk_pack(Lanes<T>& a, Lanes<T>& b, std::integer_sequence<int, I...>) {
  constexpr int N = kLanes<T>;
  const typename Lanes<T>::V one = Lanes<T>(T(1)).v, zero = Lanes<T>(T(0)).v;
  const auto join = [&]<int by>(std::integral_constant<int, by>) {
    const Lanes<T> a1(__builtin_shufflevector(a.v, one, (I < by ? N : I - by)...));
    const Lanes<T> b1(__builtin_shufflevector(b.v, zero, (I < by ? N : I - by)...));
    b = muladd(a, b1, b);
    a = a * a1;
  };
  if constexpr (N > 1) join(std::integral_constant<int, 1>());
  if constexpr (N > 2) join(std::integral_constant<int, 2>());
  if constexpr (N > 4) join(std::integral_constant<int, 4>());
  if constexpr (N > 8) join(std::integral_constant<int, 8>());
}
template <class T, int... I> INK_INLINE Lanes<T> turned(Lanes<T> v, std::integer_sequence<int, I...>) {
  return Lanes<T>(__builtin_shufflevector(v.v, v.v, (kLanes<T> - 1 - I)...));
}
template <class T> void walk_row(const RecurrenceLine<T>& l, T* h, const T* b) {
  constexpr int N = kLanes<T>;
  constexpr auto lanes = std::make_integer_sequence<int, N>();
  T carry = l.start ? *l.start : T(0);
  int64_t t = 0;
  for (; t + N <= l.n; t += N) {
    const int64_t at = l.reverse ? l.n - N - t : t;
    const auto in = [&](const T* p) { return l.reverse ? turned<T>(Lanes<T>::load(p), lanes) : Lanes<T>::load(p); };
    Lanes<T> A = l.constant ? Lanes<T>(*l.a) : in(l.a + at), B = in(b + at);
    if (t == 0 && !l.start) A.v[0] = 0;  // nothing comes before; an infinite factor would make NaN of it
    walk_pack<T>(A, B, lanes);
    B = muladd(A, Lanes<T>(carry), B);
    carry = B[N - 1];
    (l.reverse ? turned<T>(B, lanes) : B).store(h + at);
  }
  for (; t < l.n; ++t) h[l.at(t)] = carry = (t || l.start ? *l.factor(t) * carry : T(0)) + b[l.at(t)];
}

// The gradients of a row: db is the same recurrence the other way, from the second to last step on, with the factor of
// the step that came after.
template <class T> void walk_row_back(const RecurrenceLine<T>& l, T* da, T* db, const T* dh, const T* h) {
  const int64_t first = l.reverse ? l.n - 1 : 0, last = l.n - 1 - first;
  // where the places begin that have a step after, and those that have one before
  const int64_t low = l.reverse, high = !l.reverse;
  db[last] = dh[last];
  walk_row<T>({.n = l.n - 1,
               .stride = 1,
               .columns = 1,
               .reverse = !l.reverse,
               .constant = l.constant,
               .a = l.a + (l.constant ? 0 : high),
               .start = db + last},
              db + low, dh + low);
  multiply_conjugate(l.n - 1, da + high, db + high, h + low);
  da[first] = l.start ? db[first] * *l.start : T(0);
}

// Calls run(line, first element) for blocks of neighbouring columns of every line.
template <class T, class F> void for_blocks(const RecurrenceArgs& r, const void* a, const void* start, F run) {
  const Lines& l = r.lines;
  if (l.inner == 0 || l.n == 0) return;
  const int64_t width = l.inner < kRecurrenceColumns ? l.inner : kRecurrenceColumns,
                blocks = (l.inner + width - 1) / width;
  const int64_t work = l.n * width;
  parallel_for(l.outer * blocks, work < kRecurrenceWork ? kRecurrenceWork / work : 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t outer = task / blocks, first = task % blocks * width, at = outer * l.n * l.inner + first,
                    side = outer * l.inner + first;
      RecurrenceLine<T> line{.n = l.n,
                             .stride = l.inner,
                             .columns = l.inner - first < width ? l.inner - first : width,
                             .reverse = r.reverse,
                             .constant = r.constant,
                             .a = static_cast<const T*>(a) + (r.constant ? side : at),
                             .start = start ? static_cast<const T*>(start) + side : nullptr};
      run(line, at);
    }
  });
}

}  // namespace

void recurrence(const RecurrenceArgs& r, void* h, const void* a, const void* b, const void* start) {
  const bool large = r.lines.outer * r.lines.n * r.lines.inner * size_of(r.dtype) > kRecurrenceStreams;
  visit_field(r.dtype, [&]<class T>() {
    for_blocks<T>(r, a, start, [&](const RecurrenceLine<T>& line, int64_t at) {
      T* to = static_cast<T*>(h) + at;
      const T* from = static_cast<const T*>(b) + at;
      if constexpr (!is_complex_type<T> && kLanes < T >> 1)
        if (line.stride == 1) return walk_row(line, to, from);
      large&& can_stream(line, to) ? walk_columns_streaming(line, to, from) : walk_columns(line, to, from);
    });
  });
}

void recurrence_backward(const RecurrenceArgs& r, void* da, void* db, const void* dh, const void* a, const void* h,
                         const void* start) {
  visit_field(r.dtype, [&]<class T>() {
    for_blocks<T>(r, a, start, [&](const RecurrenceLine<T>& line, int64_t at) {
      if constexpr (!is_complex_type<T> && kLanes < T >> 1)
        if (line.stride == 1)
          return walk_row_back(line, static_cast<T*>(da) + at, static_cast<T*>(db) + at, static_cast<const T*>(dh) + at,
                               static_cast<const T*>(h) + at);
      walk_back(line, static_cast<T*>(da) + at, static_cast<T*>(db) + at, static_cast<const T*>(dh) + at,
                static_cast<const T*>(h) + at);
    });
  });
}

}  // namespace ink::INK_CPU_LEVEL
