// Floating point formats by their bits: what a number becomes in f16, bf16, tf32 or an 8-bit format, and which number a
// code stands for. Arithmetic on tensors uses tensor/math/half.h; this is the definition, for any format up to f32, on
// the host.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace ink {

// What becomes of a number beyond the largest one, and of an infinity.
enum class Overflow : uint8_t {
  infinity,  // an infinity; NaN in a format that has none
  saturate,  // the largest finite number
};

// 1 sign bit, then exponent bits, then fraction bits. A code with exponent field E and fraction field F stands for
// 2^(E - bias) (1 + F / 2^f), and for 2^(1 - bias) F / 2^f if E = 0: the subnormal numbers (IEEE 754-2019, 3.4).
struct FloatFormat {
  const char* name;
  int exponent_bits, fraction_bits;
  // false: the largest exponent field holds numbers too, and only all ones is NaN (e4m3; Micikevicius et al. 2022)
  bool infinities = true;

  constexpr int bits() const { return 1 + exponent_bits + fraction_bits; }
  constexpr int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  constexpr int min_exponent() const { return 1 - bias(); }
  constexpr int max_exponent() const { return bias() + (infinities ? 0 : 1); }
  double largest() const {
    const double below_two = 2 - std::ldexp(infinities ? 1.0 : 2.0, -fraction_bits);  // e4m3's all ones is NaN
    return std::ldexp(below_two, max_exponent());
  }
  double smallest_normal() const { return std::ldexp(1.0, min_exponent()); }
  double smallest() const { return std::ldexp(1.0, min_exponent() - fraction_bits); }

  // The distance to the next larger number, for |x| in the format's range: 2^(max(floor(log2 |x|), e_min) - f).
  double spacing(double x) const { return std::ldexp(1.0, exponent_of(x) - fraction_bits); }  // (10.2)

  // x rounded to nearest, ties to the even fraction. Adding 1.5 * 2^52 spacings leaves no bit below the last place of
  // the format, so that the hardware's own rounding of f64 is that of the format.
  double round(double x, Overflow overflow = Overflow::infinity) const {
    if (std::isnan(x) || x == 0 || fraction_bits >= 52) return x;
    if (std::isinf(x)) return overflowed(x, overflow);
    const double magic = 0x1.8p52 * spacing(x);
    const double y = std::copysign((x + magic) - magic, x);  // (10.3)
    return std::abs(y) > largest() ? overflowed(x, overflow) : y;
  }

  // The code of x, rounded as above. A NaN becomes the quiet NaN of its sign with an empty payload.
  uint64_t encode(double x, Overflow overflow = Overflow::infinity) const {
    const uint64_t sign = uint64_t(std::signbit(x)) << (bits() - 1);
    const double y = std::abs(round(x, overflow));
    if (std::isnan(y)) return sign | (infinities ? infinity_code() | uint64_t(1) << (fraction_bits - 1) : all_ones());
    if (std::isinf(y)) return sign | infinity_code();
    if (y == 0) return sign;
    const int e = exponent_of(y);
    // y / spacing is below 2^f for a subnormal and from 2^f on else, which is where its exponent field grows by one
    return sign | ((uint64_t(e + bias() - 1) << fraction_bits) + uint64_t(std::ldexp(y, fraction_bits - e)));
  }
  // The number of a code; bits above the format's are not looked at.
  double decode(uint64_t code) const {
    const uint64_t fraction = code & ((uint64_t(1) << fraction_bits) - 1);
    const int field = int(code >> fraction_bits) & ((1 << exponent_bits) - 1);
    const double sign = code >> (bits() - 1) & 1 ? -1 : 1;
    if (infinities && field == (1 << exponent_bits) - 1)
      return fraction == 0 ? sign * INFINITY : std::copysign(NAN, sign);
    if (!infinities && (code & all_ones()) == all_ones()) return std::copysign(NAN, sign);
    if (field == 0) return sign * std::ldexp(double(fraction), min_exponent() - fraction_bits);
    const double one_and_fraction = double(fraction + (uint64_t(1) << fraction_bits));
    return sign * std::ldexp(one_and_fraction, field - bias() - fraction_bits);  // (10.1)
  }

 private:
  uint64_t all_ones() const { return (uint64_t(1) << (bits() - 1)) - 1; }
  uint64_t infinity_code() const { return ((uint64_t(1) << exponent_bits) - 1) << fraction_bits; }
  double overflowed(double x, Overflow overflow) const {
    if (overflow == Overflow::saturate) return std::copysign(largest(), x);
    return std::copysign(infinities ? double(INFINITY) : double(NAN), x);
  }
  int exponent_of(double x) const {  // of the binade that x lies in, at least that of the subnormal numbers
    const int field = int(std::bit_cast<uint64_t>(x) >> 52) & 0x7ff;
    const int e = field == 0 ? -1023 : field - 1023;
    return e < min_exponent() ? min_exponent() : e;
  }
};

namespace formats {
inline constexpr FloatFormat f32{"f32", 8, 23};
inline constexpr FloatFormat tf32{"tf32", 8, 10};  // what products on tensor cores make of f32 factors; never stored
inline constexpr FloatFormat f16{"f16", 5, 10};
inline constexpr FloatFormat bf16{"bf16", 8, 7};
inline constexpr FloatFormat e4m3{"e4m3", 4, 3, false};
inline constexpr FloatFormat e5m2{"e5m2", 5, 2};
}  // namespace formats

}  // namespace ink
