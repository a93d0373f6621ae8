// How a scan walks along a dim, in two ways:
//   columns  a thread per line walks it; neighbouring threads read neighbouring columns
//   rows     a warp per line (inner = 1) walks it by tiles of V elements per lane: each lane scans its own elements,
//   the warp
//            scans the lanes' totals (Hillis & Steele 1986), and a carry joins tile to tile; no barrier
// Few long lines are cut into parts: the first pass finds the totals of the parts, the second scans those, the third
// starts every part where the one before it ends. The input is then read twice.
//
// What is scanned is a struct S:
//   In, State                   what a step reads, and what is joined
//   enter(line)                 before the walk of a line
//   start(State& s)             whether something comes before the first step, in s
//   load<V>(at, place)          the inputs of V places from `place` on, which stand at `at` of the arrays
//   lift(In, place), join(a, b) a step as a state; a and then b
//   write<V>(at, place, states) the results
#pragma once
#include "tensor/cuda/device/accumulator.h"
#include "tensor/cuda/device/vector.h"
#include "tensor/cuda/device/warp.h"
#include "tensor/cuda/host/scratch.h"

namespace ink::cuda {

// Part blockIdx.y of the lines is a launch's work.
template <class State> struct Parts {
  int64_t size;
  State* totals;  // [part][line]; null if lines are whole
  bool measure;   // the first pass: no output but the totals
};

struct Line {  // element i in the order of the scan
  int64_t n, inner;
  bool reverse;
  __device__ __forceinline__ int64_t place(int64_t i) const { return reverse ? n - 1 - i : i; }
};

template <class S>
__global__ void __launch_bounds__(kThreads)
    scan_columns(S scan, const Line line, const int64_t lines, const Parts<typename S::State> parts) {
  const int64_t own = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (own >= lines) return;
  const int64_t base = own / line.inner * line.n * line.inner + own % line.inner;
  const int64_t begin = blockIdx.y * parts.size, end = begin + parts.size < line.n ? begin + parts.size : line.n;
  bool follows = parts.totals && !parts.measure && blockIdx.y > 0;
  typename S::State s{};
  scan.enter(own);
  if (follows) s = parts.totals[(blockIdx.y - 1) * lines + own];
  if (blockIdx.y == 0) follows = scan.start(s);
  constexpr int K = 8;  // loads on their way at once
  for (int64_t i = begin; i < end; i += K) {
    typename S::In x[K];
    for (int k = 0; k < K; ++k)
      if (i + k < end) x[k] = scan.template load<1>(base + line.place(i + k) * line.inner, line.place(i + k)).lane[0];
    for (int k = 0; k < K; ++k) {
      if (i + k >= end) continue;
      const int64_t place = line.place(i + k);
      const auto v = S::lift(x[k], place);
      s = follows ? S::join(s, v) : v;
      follows = true;
      if (!parts.measure) scan.template write<1>(base + place * line.inner, place, {s});
    }
  }
  if (parts.measure) parts.totals[blockIdx.y * lines + own] = s;
}

// The scan of what the lanes of a warp hold.
template <class S, class State> __device__ __forceinline__ State scan_warp(State s) {
  const int lane = int(threadIdx.x) % kWarp;
  for (int by = 1; by < kWarp; by *= 2) {
    const State earlier = shuffle_up(s, by);
    if (lane >= by) s = S::join(earlier, s);
  }
  return s;
}

template <int V, class S>
__global__ void __launch_bounds__(kThreads)
    scan_rows(S scan, const Line line, const int64_t lines, const Parts<typename S::State> parts) {
  using State = typename S::State;
  using In = typename S::In;
  constexpr int kTile = kWarp * V;
  const int64_t own = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) / kWarp;
  if (own >= lines) return;
  const int lane = int(threadIdx.x) % kWarp;
  const int64_t base = own * line.n, begin = blockIdx.y * parts.size;
  const int64_t end = begin + parts.size < line.n ? begin + parts.size : line.n;
  const auto start_of = [&](int64_t i) { return base + (line.reverse ? line.n - V - i : i); };
  bool follows = parts.totals && !parts.measure && blockIdx.y > 0;
  State carry{};
  scan.enter(own);
  if (follows) carry = parts.totals[(blockIdx.y - 1) * lines + own];
  if (blockIdx.y == 0) follows = scan.start(carry);
  const auto load = [&](int64_t i) { return scan.template load<V>(start_of(i), start_of(i) - base); };
  Vec<In, V> next{};
  if (begin + lane * V < end) next = load(begin + lane * V);
  for (int64_t tile = begin; tile < end; tile += kTile) {
    const Vec<In, V> x = next;
    const int64_t i = tile + lane * V;  // lanes beyond the end go along, and nobody uses what they hold
    if (i + kTile < end) next = load(i + kTile);
    State s[V];
    for (int j = 0; j < V; ++j) {
      const State v = S::lift(line.reverse ? x.lane[V - 1 - j] : x.lane[j], line.place(i + j));
      s[j] = j == 0 ? v : S::join(s[j == 0 ? 0 : j - 1], v);
    }
    const State totals = scan_warp<S>(s[V - 1]);
    State before = shuffle_up(totals, 1);
    const State last = shuffle(totals, kWarp - 1);
    if (follows) before = lane == 0 ? carry : S::join(carry, before);
    if (i < end && !parts.measure) {
      Vec<State, V> all;
      for (int j = 0; j < V; ++j) s[j] = follows || lane > 0 ? S::join(before, s[j]) : s[j];
      for (int j = 0; j < V; ++j) all.lane[j] = line.reverse ? s[V - 1 - j] : s[j];
      scan.template write<V>(start_of(i), start_of(i) - base, all);
    }
    carry = follows ? S::join(carry, last) : last;
    follows = true;
  }
  if (parts.measure && lane == 0) parts.totals[blockIdx.y * lines + own] = carry;
}

