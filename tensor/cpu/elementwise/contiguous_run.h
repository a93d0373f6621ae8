// Copying a run of a strided operand into a small contiguous buffer and back. Every inner function of the CPU
// backend then sees contiguous memory, so that one instantiation serves all layouts and gives the same bits for all.
#pragma once
#include "tensor/backend/loop.h"
#include "tensor/cpu/table.h"

namespace ink::INK_CPU_LEVEL {

inline constexpr int64_t kChunk = 512;     // elements in a buffer: three f32 operands stay in L1
inline constexpr int64_t kGrain = 32768;   // elements in a piece of parallel work
inline constexpr int64_t kDirectRow = 64;  // shorter rows are gathered several at a time

// Elements by their size only: moving them needs no more.
template <int64_t size> struct Bits;
template <> struct Bits<1> { using type __attribute__((may_alias)) = uint8_t; };
template <> struct Bits<2> { using type __attribute__((may_alias)) = uint16_t; };
template <> struct Bits<4> { using type __attribute__((may_alias)) = uint32_t; };
template <> struct Bits<8> { using type __attribute__((may_alias)) = uint64_t; };
template <> struct Bits<16> { using type __attribute__((may_alias, aligned(8))) = unsigned __int128; };

// Calls f.operator()<B>() with the Bits of that size. (The type itself, as a template argument, would lose may_alias.)
template <class F> INK_INLINE decltype(auto) visit_bits(int64_t size, F&& f) {
  switch (size) {
    case 1:
      return f.template operator()<Bits<1>>();
    case 2:
      return f.template operator()<Bits<2>>();
    case 4:
      return f.template operator()<Bits<4>>();
    case 8:
      return f.template operator()<Bits<8>>();
    default:
      return f.template operator()<Bits<16>>();
  }
}

inline constexpr int64_t kStreamBytes = int64_t(16) << 20;  // traffic above which the caches do not help

struct alignas(64) Buffer {
  char bytes[kChunk * 16];
};

// buffer[0, n) = elements of operand k from `at` on (by value: the caller's position stays). Halves become f32.
void gather_run(void* buffer, const Loop& loop, int k, Position at, const void* data, DType dtype, int64_t n);
// The same without conversion, for elements of `size` bytes.
void gather_raw(void* buffer, const Loop& loop, int k, Position at, const void* data, int64_t size, int64_t n);
// The opposite direction; for a half the buffer holds f32, which is rounded.
void scatter_run(void* data, const Loop& loop, int k, Position at, const void* buffer, DType dtype, int64_t n);
void scatter_raw(void* data, const Loop& loop, int k, Position at, const void* buffer, int64_t size, int64_t n);

// f16 or bf16 to f32 and back, contiguous.
void widen(float* out, const void* in, DType dtype, int64_t n);
void narrow(void* out, const float* in, DType dtype, int64_t n);

// Stores that bypass the caches, for outputs too large to be read again soon; `out` should be 64-byte aligned.
void stream(void* out, const void* in, int64_t bytes);
void stream_end();

}  // namespace ink::INK_CPU_LEVEL
