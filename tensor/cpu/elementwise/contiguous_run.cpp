// Strided stretches of an operand, copied to a small buffer so that inner loops read contiguous memory.
#include "tensor/cpu/elementwise/contiguous_run.h"

#include <cstring>

#include "tensor/cpu/pack/pack_half.h"
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace ink::INK_CPU_LEVEL {
namespace {

// Calls f(offset in the buffer, offset of operand k, elements) for the rows that n elements from `at` on touch.
template <class F> INK_INLINE void each_row(const Loop& loop, int k, Position& at, int64_t n, F&& f) {
  for (int64_t done = 0; done < n;) {
    int64_t run = loop.size[0] - at.index[0] < n - done ? loop.size[0] - at.index[0] : n - done;
    f(done, at.offset[k], run);
    done += run;
    at.index[0] += run;
    at.offset[k] += run * loop.stride[k][0];
    for (int d = 0; at.index[d] == loop.size[d] && d + 1 < loop.ndim; ++d) {
      at.index[d] = 0;
      ++at.index[d + 1];
      at.offset[k] += loop.stride[k][d + 1] - loop.size[d] * loop.stride[k][d];
    }
  }
}

}  // namespace

void gather_raw(void* buffer, const Loop& loop, int k, Position at, const void* data, int64_t size, int64_t n) {
  visit_bits(size, [&]<class B>() {
    using U = typename B::type;
    const int64_t stride = loop.stride[k][0];
    each_row(loop, k, at, n, [&](int64_t done, int64_t offset, int64_t run) {
      U* to = static_cast<U*>(buffer) + done;
      const U* from = static_cast<const U*>(data) + offset;
      if (stride == 1 && run >= 16) {
        std::memcpy(to, from, size_t(run * size));
      } else if (stride == 0) {
        const U value = *from;
        for (int64_t i = 0; i < run; ++i) to[i] = value;
      } else {
        for (int64_t i = 0; i < run; ++i) to[i] = from[i * stride];
      }
    });
  });
}

void scatter_raw(void* data, const Loop& loop, int k, Position at, const void* buffer, int64_t size, int64_t n) {
  visit_bits(size, [&]<class B>() {
    using U = typename B::type;
    const int64_t stride = loop.stride[k][0];
    each_row(loop, k, at, n, [&](int64_t done, int64_t offset, int64_t run) {
      U* to = static_cast<U*>(data) + offset;
      const U* from = static_cast<const U*>(buffer) + done;
      if (stride == 1 && run >= 16) {
        std::memcpy(to, from, size_t(run * size));
      } else {
        for (int64_t i = 0; i < run; ++i) to[i * stride] = from[i];
      }
    });
  });
}

void gather_run(void* buffer, const Loop& loop, int k, Position at, const void* data, DType dtype, int64_t n) {
  if (!is_half(dtype)) return gather_raw(buffer, loop, k, at, data, size_of(dtype), n);
  alignas(64) uint16_t raw[kChunk];
  gather_raw(raw, loop, k, at, data, 2, n);
  widen(static_cast<float*>(buffer), raw, dtype, n);
}

void scatter_run(void* data, const Loop& loop, int k, Position at, const void* buffer, DType dtype, int64_t n) {
  if (!is_half(dtype)) return scatter_raw(data, loop, k, at, buffer, size_of(dtype), n);
  alignas(64) uint16_t raw[kChunk];
  narrow(raw, static_cast<const float*>(buffer), dtype, n);
  scatter_raw(data, loop, k, at, raw, 2, n);
}

void widen(float* out, const void* in, DType dtype, int64_t n) {
  dtype == DType::f16 ? convert_row(out, static_cast<const half*>(in), n)
                      : convert_row(out, static_cast<const bfloat16*>(in), n);
}
void narrow(void* out, const float* in, DType dtype, int64_t n) {
  dtype == DType::f16 ? convert_row(static_cast<half*>(out), in, n) : convert_row(static_cast<bfloat16*>(out), in, n);
}

void stream(void* out, const void* in, int64_t bytes) {
  char* to = static_cast<char*>(out);
  const char* from = static_cast<const char*>(in);
#if defined(__SSE2__)
  int64_t i = 0;
  if (reinterpret_cast<uintptr_t>(to) % 64 == 0) {
    for (; i + 64 <= bytes; i += 64) {
#if defined(__AVX512F__)
      _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i), _mm512_loadu_si512(from + i));
#elif defined(__AVX__)
      for (int64_t j = 0; j < 64; j += 32)
        _mm256_stream_si256(reinterpret_cast<__m256i*>(to + i + j),
                            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i + j)));
#else
      for (int64_t j = 0; j < 64; j += 16)
        _mm_stream_si128(reinterpret_cast<__m128i*>(to + i + j),
                         _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i + j)));
#endif
    }
  }
  std::memcpy(to + i, from + i, size_t(bytes - i));
#else
  std::memcpy(to, from, size_t(bytes));
#endif
}

void stream_end() {
#if defined(__SSE2__)
  _mm_sfence();  // streaming stores are weakly ordered; other threads read the result after this piece
#endif
}

}  // namespace ink::INK_CPU_LEVEL
