// The 16-bit storage types: conversions to and from float, round to nearest even. Arithmetic is done in float.
#pragma once
#include <bit>
#include <cstdint>

#include "tensor/math/hd.h"

namespace ink {

// IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits; largest finite value 65504.
struct half {
  uint16_t bits;
  half() = default;
  INK_HD INK_INLINE half(float f) : bits(encode(f)) {}
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
  INK_HD INK_INLINE operator float() const { return std::bit_cast<float>(uint32_t(bits) << 16); }

  INK_HD INK_INLINE static uint16_t encode(float f) {
    uint32_t x = std::bit_cast<uint32_t>(f);
    uint32_t r = (x + 0x7fffu + ((x >> 16) & 1)) >> 16;
    return uint16_t((x & 0x7fffffffu) > 0x7f800000u ? (x >> 16) | 0x40u : r);
  }
};

}  // namespace ink
