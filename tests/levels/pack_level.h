// The pack functions of one CPU level behind function pointers: pack_level.cpp is compiled once per level, and
// test_pack.cpp runs the same checks on every level this machine can run.
#pragma once
#include "tensor/math/half.h"
#include "tensor/math/math.h"

namespace ink {

// y = f(x) for n numbers, n any size; predicates give 1 and 0. The same formula on packs and on numbers.
template <class T> struct UnaryPair { void (*pack)(const T*, T*, int64_t), (*scalar)(const T*, T*, int64_t); };
template <class T> struct BinaryPair {
  void (*pack)(const T*, const T*, T*, int64_t), (*scalar)(const T*, const T*, T*, int64_t);
};

template <class T> struct LaneFunctions {
  int lanes;
  void (*gather)(const T* x, int64_t stride, T* y);
  void (*scatter)(const T* x, T* y, int64_t stride);
  void (*stream)(const T* x, T* aligned);
  void (*part)(const T* x, T* y, int64_t n);
  void (*interleaved)(const T* x, T* y);  // two packs interleaved, then the two taken apart again
  void (*totals)(const T* x, T* y);       // sum, max, min
  void (*mask)(const T* x, const bool* in, bool* out, int64_t n);  // (x > 0) ^ in
  bool (*any_positive)(const T* x);
  bool (*all_positive)(const T* x);
  void (*fused)(const T* a, const T* b, const T* c, T* y);
};

struct PackLevel {
  int vector_bytes;
  UnaryPair<float> (*unary_f32)(int op);  // by index in UnaryOps; null where the formula takes no floats
  UnaryPair<double> (*unary_f64)(int op);
  BinaryPair<float> (*binary_f32)(int op);
  BinaryPair<double> (*binary_f64)(int op);
  void (*decode_f16)(const half*, float*, int64_t);
  void (*encode_f16)(const float*, half*, int64_t);
  void (*decode_bf16)(const bfloat16*, float*, int64_t);
  void (*encode_bf16)(const float*, bfloat16*, int64_t);
  LaneFunctions<float> f32;
  LaneFunctions<double> f64;
  void (*philox_words)(uint32_t* out, uint64_t seed, uint64_t block, uint32_t wide, int blocks);
};

namespace cpu_base {
extern const PackLevel pack_level;
}
namespace cpu_v3 {
extern const PackLevel pack_level;
}
namespace cpu_v4 {
extern const PackLevel pack_level;
}
namespace cpu_scalar {
extern const PackLevel pack_level;
}

}  // namespace ink
