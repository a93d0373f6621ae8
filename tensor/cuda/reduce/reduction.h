// Reductions of arrays of any layout. What is computed is told by a reducer R, a plain struct with
//   In, State                  the dtype of the elements; what is known of some of them
//   start()                    the State of no elements
//   add(s, x, m, first, step)  takes in x[k].lane[j], k < m, which stand at the places first + k step + j of the
//   reduced dims merge(a, b)                of two States, in any order write(at, s)               the result, `at`
//   elements from the start of the output
// How it is spread over threads is told here, in two ways:
//   rows     memory runs along a reduced dim: 1 to 32 lanes or a whole block per output, 16 bytes per lane and load
//   columns  memory runs along a kept dim: neighbouring threads take neighbouring outputs, 16 bytes of them each; the
//            rows of a block's threads take turns at the reduced dims, and are merged in shared memory
// Where outputs are few, each is cut into parts with a block each, whose States go to scratch memory; a second kernel
// merges them in a fixed order. The input is read once.
#pragma once
#include "tensor/cuda/device/warp.h"
#include "tensor/cuda/elementwise/elementwise.h"
#include "tensor/cuda/host/scratch.h"

namespace ink::cuda {

// The nest of a reduction, split in kept and reduced dims: operand 0 is the input, operand 1 the output, which has
// stride 0 in the reduced dims.
struct Reduction {
  Loop kept, reduced;
  bool by_columns;

