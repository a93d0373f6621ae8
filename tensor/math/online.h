// Online softmax as an algebra. What has been seen of a row of scores x_t with values v_t is the state
//
//   m = max x_t,   l = sum e^{x_t - m},   o = sum e^{x_t - m} v_t,
//
// and the states of two parts merge into that of both. The merge is associative and (-inf, 0, 0) is neutral: so a row
// may be taken number by number, tile by tile, by several threads, or in windows, and the answer is o / l. Milakov &
// Gimelshein 2018, section 3; Dao et al. 2022, section 3.1. T is a number or a pack of them.
#pragma once
#include "tensor/math/math.h"

namespace ink::fn {

template <class T> struct Online { T m = T(lowest<scalar_t<T>>()), l = T(scalar_t<T>(0)); };

// What is taken off the scores of a state with maximum `top`: that, or 0 if it has seen nothing (-inf - -inf would be
// NaN).
template <class T> INK_HD INK_INLINE T online_shift(T top) {
  using S = scalar_t<T>;
  return select(top == T(lowest<S>()), T(S(0)), top);
}
// What the sums of a state with maximum `m` are multiplied by when the maximum becomes `top`: e^{m - top}, and 0 for a
// state that has seen nothing.
template <class T> INK_HD INK_INLINE T online_scale(T m, T top) { return exp(m - online_shift(top)); }
template <class T> INK_HD INK_INLINE Online<T> online_merge(Online<T> a, Online<T> b) {
  const T top = max(a.m, b.m);
  return {top, a.l * online_scale(a.m, top) + b.l * online_scale(b.m, top)};  // (4.5)
}
// log sum e^{x_t}; -inf if nothing has been seen.
template <class T> INK_HD INK_INLINE T online_lse(Online<T> s) { return s.m + log(s.l); }

}  // namespace ink::fn
