// Philox (tensor/math/philox.h) for many counters at once, bit for bit, and packs of normals.
#pragma once
#include "tensor/cpu/pack/pack_math.h"
#include "tensor/math/philox.h"

namespace ink::INK_CPU_LEVEL {

// out[4 i .. 4 i + 3] = philox(seed, block + i, wide), for i in [0, blocks); blocks is a multiple of kLanes<uint64_t>.
// One counter a 64-bit lane: a product is then one instruction, its low half needs no unpacking (the next product
// ignores upper halves), and only the last round cleans up.
INK_INLINE void philox_words(uint32_t* out, uint64_t seed, uint64_t block, uint32_t wide, int blocks) {
  constexpr int N = kLanes<uint64_t>;
  using P = Pack<uint64_t, N>;
  using V = typename P::V;
  P lane;
  for (int i = 0; i < N; ++i) lane.v[i] = i;
  V mul0 = P(uint64_t(Philox::mul0)).v, mul1 = P(uint64_t(Philox::mul1)).v;
  for (int i = 0; i < blocks; i += N) {
    V c0 = lane.v + (block + i), c1 = c0 >> 32, c2 = P(uint64_t(wide)).v, c3 = V{};
    uint32_t key0 = uint32_t(seed), key1 = uint32_t(seed >> 32);
#pragma GCC unroll 10
    for (int round = 0; round < Philox::rounds; ++round) {
      V a = hw::mul_low32<N>(c0, mul0), b = hw::mul_low32<N>(c2, mul1);
      c0 = (b >> 32) ^ c1 ^ uint64_t(key0);
      c1 = b;
      c2 = (a >> 32) ^ c3 ^ uint64_t(key1);
      c3 = a;
      key0 += Philox::weyl0;
      key1 += Philox::weyl1;
    }
    P first((c0 & 0xffffffff) | (c1 << 32)), second((c2 & 0xffffffff) | (c3 << 32));
    interleave(first, second);
    __builtin_memcpy(out + 4 * i, &first.v, sizeof(V));
    __builtin_memcpy(out + 4 * i + 2 * N, &second.v, sizeof(V));
  }
}

// Lanes of 32 random bits as uniforms on [0, 1) of `digits` binary digits.
template <int digits, int N> INK_INLINE Pack<float, N> uniform_from(Pack<uint32_t, N> bits) {
  return convert<float>(Pack<int32_t, N>((vector_of<int32_t, N>)(bits.v >> (32 - digits)))) *
         Pack<float, N>(1.f / float(1 << digits));
}

// normal_from of tensor/math/philox.h: u and v become the cosine and the sine normals.
template <int N> INK_INLINE SinCos<N> normal_from(Pack<uint32_t, N> u, Pack<uint32_t, N> v) {
  using P = Pack<float, N>;
  using I = Pack<int32_t, N>;
  P uniform = (convert<float>(bit_cast<int32_t>(Pack<uint32_t, N>(u.v >> 1))) + P(0.5f)) * P(0x1p-31f);
  P radius = sqrt(P(-2.f) * log(uniform));
  P rest = convert<float>(bit_cast<int32_t>(Pack<uint32_t, N>(v.v << 2))) * P(0x1.921fb6p-32f);
  SinCos<N> angle = turn(sincos_poly(rest), I((vector_of<int32_t, N>)((v.v + (1u << 29)) >> 30)));
  return {radius * angle.sin, radius * angle.cos};
}

}  // namespace ink::INK_CPU_LEVEL
