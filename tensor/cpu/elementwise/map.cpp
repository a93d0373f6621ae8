// The one loop of all elementwise formulas: pieces for threads, contiguous runs for inner functions, results past
// the caches where they are large.
#include "tensor/cpu/elementwise/map.h"

#include "tensor/cpu/elementwise/copy_transposed.h"
#include "tensor/cpu/scratch.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

// Bytes between two bursts of streaming stores: longer ones leave the loads idle (measured: 8 KiB takes 1.6 times as
// long).
constexpr int64_t kStreamChunk = 512;

// How an operand reaches the inner function.
enum class Access {
  direct,  // in place: its row is contiguous and long, or it is contiguous as a whole
  fixed,   // one value for all elements, written to its buffer once
  staged,  // through a buffer
};

struct Map {
  const Array* const* operands;
  int count;
  Inner inner;
  const void* functor;
  bool streams_itself;
  Loop loop;
  Access access[kMaxOperands] = {};
  bool widened[kMaxOperands] = {};
  bool streams = false, by_rows = false;

  INK_INLINE void prepare(bool widen_halves) {
    by_rows = loop.ndim == 1 || loop.size[0] >= kDirectRow;
    int64_t traffic = 0;
    for (int k = 0; k < count; ++k) {
      DType dtype = operands[k]->dtype;
      bool contiguous = loop.stride[k][0] == 1, fixed = loop.stride[k][0] == 0;
      for (int d = 1; d < loop.ndim; ++d) {
        fixed &= loop.stride[k][d] == 0;
        if (!by_rows) contiguous &= loop.stride[k][d] == loop.stride[k][d - 1] * loop.size[d - 1];
      }
      widened[k] = widen_halves && is_half(dtype);
      access[k] = fixed && k > 0 && loop.numel > 1 ? Access::fixed
                  : contiguous && !widened[k]      ? Access::direct
                                                   : Access::staged;
      if (!fixed) traffic += loop.numel * size_of(dtype);
    }
    streams = access[0] == Access::direct && loop.ndim == 1 && traffic > kStreamBytes &&
              reinterpret_cast<uintptr_t>(operands[0]->data) % 64 == 0;
  }

  INK_INLINE void* address(int k, const Position& at) const {
    return static_cast<char*>(operands[k]->data) + at.offset[k] * size_of(operands[k]->dtype);
  }

  INK_INLINE void gather(int k, const Position& at, Buffer& buffer, int64_t n) const {
    const Array& a = *operands[k];
    if (widened[k]) return gather_run(&buffer, loop, k, at, a.data, a.dtype, n);
    gather_raw(&buffer, loop, k, at, a.data, size_of(a.dtype), n);
  }

  void piece(int64_t begin, int64_t end) const {
    Buffer buffers[kMaxOperands];
    const void* in[kMaxOperands];
    Position at;
    seek(loop, count, begin, at);
    bool others_direct = true;
    for (int k = 0; k < count; ++k) {
      others_direct &= k == 0 || access[k] == Access::direct;
      if (access[k] == Access::fixed) gather(k, at, buffers[k], end - begin < kChunk ? end - begin : kChunk);
    }
    const bool past_caches = streams && streams_itself && others_direct;
    const bool staged_stream = streams && !past_caches;
    const bool all_direct = others_direct && access[0] == Access::direct && !staged_stream;
    const int64_t chunk = staged_stream && others_direct ? kStreamChunk / size_of(operands[0]->dtype) : kChunk;
    while (begin < end) {
      int64_t n = end - begin;
      if (by_rows && loop.size[0] - at.index[0] < n) n = loop.size[0] - at.index[0];
      if (!all_direct && n > chunk) n = chunk;
      for (int k = 1; k < count; ++k) {
        in[k - 1] = access[k] == Access::direct ? address(k, at) : &buffers[k];
        if (access[k] == Access::staged) gather(k, at, buffers[k], n);
      }
      bool direct = access[0] == Access::direct && !staged_stream;
      inner(functor, direct ? address(0, at) : &buffers[0], in, n, past_caches);
      const Array& out = *operands[0];
      if (staged_stream) {
        stream(address(0, at), &buffers[0], n * size_of(out.dtype));
      } else if (widened[0]) {
        scatter_run(out.data, loop, 0, at, &buffers[0], out.dtype, n);
      } else if (!direct) {
        scatter_raw(out.data, loop, 0, at, &buffers[0], size_of(out.dtype), n);
      }
      begin += n;
      if (begin < end) {
        if (by_rows) {
          advance(loop, count, n, at);
        } else {
          seek(loop, count, begin, at);
        }
      }
    }
    if (streams) stream_end();
  }
};

// Operand k is turned into the output's order first: a tiled copy is cheaper than gathering element by element.
void map_turned(const Array* const* operands, int count, int k, Inner inner, const void* functor, bool widen_halves,
                bool streams_itself) {
  const Array& a = *operands[k];
  Scratch<char> memory(a.shape.numel() * size_of(a.dtype));
  Array turned{memory.data(), a.dtype, a.shape, a.shape};
  // Contiguous, with the output's order of dims: its strides, less the gaps.
  for (int d = 0; d < a.shape.size(); ++d) {
    int64_t step = 1;
    for (int e = 0; e < a.shape.size(); ++e) {
      const int64_t s = operands[0]->strides[d], t = operands[0]->strides[e];
      if (a.shape[e] != 1 && e != d && (t < 0 ? -t : t) < (s < 0 ? -s : s)) step *= a.shape[e];
    }
    turned.strides[d] = step;
  }
  copy(turned, a);
  const Array* replaced[kMaxOperands];
  for (int i = 0; i < count; ++i) replaced[i] = i == k ? &turned : operands[i];
  map(replaced, count, inner, functor, widen_halves, streams_itself);
}

}  // namespace

void map(const Array* const* operands, int count, Inner inner, const void* functor, bool widen_halves,
         bool streams_itself) {
  if (count > 1 && operands[0]->shape.numel() >= kGrain) {
    const Loop loop = plan_loop(operands, count);
    for (int k = 1; k < count; ++k)
      if (loop.stride[0][0] == 1 && is_transposed(loop, k))
        return map_turned(operands, count, k, inner, functor, widen_halves, streams_itself);
  }
  Map m{.operands = operands,
        .count = count,
        .inner = inner,
        .functor = functor,
        .streams_itself = streams_itself,
        .loop = plan_loop(operands, count)};
  m.prepare(widen_halves);
  parallel_for(m.loop.numel, kGrain, [&](int64_t begin, int64_t end) { m.piece(begin, end); });
}

}  // namespace ink::INK_CPU_LEVEL
