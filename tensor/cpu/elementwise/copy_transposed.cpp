// Transposing copies. A tile is as many rows as a register has lanes: it is read in rows, transposed in registers and
// written in rows, so both sides move whole cache lines.
#include "tensor/cpu/elementwise/copy_transposed.h"

#include "tensor/cpu/elementwise/contiguous_run.h"
#include "tensor/cpu/elementwise/transpose.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

constexpr int64_t kStrip = 64;  // output rows of a task: a strip of the input as wide as a few cache lines

// out[j * out_stride + i] = in[i * in_stride + j] for i < ni, j < nj.
template <class U>
void transpose_strip(U* out, int64_t out_stride, const U* in, int64_t in_stride, int64_t ni, int64_t nj, bool streams) {
  constexpr int N = sizeof(U) == 16 ? 1 : kLanes<U> < 16 ? kLanes<U> : 16;
  int64_t i = 0;
  if constexpr (N > 1) {
    for (; i + N <= ni; i += N) {
      int64_t j = 0;
      for (; j + N <= nj; j += N) {
        Pack<U, N> rows[N];
        for (int r = 0; r < N; ++r) rows[r] = Pack<U, N>::load(in + (i + r) * in_stride + j);
        transpose_square(rows);
        U* to = out + j * out_stride + i;
        if (streams) {
          for (int r = 0; r < N; ++r) rows[r].stream(to + r * out_stride);
        } else {
          for (int r = 0; r < N; ++r) rows[r].store(to + r * out_stride);
        }
      }
      for (; j < nj; ++j)
        for (int r = 0; r < N; ++r) out[j * out_stride + i + r] = in[(i + r) * in_stride + j];
    }
  }
  for (; i < ni; ++i)
    for (int64_t j = 0; j < nj; ++j) out[j * out_stride + i] = in[i * in_stride + j];
}

int unit_dim(const Loop& loop, int k) {  // the dim that operand k walks with stride 1; -1 if there is none
  for (int d = 0; d < loop.ndim; ++d)
    if (loop.stride[k][d] == 1 && loop.size[d] > 1) return d;
  return -1;
}

}  // namespace

bool is_transposed(const Loop& loop, int k) {
  const int d = unit_dim(loop, k);
  return d > 0 && loop.size[0] >= 8 && loop.size[d] >= 8 && (loop.stride[k][0] >= 8 || loop.stride[k][0] <= -8);
}

void copy_transposed(const Loop& loop, void* out, const void* in, int64_t size) {
  const int across = unit_dim(loop, 1);
  const int64_t ni = loop.size[0], nj = loop.size[across], strips = (nj + kStrip - 1) / kStrip;
  Loop outer{};  // the dims that are neither
  outer.numel = 1;
  for (int d = 1; d < loop.ndim; ++d) {
    if (d == across) continue;
    outer.size[outer.ndim] = loop.size[d];
    for (int k = 0; k < 2; ++k) outer.stride[k][outer.ndim] = loop.stride[k][d];
    outer.numel *= outer.size[outer.ndim++];
  }
  bool aligned = reinterpret_cast<uintptr_t>(out) % 64 == 0;
  for (int d = 1; d < loop.ndim; ++d) aligned &= loop.stride[0][d] * size % 64 == 0;
  const bool streams = aligned && 2 * loop.numel * size > kStreamBytes;
  const int64_t work = ni * (nj < kStrip ? nj : kStrip);
  visit_bits(size, [&]<class B>() {
    using U = typename B::type;
    parallel_for(outer.numel * strips, work < kGrain ? kGrain / work : 1, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        Position at;
        seek(outer, 2, task / strips, at);
        const int64_t j = task % strips * kStrip, count = nj - j < kStrip ? nj - j : kStrip;
        U* to = static_cast<U*>(out) + at.offset[0] + j * loop.stride[0][across];
        const U* from = static_cast<const U*>(in) + at.offset[1] + j;
        transpose_strip(to, loop.stride[0][across], from, loop.stride[1][0], ni, count, streams);
      }
      if (streams) stream_end();
    });
  });
}

}  // namespace ink::INK_CPU_LEVEL
