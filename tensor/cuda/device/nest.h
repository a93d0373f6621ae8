// A loop nest as kernels walk it: every thread finds its own place from its flat index. Division by a size is a product
// and a shift (Granlund & Montgomery 1994, "Division by invariant integers using multiplication").
#pragma once
#include "tensor/backend/loop.h"
#include "tensor/cuda/cuda.h"

namespace ink::cuda {

struct Divisor {  // of n < 2^31
  uint32_t size = 1, magic = 1, shift = 0;

  Divisor() = default;
  explicit Divisor(int64_t d) : size(uint32_t(d)) {
    while ((int64_t(1) << shift) < d) ++shift;
    magic = uint32_t((uint64_t(1) << 32) * ((uint64_t(1) << shift) - size) / size + 1);
  }
  __device__ __forceinline__ uint32_t divide(uint32_t n) const { return (__umulhi(n, magic) + n) >> shift; }
};

template <int kOperands> struct Nest {
  int ndim;
  int64_t numel;  // below 2^31
  Divisor size[kMaxDims];
  int64_t stride[kOperands][kMaxDims];

  explicit Nest(const Loop& loop) : ndim(loop.ndim), numel(loop.numel) {
    for (int d = 0; d < ndim; ++d) {
      size[d] = Divisor(loop.size[d]);
      for (int k = 0; k < kOperands; ++k) stride[k][d] = loop.stride[k][d];
    }
  }
  // The offset of every operand at flat index i, in elements.
  __device__ __forceinline__ void seek(uint32_t i, int64_t (&offset)[kOperands]) const {
    for (int k = 0; k < kOperands; ++k) offset[k] = 0;
    for (int d = 0; d < ndim; ++d) {
      uint32_t q = d + 1 < ndim ? size[d].divide(i) : 0, at = i - q * size[d].size;
      for (int k = 0; k < kOperands; ++k) offset[k] += int64_t(at) * stride[k][d];
      i = q;
    }
  }
};

// Calls f(nest, start) for pieces of a loop that have fewer than 2^31 elements; start[k] is where a piece begins in
// operand k, in elements.
template <int kOperands, class F> void for_each_nest(const Loop& loop, F&& f) {
  constexpr int64_t kMost = (int64_t(1) << 31) - 1;
  int whole = 0;  // dims 0 .. whole - 1 stay whole, dim `whole` is cut, the dims beyond it are walked here
  int64_t step = 1, outer = 1, start[kOperands] = {};
  while (whole < loop.ndim && step * loop.size[whole] <= kMost) step *= loop.size[whole++];
  if (whole == loop.ndim) return f(Nest<kOperands>(loop), start);
  for (int d = whole + 1; d < loop.ndim; ++d) outer *= loop.size[d];
  const int64_t fit = kMost / step > 1 ? kMost / step : 1;
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < loop.size[whole]; i += fit) {
      Loop piece = loop;
      piece.ndim = whole + 1;
      piece.size[whole] = fit < loop.size[whole] - i ? fit : loop.size[whole] - i;
      piece.numel = piece.size[whole] * step;
      for (int k = 0; k < kOperands; ++k) start[k] = i * loop.stride[k][whole];
      for (int64_t d = whole + 1, rest = o; d < loop.ndim; rest /= loop.size[d], ++d)
        for (int k = 0; k < kOperands; ++k) start[k] += rest % loop.size[d] * loop.stride[k][d];
      f(Nest<kOperands>(piece), start);
    }
}

}  // namespace ink::cuda
