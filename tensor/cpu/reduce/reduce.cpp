// The loop of all reductions: rows, columns or blocks of one output, whose results are merged in order.
#include "tensor/cpu/reduce/reduce.h"

#include "tensor/cpu/scratch.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

constexpr int64_t kBlock =
    65536;  // elements of one output that are reduced in one go; block results are merged in order
constexpr int64_t kShortRow = 16;  // shorter rows are reduced as columns
constexpr int64_t kGatherRows = 8;

INK_INLINE int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
INK_INLINE int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }
INK_INLINE int64_t pieces(int64_t n, int64_t size) { return (n + size - 1) / size; }

// The nest of a reduction, split: operand 0 is the input, operand 1 the output.
struct Reduction {
  const Array &out, &in;
  Reducer op;
  Loop kept{}, reduced{};
  bool by_columns = false;

  Reduction(const Array& out, const Array& in, const Reducer& op) : out(out), in(in), op(op) {
    const Array* operands[] = {&in, &out};
    const Loop loop = plan_loop(operands, 2);
    const SplitLoop parts = split_loop(loop, 2, 1);
    kept = parts.moving, reduced = parts.still;
    const bool inner_kept = loop.stride[1][0] != 0;
    by_columns = kept.numel > 1 && (inner_kept || (reduced.size[0] < kShortRow && kept.size[0] >= kShortRow));
  }

  INK_INLINE const char* input(int64_t offset) const {
    return static_cast<const char*>(in.data) + offset * size_of(in.dtype);
  }

  // outputs [first, first + n) = finished accumulators, n <= kChunk
  void write(int64_t first, const void* accumulators, int64_t n) const {
    Buffer buffer;
    Position at;
    seek(kept, 2, first, at);
    op.finish(&buffer, accumulators, n);
    scatter_run(out.data, kept, 1, at, &buffer, out.dtype, n);
  }

  // accumulator += elements [begin, end) of the reduced dims, from `data` on
  void reduce_row(void* accumulator, const char* data, int64_t begin, int64_t end) const {
    if (begin >= end) return;
    Position at;
    seek(reduced, 1, begin, at);
    const bool direct =
        !is_half(in.dtype) && reduced.stride[0][0] == 1 && (reduced.ndim == 1 || reduced.size[0] >= kDirectRow);
    Buffer buffer;
    for (int64_t n; begin < end; begin += n) {
      if (direct) {
        n = min(end - begin, reduced.size[0] - at.index[0]);
        op.row(accumulator, data + at.offset[0] * size_of(in.dtype), n);
        advance(reduced, 1, n, at);
      } else {
        n = min(end - begin, kChunk);
        gather_run(&buffer, reduced, 0, at, data, in.dtype, n);
        op.row(accumulator, &buffer, n);
        if (begin + n < end) seek(reduced, 1, begin + n, at);
      }
    }
  }

