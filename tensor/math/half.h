// The 16-bit storage types: conversions to and from float, round to nearest even. Arithmetic is done in float.
#pragma once
#include <bit>
#include <concepts>
#include <cstdint>

#include "tensor/math/hd.h"

namespace ink {

// d as a float that rounds on to 16 bits as d itself does: where d is not a float, the neighbour with an odd last bit
// ("round to odd", Boldo & Melquiond 2008). Rounded to the nearest float instead, d could become a tie that it is not.
INK_HD INK_INLINE float to_odd(double d) {
  const float f = float(d);
  const double back = double(f), size = back < 0 ? -back : back, wanted = d < 0 ? -d : d;
  const uint32_t bits = std::bit_cast<uint32_t>(f);
  const uint32_t step = size < wanted ? 1u : size > wanted ? ~0u : 0u;  // 0 for NaN
  return std::bit_cast<float>(bits & 1u ? bits : bits + step);
}
// The same for integers: the 11 bits that a double may lack are or-ed into one.
INK_HD INK_INLINE float to_odd(int64_t i) {
  const uint64_t size = i < 0 ? 0 - uint64_t(i) : uint64_t(i),
                 folded = size >> 53 ? (size & ~0x7ffull) | ((size & 0x7ff) != 0 ? 0x800ull : 0) : size;
  return to_odd(i < 0 ? -double(folded) : double(folded));
}

// IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits; largest finite value 65504.
struct half {
  uint16_t bits;
  half() = default;
  INK_HD INK_INLINE half(float f) : bits(encode(f)) {}
  INK_HD INK_INLINE half(double d) : bits(encode(to_odd(d))) {}
  template <std::integral I> INK_HD INK_INLINE half(I i) : bits(encode(to_odd(int64_t(i)))) {}
  INK_HD INK_INLINE operator float() const { return decode(bits); }

  INK_HD INK_INLINE static float decode(uint16_t h) {
    uint32_t sign = uint32_t(h & 0x8000) << 16, magnitude = uint32_t(h & 0x7fff) << 13;
    // Rescaling by 2^112 moves the exponent bias from 15 to 127 and normalises subnormals; inf and NaN are patched.
    float scaled = std::bit_cast<float>(magnitude) * 0x1p112f;
    uint32_t special = magnitude >= (0x7c00u << 13) ? 0x7f800000u | magnitude : std::bit_cast<uint32_t>(scaled);
    return std::bit_cast<float>(special | sign);
  }
  INK_HD INK_INLINE static uint16_t encode(float f) {
    uint32_t x = std::bit_cast<uint32_t>(f), sign = (x >> 16) & 0x8000, a = x & 0x7fffffff;
    // Subnormal results: adding 0.5 aligns the fraction so that the hardware rounds it to a multiple of 2^-24.
    uint32_t sub = std::bit_cast<uint32_t>(std::bit_cast<float>(a) + 0.5f) - 0x3f000000u;
    uint32_t normal = (a + 0xc8000fffu + ((a >> 13) & 1)) >> 13;
    uint32_t r = a < 0x38800000u ? sub : normal;
    r = a >= 0x477ff000u ? 0x7c00u : r;
    r = a > 0x7f800000u ? 0x7e00u : r;
    return uint16_t(r | sign);
  }
};

// bfloat16: the upper half of a float; its range, with 7 fraction bits.
struct bfloat16 {
  uint16_t bits;
  bfloat16() = default;
  INK_HD INK_INLINE bfloat16(float f) : bits(encode(f)) {}
  INK_HD INK_INLINE bfloat16(double d) : bits(encode(to_odd(d))) {}
  template <std::integral I> INK_HD INK_INLINE bfloat16(I i) : bits(encode(to_odd(int64_t(i)))) {}
  INK_HD INK_INLINE operator float() const { return std::bit_cast<float>(uint32_t(bits) << 16); }

  INK_HD INK_INLINE static uint16_t encode(float f) {
    uint32_t x = std::bit_cast<uint32_t>(f);
    uint32_t r = (x + 0x7fffu + ((x >> 16) & 1)) >> 16;
    return uint16_t((x & 0x7fffffffu) > 0x7f800000u ? (x >> 16) | 0x40u : r);
  }
};

}  // namespace ink