// Scans the totals of a line's parts in place: a block per line, a run of neighbouring parts per thread.
template <class S, class State>
__global__ void __launch_bounds__(kThreads) scan_totals(State* totals, const int64_t parts, const int64_t lines) {
  INK_SHARED(State[kWarp], warps);
  const int lane = int(threadIdx.x) % kWarp, warp = int(threadIdx.x) / kWarp;
  const int64_t run = ceil_div(parts, blockDim.x), begin = threadIdx.x * run,
                end = begin + run < parts ? begin + run : parts;
  State* line = totals + blockIdx.x;
  State s{};
  for (int64_t p = begin; p < end; ++p) s = p == begin ? line[p * lines] : S::join(s, line[p * lines]);
  s = scan_warp<S>(s);
  if (lane == kWarp - 1) warps[warp] = s;
  State before = shuffle_up(s, 1);
  __syncthreads();
  if (begin >= end) return;
  if (warp > 0) {
    State earlier = warps[0];
    for (int w = 1; w < warp; ++w) earlier = S::join(earlier, warps[w]);
    before = lane == 0 ? earlier : S::join(earlier, before);
  }
  for (int64_t p = begin; p < end; ++p) {
    const State v = line[p * lines];
    before = threadIdx.x == 0 && p == 0 ? v : S::join(before, v);
    line[p * lines] = before;
  }
}

// V: the elements that a lane moves at once where rows are `aligned` to so many.
template <int V, class S> void scan_lines(const S& scan, Lines l, bool reverse, bool aligned) {
  using State = typename S::State;
  constexpr int kParts = 4096;
  const bool rows = l.inner == 1 && l.n > kWarp, vectors = rows && aligned && l.n % V == 0 && l.n >= 4 * kWarp;
  const int64_t lines = l.outer * l.inner, tile = rows ? kWarp * (vectors ? V : 1) : 1;
  // So many parts that the device has work, and not so many that a part is short.
  int64_t parts = ceil_div(rows ? 4096 : 65536, lines), most = l.n / (rows ? 8 * tile : 64);
  if (parts > most) parts = most;
  if (parts > kParts) parts = kParts;
  if (parts < 2 || lines > (rows ? 1024 : 16384)) parts = 1;
  const int64_t size = ceil_div(ceil_div(l.n, parts), tile) * tile;
  parts = ceil_div(l.n, size);

  Scratch<State> totals(parts > 1 ? parts * lines : 0);
  const int threads = threads_for(lines * (rows ? kWarp : 1), kThreads);
  const dim3 grid(unsigned(ceil_div(lines * (rows ? kWarp : 1), threads)), unsigned(parts));
  const auto pass = [&](bool measure) {
    const Parts<State> p{size, parts > 1 ? totals.data() : nullptr, measure};
    const Line line{l.n, l.inner, reverse};
    launch("scan",
           vectors ? scan_rows<V, S>
           : rows  ? scan_rows<1, S>
                   : scan_columns<S>,
           grid, dim3(unsigned(threads)), 0, scan, line, lines, p);
  };
  if (parts > 1) {
    pass(true);
    launch("scan", scan_totals<S, State>, dim3(unsigned(lines)), dim3(unsigned(threads_for(parts, kThreads))), 0,
           totals.data(), parts, lines);
  }
  pass(false);
}

}  // namespace ink::cuda
