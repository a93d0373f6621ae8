// Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2,
// 3" (SC 2011): a keyed bijection of 128-bit counters, so any element of a stream can be drawn alone, on any device.
//
// A stream (seed, offset): the seed is the key; element i is made from position p = offset + i.
//   32-bit draws (f32): word p mod 4 of philox({p / 4, 0}); 64-bit draws (f64, integers): words 2 (p mod 2) and the
//   next of philox({p / 2, 1}). The second entry keeps the two kinds of draw apart, so that a generator of both kinds
//   need only count elements.
#pragma once
#include <cstdint>

#include "tensor/math/math.h"

namespace ink {

struct PhiloxWords {
  uint32_t w[4];
};

struct Philox {
  static constexpr uint32_t mul0 = 0xD2511F53, mul1 = 0xCD9E8D57;    // the multipliers of a round
  static constexpr uint32_t weyl0 = 0x9E3779B9, weyl1 = 0xBB67AE85;  // added to the key between rounds
  static constexpr int rounds = 10;
};

// The bijection itself, on four words of counter and two of key.
INK_HD INK_INLINE PhiloxWords philox4x32(PhiloxWords c, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < Philox::rounds; ++round) {
    uint64_t a = uint64_t(Philox::mul0) * c.w[0], b = uint64_t(Philox::mul1) * c.w[2];
    c = {{uint32_t(b >> 32) ^ c.w[1] ^ key0, uint32_t(b), uint32_t(a >> 32) ^ c.w[3] ^ key1, uint32_t(a)}};
    key0 += Philox::weyl0;
    key1 += Philox::weyl1;
  }
  return c;
}

// Block number `block` of a seed's 32-bit (wide = 0) or 64-bit (wide = 1) draws.
INK_HD INK_INLINE PhiloxWords philox(uint64_t seed, uint64_t block, uint32_t wide) {
  return philox4x32({{uint32_t(block), uint32_t(block >> 32), wide, 0}}, uint32_t(seed), uint32_t(seed >> 32));
}
// The draw at position p.
INK_HD INK_INLINE uint32_t philox_u32(uint64_t seed, uint64_t p) { return philox(seed, p / 4, 0).w[p % 4]; }
INK_HD INK_INLINE uint64_t philox_u64(uint64_t seed, uint64_t p) {
  PhiloxWords r = philox(seed, p / 2, 1);
  return r.w[p % 2 * 2] | uint64_t(r.w[p % 2 * 2 + 1]) << 32;
}

// Uniform on [0, 1): the upper 24 (53) bits, so every value is exact and 1 never appears.
INK_HD INK_INLINE float uniform_from(uint32_t bits) { return float(bits >> 8) * 0x1p-24f; }
INK_HD INK_INLINE double uniform_from(uint64_t bits) { return double(bits >> 11) * 0x1p-53; }

// An integer in [low, low + range): the upper half of the product bits * range (Lemire 2019, without rejection: a
// value's probability is off by less than range / 2^64).
INK_HD INK_INLINE int64_t integer_from(uint64_t bits, int64_t low, uint64_t range) {
  uint64_t a = bits >> 32, b = bits & 0xffffffff, c = range >> 32, d = range & 0xffffffff;
  uint64_t middle = a * d + (b * d >> 32), cross = b * c + (middle & 0xffffffff);
  return int64_t(uint64_t(low) + (a * c + (middle >> 32) + (cross >> 32)));
}

// Two independent standard normals from two draws (Box & Muller 1958): radius sqrt(-2 log u), angle 2 pi v. The angle
// is taken as quarter turns plus a rest, which is exact. Half a step is added to u, so that it is never 0.
template <class T> struct NormalPair { T cos, sin; };
template <class T> INK_HD INK_INLINE NormalPair<T> turn_normal(T radius, T rest, uint32_t quarter) {
  T c = radius * fn::cos(rest), s = radius * fn::sin(rest);
  T x = quarter & 1 ? -s : c, y = quarter & 1 ? c : s;
  return quarter & 2 ? NormalPair<T>{-x, -y} : NormalPair<T>{x, y};
}
INK_HD INK_INLINE NormalPair<float> normal_from(uint32_t u, uint32_t v) {
  float radius = fn::sqrt(-2.f * fn::log((float(int32_t(u >> 1)) + 0.5f) * 0x1p-31f));
  return turn_normal(radius, float(int32_t(v << 2)) * 0x1.921fb6p-32f, (v + (1u << 29)) >> 30);
}
INK_HD INK_INLINE NormalPair<double> normal_from(uint64_t u, uint64_t v) {
  double radius = fn::sqrt(-2.0 * fn::log((double(int64_t(u >> 11)) + 0.5) * 0x1p-53));
  return turn_normal(radius, double(int64_t(v << 2)) * 0x1.921fb54442d18p-64, uint32_t((v + (1ull << 61)) >> 62));
}

}  // namespace ink