  Reduction(const Array& out, const Array& in);
  explicit Reduction(Lines lines);  // along the dim in question, of a contiguous array
};

// What a launch takes of the reduced dims, and where its results go.
template <class State> struct Part {
  int64_t size;    // steps (vectors of a row, rows of columns) of one block
  int64_t first;   // the place of the launch's first element
  int64_t count;   // elements of a row
  int64_t out;     // the place of the first output
  State* partial;  // [part][output], or null: the results are written
};

// Loads on their way at once. A thread reads its elements in these turns, so that reducers see several at a time.
template <int V> inline constexpr int kLoads = V >= 4 ? 4 : 8;

__device__ __forceinline__ int64_t offset_of(const Nest<1>& nest, int64_t i) {
  if (nest.ndim == 1) return i * nest.stride[0][0];
  int64_t at[1];
  nest.seek(uint32_t(i), at);
  return at[0];
}

// `kept` counts outputs, `reduced` vectors. In ragged rows (contiguous, of any length and alignment) single elements
// come before the first aligned vector and behind the last.
template <class R, int V>
__global__ void __launch_bounds__(kThreads)
    reduce_rows(const R r, const typename R::In* x, const Nest<2> kept, const Nest<1> reduced,
                const Part<typename R::State> part, const int group, const bool ragged) {
  using Row = Vec<typename R::In, V>;
  const int lane = int(threadIdx.x) & (group - 1);
  const int64_t output = int64_t(blockIdx.x) * (int(blockDim.x) / group) + int(threadIdx.x) / group;
  typename R::State s = r.start();
  int64_t at[2] = {0, 0};
  if (output < kept.numel) {
    kept.seek(uint32_t(output), at);
    const typename R::In* line = x + at[0];
    int64_t head = 0, n = reduced.numel;
    const auto singles = [&](int64_t begin, int64_t end) {
      for (int64_t i = begin + lane; i < end; i += group) {
        const Vec<typename R::In, 1> one[1] = {{line[i]}};
        r.add(s, one, 1, part.first + i, 0);
      }
    };
    if (ragged) {
      const int past = int(reinterpret_cast<uintptr_t>(line) / sizeof(*line) % V);
      head = past == 0 ? 0 : V - past < part.count ? V - past : part.count;
      n = (part.count - head) / V;
      if (blockIdx.y == 0) singles(0, head);
    }
    const int64_t begin = blockIdx.y * part.size, end = begin + part.size < n ? begin + part.size : n;
    constexpr int K = kLoads<V>;
    const auto turn = [&](int64_t i, int m) {
      Row v[K];
      for (int k = 0; k < K; ++k)
        if (k < m) v[k] = load_vector<V>(line + head + offset_of(reduced, i + k * group));
      r.add(s, v, m, part.first + head + i * V, int64_t(group) * V);
    };
    int64_t i = begin + lane;
    for (; i + (K - 1) * group < end; i += K * group) turn(i, K);
    if (i < end) turn(i, int(uint32_t(end - 1 - i) / unsigned(group)) + 1);
    if (ragged && blockIdx.y + 1 == gridDim.y) singles(head + n * V, part.count);
  }
  s = merge_group(s, group, [&](const auto& a, const auto& b) { return r.merge(a, b); });
  if (lane != 0 || output >= kept.numel) return;
  if (part.partial)
    part.partial[blockIdx.y * kept.numel + output] = s;
  else
    r.write(part.out + at[1], s);
}

// `kept` counts vectors of V outputs, `step` elements apart in the output. A block is `width` vectors wide.
template <class R, int V>
__global__ void __launch_bounds__(kThreads)
    reduce_columns(const R r, const typename R::In* x, const Nest<2> kept, const Nest<1> reduced,
                   const Part<typename R::State> part, const int width, const int64_t step) {
  using In = typename R::In;
  using State = typename R::State;
  const int column = int(threadIdx.x) % width, row = int(threadIdx.x) / width, rows = int(blockDim.x) / width;
  const int64_t vector = int64_t(blockIdx.x) * width + column;
  State s[V];
  for (int j = 0; j < V; ++j) s[j] = r.start();
  int64_t at[2] = {0, 0};
  if (vector < kept.numel) {
    kept.seek(uint32_t(vector), at);
    const In* top = x + at[0];
    const int64_t begin = blockIdx.y * part.size,
                  end = begin + part.size < reduced.numel ? begin + part.size : reduced.numel;
    constexpr int K = kLoads<V>;
    const auto turn = [&](int64_t i, int m) {
      Vec<In, V> v[K];
      for (int k = 0; k < K; ++k)
        if (k < m) v[k] = load_vector<V>(top + offset_of(reduced, i + k * rows));
      for (int j = 0; j < V; ++j) {
        Vec<In, 1> one[K];
        for (int k = 0; k < K; ++k)
          if (k < m) one[k].lane[0] = v[k].lane[j];
        r.add(s[j], one, m, part.first + i, rows);
      }
    };
    int64_t i = begin + row;
    for (; i + (K - 1) * rows < end; i += K * rows) turn(i, K);
    if (i < end) turn(i, int(uint32_t(end - 1 - i) / unsigned(rows)) + 1);
  }
  const auto put = [&](int64_t vector, int j, int64_t out, const State& total) {
    if (part.partial)
      part.partial[(blockIdx.y * kept.numel + vector) * V + j] = total;
    else
      r.write(part.out + out + j * step, total);
  };
  if (rows == 1) {
    for (int j = 0; j < V && vector < kept.numel; ++j) put(vector, j, at[1], s[j]);
    return;
  }
  State* all = dynamic_shared<State>();  // [row][j][column]
  for (int j = 0; j < V; ++j) all[(row * V + j) * width + column] = s[j];
  __syncthreads();
  for (int c = int(threadIdx.x); c < V * width; c += int(blockDim.x)) {
    const int64_t own = int64_t(blockIdx.x) * width + c % width;
    if (own >= kept.numel) continue;
    State total = all[c];
    for (int i = 1; i < rows; ++i) total = r.merge(total, all[i * V * width + c]);
    kept.seek(uint32_t(own), at);
    put(own, c / width, at[1], total);
  }
}

// Merges the parts of each output. `kept` counts vectors of `width` outputs.
template <class R>
__global__ void __launch_bounds__(kThreads)
    merge_parts(const R r, const typename R::State* partial, const int64_t parts, const Nest<2> kept, const int width,
                const int64_t out, const int64_t step, const int group) {
  const int lane = int(threadIdx.x) & (group - 1);
  const int64_t outputs = kept.numel * width,
                output = int64_t(blockIdx.x) * (int(blockDim.x) / group) + int(threadIdx.x) / group;
  typename R::State s = r.start();
  if (output < outputs)
    for (int64_t p = lane; p < parts; p += group) s = r.merge(s, partial[p * outputs + output]);
  s = merge_group(s, group, [&](const auto& a, const auto& b) { return r.merge(a, b); });
  if (lane != 0 || output >= outputs) return;
  int64_t at[2];
  kept.seek(uint32_t(output / width), at);
  r.write(out + at[1] + output % width * step, s);
}

// ---- the host's side

inline int64_t clamp(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }

constexpr int64_t kSmall = 2048;       // elements of a problem that needs no barriers: fewer threads, less to wait for
constexpr int64_t kMostBlocks = 4096;  // parts are added up to this many blocks: several waves of a large GPU

// Whether vectors of `width` elements lie in dim 0 of a nest, wherever the dims of the other nest lead.
inline bool in_whole_vectors(const Loop& along, const Loop& other, const void* data, int width, size_t item) {
  bool whole = along.stride[0][0] == 1 && along.size[0] % width == 0 && is_aligned(data, size_t(width) * item);
  for (int d = 1; d < along.ndim; ++d) whole = whole && along.stride[0][d] % width == 0;
  for (int d = 0; d < other.ndim; ++d) whole = whole && other.stride[0][d] % width == 0;
  return whole;
}
inline Loop by_vectors(Loop loop, int width) {
  loop.numel = loop.numel / loop.size[0] * ceil_div(loop.size[0], width);
  loop.size[0] = ceil_div(loop.size[0], width);
  for (auto& stride : loop.stride) stride[0] *= width;
  return loop;
}

// Calls run(kept, reduced, part, start) for nests of fewer than 2^31 steps (nearly always one), then merges what the
// parts of an output left. `width` is the number of outputs that kept counts as one, `item` of elements that reduced
// does.
template <class R, class F>
void run_parts(const char* name, const R& r, const Loop& kept_loop, const Loop& reduced_loop, int width, int item,
               int64_t step, int64_t parts, F&& run) {
  using State = typename R::State;
  int64_t pieces = 0;
  for_each_nest<1>(reduced_loop, [&](const Nest<1>&, const int64_t*) { ++pieces; });
  for_each_nest<2>(kept_loop, [&](const Nest<2>& kept, const int64_t* start) {
    const int64_t outputs = kept.numel * width, total = pieces * parts;
    Scratch<State> partial(total > 1 ? total * outputs : 0);
    int64_t first = 0, piece = 0;
    for_each_nest<1>(reduced_loop, [&](const Nest<1>& reduced, const int64_t* from) {
      const Part<State> part{ceil_div(reduced.numel, parts), first * item, reduced.numel * item, start[1],
                             total > 1 ? partial.data() + piece++ * parts * outputs : nullptr};
      run(kept, reduced, part, start[0] + from[0]);
      first += reduced.numel;
    });
    if (total == 1) return;
    const int group = outputs >= 4096 ? 1
                      : total <= 256  ? kWarp
                                      : kThreads,
              threads = threads_for(outputs * group, kThreads);
    launch(name, merge_parts<R>, dim3(unsigned(ceil_div(outputs, threads / group))), dim3(unsigned(threads)), 0, r,
           partial.data(), total, kept, width, start[1], step, group);
  });
}

template <int V, class R>
void run_rows(const char* name, const R& r, const Reduction& plan, const typename R::In* x, bool ragged) {
  const Loop vectors = by_vectors(plan.reduced, V);
  const int64_t outputs = plan.kept.numel, n = vectors.numel, rest = plan.reduced.numel;
  int group = 1;
  if (outputs * rest > kSmall || rest > 64) {
    if (n >= 8192 || (n >= 256 && outputs < 4096))
      group = kThreads;
    else
      while (group < kWarp && 2 * group < n) group *= 2;
  }
  const int64_t parts = group < kThreads ? 1 : clamp(n / (2 * kLoads<V> * kThreads), 1, ceil_div(kMostBlocks, outputs));
  run_parts(name, r, plan.kept, vectors, 1, V, 0, parts,
            [&](const Nest<2>& kept, const Nest<1>& reduced, Part<typename R::State> part, int64_t start) {
              if (part.count > rest - part.first) part.count = rest - part.first;  // the last vector of a ragged row
              const int threads = threads_for(kept.numel * group, kThreads);
              launch(name, reduce_rows<R, V>, dim3(unsigned(ceil_div(kept.numel, threads / group)), unsigned(parts)),
                     dim3(unsigned(threads)), 0, r, x + start, kept, reduced, part, group, ragged);
            });
}

template <int V, class R>
void run_columns(const char* name, const R& r, const Reduction& plan, const typename R::In* x) {
  using State = typename R::State;
  const Loop vectors = by_vectors(plan.kept, V);
  const int64_t n = plan.reduced.numel, most = vectors.size[0] < kWarp ? vectors.size[0] : kWarp;
  int threads = kThreads, rows = 1;
  while (size_t(threads) * V * sizeof(State) > 32768) threads /= 2;  // of shared memory
  if (plan.kept.numel * n <= kSmall)
    threads = threads_for(vectors.numel, threads);
  else
    while (rows * most < threads && rows * 2 * kLoads<V> <= n) rows *= 2;
  const int width = threads / rows;
  const int64_t parts = clamp(n / (4 * kLoads<V> * rows), 1, ceil_div(kMostBlocks / 2, ceil_div(vectors.numel, width)));
  const size_t shared = rows > 1 ? size_t(threads) * V * sizeof(State) : 0;
  run_parts(name, r, vectors, plan.reduced, V, 1, plan.kept.stride[1][0], parts,
            [&](const Nest<2>& kept, const Nest<1>& reduced, const Part<State>& part, int64_t start) {
              launch(name, reduce_columns<R, V>, dim3(unsigned(ceil_div(kept.numel, width)), unsigned(parts)),
                     dim3(unsigned(threads)), shared, r, x + start, kept, reduced, part, width, plan.kept.stride[1][0]);
            });
}

template <class R> void run_reduction(const char* name, const R& r, const Reduction& plan, const void* data) {
  using In = typename R::In;
  constexpr int V = int(16 / sizeof(In));
  const In* x = static_cast<const In*>(data);
  const Loop &kept = plan.kept, &reduced = plan.reduced;
  if (kept.numel == 0) return;
  if (plan.by_columns) {
    if constexpr (V > 1)
      if (in_whole_vectors(kept, reduced, x, V, sizeof(In))) return run_columns<V>(name, r, plan, x);
    return run_columns<1>(name, r, plan, x);
  }
  if constexpr (V > 1) {
    const bool whole = in_whole_vectors(reduced, kept, x, V, sizeof(In)),
               line = reduced.ndim == 1 && reduced.stride[0][0] == 1;
    if (reduced.numel >= 2 * V && (whole || line)) return run_rows<V>(name, r, plan, x, !whole);
  }
  run_rows<1>(name, r, plan, x, false);
}

}  // namespace ink::cuda