  // Every output is a row of its own.
  void rows() const {
    const int64_t outputs = kept.numel, n = reduced.numel, blocks = pieces(n, kBlock);
    if (blocks <= 1) {
      return parallel_for(outputs, max(1, kGrain / max(n, 1)), [&](int64_t begin, int64_t end) {
        Buffer accumulators;
        Position at;
        seek(kept, 1, begin, at);
        for (int64_t count; begin < end; begin += count) {
          count = min(end - begin, kChunk);
          op.start(&accumulators, count);
          for (int64_t i = 0; i < count; ++i) {
            reduce_row(accumulators.bytes + i * op.accumulator_size, input(at.offset[0]), 0, n);
            advance(kept, 1, 1, at);
          }
          write(begin, &accumulators, count);
        }
      });
    }
    Scratch<char> partial(outputs * blocks * op.accumulator_size);
    op.start(partial.data(), outputs * blocks);
    parallel_for(outputs * blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t output = task / blocks, from = task % blocks * kBlock;
        Position at;
        seek(kept, 1, output, at);
        reduce_row(partial.data() + task * op.accumulator_size, input(at.offset[0]), from, min(from + kBlock, n));
      }
    });
    for (int64_t i = 0; i < outputs; ++i) {
      char* accumulators = partial.data() + i * blocks * op.accumulator_size;
      for (int64_t b = 1; b < blocks; ++b) op.merge(accumulators, accumulators + b * op.accumulator_size, 1);
      write(i, accumulators, 1);
    }
  }

  // accumulators[j] += rows [begin, end) of the reduced dims at column j of [0, n), from `data` on
  void reduce_columns(void* accumulators, const char* data, int64_t begin, int64_t end, int64_t n) const {
    if (begin >= end) return;
    Position at;
    seek(reduced, 1, begin, at);
    const int64_t item = size_of(in.dtype), width = is_half(in.dtype) ? 4 : item;
    const bool direct = !is_half(in.dtype) && kept.stride[0][0] == 1;
    Loop column{};
    column.ndim = 1, column.size[0] = n, column.stride[0][0] = kept.stride[0][0];
    Buffer gathered[kGatherRows];
    for (int64_t rows; begin < end; begin += rows) {
      rows = min(end - begin, reduced.size[0] - at.index[0]);
      const char* first = data + at.offset[0] * item;
      if (direct) {
        op.columns(accumulators, first, rows, reduced.stride[0][0], n);
      } else {
        rows = min(rows, kGatherRows);
        for (int64_t i = 0; i < rows; ++i)
          gather_run(gathered[0].bytes + i * n * width, column, 0, Position{}, first + i * reduced.stride[0][0] * item,
                     in.dtype, n);
        op.columns(accumulators, gathered, rows, n, n);
      }
      advance(reduced, 1, rows, at);
    }
  }

  // The innermost dim is kept: all its outputs advance together, row by row.
  void columns() const {
    const int64_t width = kept.size[0], n = reduced.numel;
    const int64_t per_row = pieces(width, kChunk), tasks = kept.numel / width * per_row;
    const bool split = tasks < 64 && n * min(width, kChunk) > kBlock;
    const int64_t block = split ? max(256, kBlock / min(width, kChunk)) : max(n, 1), blocks = max(1, pieces(n, block));
    const int64_t grain = split ? 1 : max(1, kGrain / max(1, n * min(width, kChunk)));
    Scratch<char> partial(split ? blocks * kept.numel * op.accumulator_size : 1);
    parallel_for(tasks * blocks, grain, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t b = task / tasks, line = task % tasks / per_row, column = task % per_row * kChunk;
        const int64_t first = line * width + column, count = min(width - column, kChunk);
        Position at;
        seek(kept, 1, first, at);
        Buffer local;
        char* accumulators = split ? partial.data() + (b * kept.numel + first) * op.accumulator_size : local.bytes;
        op.start(accumulators, count);
        reduce_columns(accumulators, input(at.offset[0]), b * block, min(n, (b + 1) * block), count);
        if (!split) write(first, accumulators, count);
      }
    });
    if (!split) return;
    parallel_for(kept.numel, kChunk, [&](int64_t begin, int64_t end) {
      for (; begin < end; begin += kChunk) {
        const int64_t count = min(end - begin, kChunk);
        char* accumulators = partial.data() + begin * op.accumulator_size;
        for (int64_t b = 1; b < blocks; ++b)
          op.merge(accumulators, accumulators + b * kept.numel * op.accumulator_size, count);
        write(begin, accumulators, count);
      }
    });
  }
};

}  // namespace

void reduce(int op, const Array& out, const Array& in) {
  const DType t = compute_type(in.dtype);
  const Reduction reduction(out, in, is_floating(t) ? reducer_float(t, op) : reducer_other(t, op));
  if (reduction.kept.numel == 0) return;
  if (reduction.by_columns) return reduction.columns();
  reduction.rows();
}

}  // namespace ink::INK_CPU_LEVEL
