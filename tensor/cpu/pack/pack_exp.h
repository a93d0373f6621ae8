// exp, log and what follows from them, a pack at a time. Polynomials are minimax fits (Remez exchange) for the relative
// error; their size is given beside each. Measured errors: tests/kernels/test_pack.cpp. Included by pack_math.h.
#pragma once
#include "tensor/cpu/pack/pack_math.h"

namespace ink::INK_CPU_LEVEL {

// The split of x = n ln 2 + r, and the arguments beyond which e^x is 0 or infinite.
template <class T> struct ExpRange;
template <> struct ExpRange<float> {
  static constexpr float magic = 0x1.8p23f, low = -104, high = 89, tiny = 0x1p-25f;
  static constexpr float log2e = 0x1.715476p0f, ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cp-20f;
};
template <> struct ExpRange<double> {
  static constexpr double magic = 0x1.8p52, low = -746, high = 710, tiny = 0x1p-54;
  static constexpr double log2e = 0x1.71547652b82fep0, ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;
};

// 2^n for whole n inside the exponent range, n given as an integer.
template <class T, int N> INK_INLINE Pack<T, N> power_of_two(Pack<int_of<T>, N> n) {
  constexpr int bits = sizeof(T) == 4 ? 23 : 52, bias = sizeof(T) == 4 ? 127 : 1023;
  return bit_cast<T>(Pack<int_of<T>, N>((n.v + bias) << bits));
}

// x = n ln 2 + r with |r| <= ln 2 / 2. Adding `magic` leaves the nearest whole number in the low bits of the sum; n
// ln2_high is exact, as ln2_high has few digits.
template <class T, int N> struct Reduced {
  Pack<T, N> r, n;
  Pack<int_of<T>, N> whole;
};
template <class T, int N> INK_INLINE Reduced<T, N> reduce_exp(Pack<T, N> x) {
  using P = Pack<T, N>;
  using R = ExpRange<T>;
  P shifted = muladd(x, P(R::log2e), P(R::magic)), n = shifted - P(R::magic);
  P r = muladd(n, P(-R::ln2_low), muladd(n, P(-R::ln2_high), x));
  return {r, n, Pack<int_of<T>, N>(bit_cast<int_of<T>>(shifted).v - bit_cast<int_of<T>>(P(R::magic)).v)};
}

// e^r - 1 = r + r^2 q(r), |r| <= ln 2 / 2; error 2^-26 (float), 2^-61 (double).
template <class T, int N> INK_INLINE Pack<T, N> expm1_poly(Pack<T, N> r) {
  if constexpr (sizeof(T) == 4) {
    return muladd(r * r,
                  horner(r, 0.49999998153012181, 0.16666543571867732, 0.041667200054167116, 0.0083665272183164981,
                         0.0013882521284908447),
                  r);
  } else {
    return muladd(r * r,
                  horner(r, 0.5, 0.1666666666666667652, 0.04166666666666650861, 0.008333333333321682133,
                         0.001388888888896244133, 0.0001984126988599303261, 0.00002480158717243842755,
                         2.755724434388672789e-6, 2.755740269344721888e-7, 2.510899040592495804e-8,
                         2.087532510473467769e-9),
                  r);
  }
}

// p 2^n with gradual underflow.
template <class T, int N> INK_INLINE Pack<T, N> scale(Pack<T, N> p, Reduced<T, N> x) {
  if constexpr (hw::has_scale<T, N>) return Pack<T, N>(hw::scale<T, N>(p.v, x.n.v));
  using I = Pack<int_of<T>, N>;
  I half(x.whole.v >> 1), rest(x.whole.v - half.v);  // 2^n itself may not be a normal number
  return p * power_of_two<T, N>(half) * power_of_two<T, N>(rest);
}

template <class T, int N> INK_INLINE Pack<T, N> exp(Pack<T, N> x) {
  auto reduced = reduce_exp(clamp(x, ExpRange<T>::low, ExpRange<T>::high));
  return scale(Pack<T, N>(T(1)) + expm1_poly(reduced.r), reduced);
}

// 2^n (e^r - 1) + (2^n - 1), all of it halved and doubled again: 2^128 is no float.
template <class T, int N> INK_INLINE Pack<T, N> expm1(Pack<T, N> x) {
  using P = Pack<T, N>;
  auto reduced = reduce_exp(clamp(x, T(-40), ExpRange<T>::high));
  P s = power_of_two<T, N>(Pack<int_of<T>, N>(reduced.whole.v - 1));
  P y = muladd(s, expm1_poly(reduced.r), s - P(T(0.5)));
  return select(abs(x) < P(ExpRange<T>::tiny), x, y + y);
}

// a - b modulo the word: the bits of a negative or NaN argument may overflow, and its result is replaced later.
template <class I, int N> INK_INLINE Pack<I, N> wrapping_sub(Pack<I, N> a, Pack<I, N> b) {
  using U = std::make_unsigned_t<I>;
  return bit_cast<I>(bit_cast<U>(a) - bit_cast<U>(b));
}

// x = 2^e (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), for positive x, subnormals included. `e` is returned as a float.
template <class T, int N> INK_INLINE void split_log(Pack<T, N> x, Pack<T, N>& f, Pack<T, N>& e) {
  using I = int_of<T>;
  constexpr int bits = sizeof(T) == 4 ? 23 : 52;
  constexpr I root_half = sizeof(T) == 4 ? I(0x3f3504f3) : I(0x3fe6a09e667f3bcd);
  auto subnormal = x < Pack<T, N>(std::numeric_limits<T>::min());
  x = select(subnormal, x * Pack<T, N>(T(sizeof(T) == 4 ? 0x1p23 : 0x1p52)), x);
  auto offset = wrapping_sub(bit_cast<I>(x), Pack<I, N>(root_half)).v;
  f = bit_cast<T>(Pack<I, N>((offset & ((I(1) << bits) - 1)) + root_half)) - Pack<T, N>(T(1));
  e = convert<T>(Pack<I, N>((offset >> bits) + (subnormal.v & -bits)));
}

// log(1 + f) + e ln 2. float: f - f^2/2 + f^3 p(f), error 2^-27. double: with s = f / (2 + f), log(1 + f) = 2 atanh(s)
// = f - s (f - s^2 p(s^2)) (as in FreeBSD's e_log.c), error 2^-66.
template <class T, int N> INK_INLINE Pack<T, N> log_poly(Pack<T, N> f, Pack<T, N> e) {
  using P = Pack<T, N>;
  P high(ExpRange<T>::ln2_high), low(ExpRange<T>::ln2_low);
  if constexpr (sizeof(T) == 4) {
    P f2 = f * f;
    P p = horner(f, 0.33333331707117562, -0.25000821024592572, 0.20001226890627531, -0.16623357660376109,
                 0.14201758008318195, -0.13160179735715341, 0.12761575883015596, -0.076345013880613364);
    P tail = muladd(f2, P(-0.5f), muladd(e, low, f * f2 * p));
    return muladd(e, high, f + tail);
  } else {
    P s = f / (P(2) + f), z = s * s, h = f * f * P(0.5);
    P p = z * horner(z, 0.6666666666666666097, 0.4000000000000625121, 0.2857142856908450311, 0.2222222264700451555,
                     0.1818177564888448963, 0.1538709148512513354, 0.1325010170087033917, 0.1325147884754273332);
    return e * high - ((h - (s * (h + p) + e * low)) - f);
  }
}

// The values of log at 0, below 0, infinity and NaN, where y is what the polynomial gave.
template <class T, int N> INK_INLINE Pack<T, N> log_edges(Pack<T, N> x, Pack<T, N> y) {
  using P = Pack<T, N>;
  P zero(T(0)), inf(highest<T>()), nan(std::numeric_limits<T>::quiet_NaN());
  y = select(x < inf, y, x);  // infinity and NaN: themselves
  y = select(x < zero, nan, y);
  return select(x == zero, -inf, y);
}

template <class T, int N> INK_INLINE Pack<T, N> log(Pack<T, N> x) {
  Pack<T, N> f, e;
  split_log(x, f, e);
  return log_edges(x, log_poly(f, e));
}

// log(1 + f) / ln 2 + e: exact at the powers of two.
template <class T, int N> INK_INLINE Pack<T, N> log2(Pack<T, N> x) {
  using P = Pack<T, N>;
  P f, e;
  split_log(x, f, e);
  P l = log_poly(f, P(T(0)));
  P c(ExpRange<T>::log2e), c_low(T(sizeof(T) == 4 ? 0x1.4ae0bep-26 : 0x1.777d0ffda0d24p-56));
  return log_edges(x, muladd(l, c, muladd(l, c_low, e)));
}

// 1 + x = 2^e (1 + f) splits the rounded sum; f is then formed from x itself, 2^-e x - (1 - 2^-e), so nothing is lost.
template <class T, int N> INK_INLINE Pack<T, N> log1p(Pack<T, N> x) {
  using P = Pack<T, N>;
  using I = Pack<int_of<T>, N>;
  constexpr int bits = sizeof(T) == 4 ? 23 : 52;
  P one(T(1)), u = one + x, f, e;
  split_log(u, f, e);
  I shift(convert<int_of<T>>(e).v << bits);
  P scaled = bit_cast<T>(wrapping_sub(bit_cast<int_of<T>>(x), shift));  // 2^-e x: x is normal where e is not 0
  P rest = one - bit_cast<T>(max(wrapping_sub(bit_cast<int_of<T>>(one), shift), I(int_of<T>(0))));
  P y = log_edges(u, log_poly(scaled - rest, e));
  return select(abs(x) < P(ExpRange<T>::tiny), x, y);
}

// float: x p(x^2) / q(x^2) up to where tanh rounds to 1 (and the quotient does, fused or not); error 2^-30. double: by
// expm1.
template <class T, int N> INK_INLINE Pack<T, N> tanh(Pack<T, N> x) {
  using P = Pack<T, N>;
  if constexpr (sizeof(T) == 4) {
    P c = clamp(x, -9.01110077f, 9.01110077f), z = c * c;
    P p = horner(z, 0.99999999906081245, 0.13785794536375037, 0.0040090581406781803, 3.1601037931635462e-5,
                 5.0804489384068447e-8);
    P q = horner(z, 1, 0.47119126949616854, 0.027739496308438305, 0.00042084016039510495, 1.6184157793373734e-6,
                 7.3829659707665055e-10);
    return clamp(c * p / q, -1.f, 1.f);
  } else {
    P t = expm1(P(T(-2)) * abs(x));
    return copysign(-t / (P(T(2)) + t), x);
  }
}

// float: x p(x^2) / q(x^2) up to where erf rounds to 1 (and the quotient does); error 2^-26.
template <class T, int N> INK_INLINE Pack<T, N> erf(Pack<T, N> x) {
  using P = Pack<T, N>;
  if constexpr (sizeof(T) == 4) {
    P c = clamp(x, -3.83260059f, 3.83260059f), z = c * c;
    P p = horner(z, 1.1283791520567902, 0.18731258227587788, 0.052418992785345561, 0.0036529107459507206,
                 0.00028594210389904714, 2.1230357754630582e-6);
    P q = horner(z, 1, 0.49933435753162783, 0.1129021672621013, 0.014742812746366811, 0.0011417368353631692,
                 3.8897230834988746e-5);
    return clamp(c * p / q, -1.f, 1.f);
  } else {
    return lanewise([](T v) { return fn::erf(v); }, x);
  }
}

// x^y = e^(y log |x|) in double, which leaves a float right to within its rounding; then the cases of C99 F.9.4.4.
template <int N> INK_INLINE Pack<float, N> abs_pow(Pack<float, N> x, Pack<float, N> y) {
  if constexpr (N > kLanes<double> && N > 1) {
    return join(abs_pow(low_half(x), low_half(y)), abs_pow(high_half(x), high_half(y)));
  } else {
    return convert<float>(exp(convert<double>(y) * log(convert<double>(x))));
  }
}
template <class T, int N> INK_INLINE Pack<T, N> pow(Pack<T, N> x, Pack<T, N> y) {
  using P = Pack<T, N>;
  if constexpr (sizeof(T) == 4) {
    P zero(T(0)), one(T(1)), a = abs(x), r = abs_pow(a, y), half_y = y * P(T(0.5));
    auto whole = trunc(y) == y, odd = whole & (trunc(half_y) != half_y);
    r = select(odd, copysign(r, x), r);
    r = select((x < zero) & isfinite(x) & !whole, P(std::numeric_limits<T>::quiet_NaN()), r);
    r = select((a == one) & isinf(y), one, r);
    return select((y == zero) | (x == one), one, r);
  } else {
    return lanewise([](T u, T v) { return fn::pow(u, v); }, x, y);
  }
}

}  // namespace ink::INK_CPU_LEVEL
