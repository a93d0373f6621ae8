// Sliding-window maxima. A short window is read whole by a thread per output: neighbouring threads read neighbouring
// samples, from the cache. A long one needs three comparisons per sample and a few more, whatever its length w (van
// Herk 1992; Gil & Werman 1993): cut the line into blocks of w samples; a window that starts inside one block ends in
// the next, and its maximum is the larger of a suffix maximum of the first and a prefix maximum of the second. Here a
// thread makes kTile neighbouring windows: the suffixes and prefixes inside its tile one by one, what lies beyond it
// from the maxima of whole tiles, of kTile tiles, and so on, which are found first (a tree per block of w). The input
// is read three times, twice of them from the cache.
#include "tensor/cuda/device/accumulator.h"
#include "tensor/cuda/host/scratch.h"

namespace ink::cuda {
namespace {

constexpr int64_t kShort = 32;           // the longest window that is read whole
constexpr int kTileBits = 3, kTile = 8;  // windows of a thread
constexpr int kMostLevels = 20;          // 8^20 tiles

// NaN wins, ties go to the one that stands earlier.
template <class T> __device__ __forceinline__ Best<T> best(const Best<T>& earlier, const Best<T>& later) {
  const bool take_later = later.value > earlier.value || (later.value != later.value && earlier.value == earlier.value);
  return later.place >= 0 && (take_later || earlier.place < 0) ? later : earlier;
}

// Operands of the nest: x, y, and the place along the dim, which begins at `start`.
template <class T>
__global__ void __launch_bounds__(kThreads)
    window_max_short(T* y, int64_t* indices, const T* x, const Nest<3> nest, const int64_t inner, const int window,
                     const int64_t start) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= nest.numel) return;
  int64_t at[3];
  nest.seek(uint32_t(i), at);
  T value = x[at[0]];
  int place = 0;
  for (int k = 1; k < window; ++k) {
    const T v = x[at[0] + k * inner];
    const bool take = v > value || (v != v && value == value);
    value = take ? v : value;
    place = take ? k : place;
  }
  y[at[1]] = value;
  indices[at[1]] = start + at[2] + place;
}

// The maxima of tiles, then of kTile tiles, and so on, for each block of w samples: `size[l]` of them on level l, the
// highest having kTile at most.
template <class T> struct Tree {
  Best<T>* nodes;
  int64_t blocks, inner;  // of a line
  int levels;
  int64_t size[kMostLevels], start[kMostLevels];

  __device__ __forceinline__ Best<T>* at(int level, int64_t block, int64_t q, int64_t j) const {
    return nodes + start[level] + (block * size[level] + q) * inner + j;
  }
  // Of the tiles of a block before tile t, and behind it.
  __device__ __forceinline__ Best<T> before(int64_t block, int64_t t, int64_t j) const {
    Best<T> found{T(0), -1};
    for (int l = levels - 1; l >= 0; --l) {
      const int64_t end = t >> (l * kTileBits);
      for (int64_t q = end & ~int64_t(kTile - 1); q < end; ++q) found = best(found, *at(l, block, q, j));
    }
    return found;
  }
  __device__ __forceinline__ Best<T> behind(int64_t block, int64_t t, int64_t j) const {
    Best<T> found{T(0), -1};
    for (int l = 0; l < levels; ++l) {
      const int64_t own = t >> (l * kTileBits), full = (own | (kTile - 1)) + 1, end = full < size[l] ? full : size[l];
      for (int64_t q = own + 1; q < end; ++q) found = best(found, *at(l, block, q, j));
    }
    return found;
  }
};

// Where a thread's tile stands: flat index = ((o * blocks + block) * tiles + tile) * inner + j.
struct Place {
  int64_t o, block, tile, j;
  __device__ __forceinline__ Place(int64_t i, int64_t blocks, int64_t tiles, int64_t inner) {
    j = i % inner, i /= inner;
    tile = i % tiles, i /= tiles;
    block = i % blocks, o = i / blocks;
  }
};

template <class T>
__global__ void __launch_bounds__(kThreads) tile_maxima(const Tree<T> tree, const int level, const T* x,
                                                        const Lines lines, const int64_t w, const int64_t count) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const Place p(i, tree.blocks, tree.size[level], lines.inner);
  const int64_t block = p.o * tree.blocks + p.block, first = p.tile * kTile;
  Best<T> found{T(0), -1};
  if (level == 0) {
    const int64_t left = lines.n - p.block * w, size = left < w ? left : w;  // samples of the block
    const T* samples = x + (p.o * lines.n + p.block * w) * lines.inner + p.j;
    for (int64_t k = first; k < first + kTile && k < size; ++k)
      found = best(found, {samples[k * lines.inner], p.block * w + k});
  } else {
    for (int64_t q = first; q < first + kTile && q < tree.size[level - 1]; ++q)
      found = best(found, *tree.at(level - 1, block, q, p.j));
  }
  *tree.at(level, block, p.tile, p.j) = found;
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    window_max_long(T* y, int64_t* indices, const T* x, const Tree<T> tree, const Lines lines, const int64_t w,
                    const int64_t out, const int64_t count) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x, inner = lines.inner;
  Best<T> made[kTile];
  int64_t target = 0;
  int windows = 0;
  if (i < count) {
    const Place p(i, ceil_div(out, w), tree.size[0], inner);
    const int64_t block = p.o * tree.blocks + p.block, first = p.block * w + p.tile * kTile, end = (p.block + 1) * w;
    const int64_t left = (out < end ? out : end) - first;
    windows = left < 0 ? 0 : left < kTile ? int(left) : kTile;
    target = (p.o * out + first) * inner + p.j;
    if (windows > 0) {
      const T* samples = x + p.o * lines.n * inner + p.j;
      Best<T> suffix = tree.behind(block, p.tile, p.j);
      for (int k = kTile - 1; k >= 0; --k) {
        if (first + k < end) suffix = best({samples[(first + k) * inner], first + k}, suffix);
        made[k] = suffix;
      }
      Best<T> prefix{T(0), -1};
      if (p.tile > 0) prefix = tree.before(block + 1, p.tile, p.j);
      for (int k = 0; k < kTile; ++k) {
        if (k > 0 && k < windows) prefix = best(prefix, {samples[(first + w + k - 1) * inner], first + w + k - 1});
        made[k] = best(made[k], prefix);
      }
    }
  }
  if (inner > 1) {
    for (int k = 0; k < kTile; ++k)
      if (k < windows) y[target + k * inner] = made[k].value, indices[target + k * inner] = made[k].place;
    return;
  }
  // The tiles of a warp are neighbours in memory: they are written by lanes that are neighbours, through shared memory.
  struct Tiles {
    T value[kWarp][kTile + 1];
    int64_t place[kWarp][kTile + 1], target[kWarp];
    int windows[kWarp];
  };
  INK_SHARED(Tiles[kThreads / 2 / kWarp], staged);
  Tiles& own = staged[threadIdx.x / kWarp];
  const int lane = int(threadIdx.x) % kWarp;
  for (int k = 0; k < kTile; ++k)
    if (k < windows) own.value[lane][k] = made[k].value, own.place[lane][k] = made[k].place;
  own.target[lane] = target;
  own.windows[lane] = windows;
  __syncwarp();
  for (int turn = lane; turn < kWarp * kTile; turn += kWarp) {
    const int tile = turn / kTile, k = turn % kTile;
    if (k < own.windows[tile]) {
      y[own.target[tile] + k] = own.value[tile][k];
      indices[own.target[tile] + k] = own.place[tile][k];
    }
  }
}

template <class T> void run_short(T* y, int64_t* indices, const T* x, Lines l, int64_t out, int64_t w) {
  Loop loop{};
  const auto add_dim = [&](int64_t size, int64_t in_stride, int64_t out_stride, int64_t place) {
    if (size == 1 && loop.ndim > 0) return;
    loop.size[loop.ndim] = size;
    loop.stride[0][loop.ndim] = in_stride, loop.stride[1][loop.ndim] = out_stride, loop.stride[2][loop.ndim] = place;
    ++loop.ndim;
  };
  if (l.inner > 1) add_dim(l.inner, 1, 1, 0);
  add_dim(out, l.inner, l.inner, 1);
  add_dim(l.outer, l.n * l.inner, out * l.inner, 0);
  loop.numel = l.inner * out * l.outer;
  for_each_nest<3>(loop, [&](const Nest<3>& nest, const int64_t* start) {
    const int threads = threads_for(nest.numel, kThreads);
    launch("window_max", window_max_short<T>, dim3(unsigned(ceil_div(nest.numel, threads))), dim3(unsigned(threads)), 0,
           y + start[1], indices + start[1], x + start[0], nest, l.inner, int(w), start[2]);
  });
}

template <class T> void run_long(T* y, int64_t* indices, const T* x, Lines l, int64_t out, int64_t w) {
  Tree<T> tree{nullptr, ceil_div(l.n, w), l.inner, 0, {}, {}};
  const int64_t blocks = l.outer * tree.blocks;
  int64_t nodes = 0;
  for (int64_t size = w; size > kTile || tree.levels == 0;) {
    size = ceil_div(size, kTile);
    tree.size[tree.levels] = size;
    tree.start[tree.levels++] = nodes;
    nodes += blocks * size * l.inner;
  }
  Scratch<Best<T>> memory(nodes);
  tree.nodes = memory.data();
  const auto run = [&](int64_t count, auto kernel, auto... args) {
    const int threads = threads_for(count, kThreads / 2);
    launch("window_max", kernel, dim3(unsigned(ceil_div(count, threads))), dim3(unsigned(threads)), 0, args..., count);
  };
  for (int level = 0; level < tree.levels; ++level)
    run(blocks * tree.size[level] * l.inner, tile_maxima<T>, tree, level, x, l, w);
  run(l.outer * ceil_div(out, w) * tree.size[0] * l.inner, window_max_long<T>, y, indices, x, tree, l, w, out);
}

}  // namespace

void window_max(DType dtype, void* y, int64_t* indices, const void* x, Lines lines, int64_t window) {
  const int64_t out = lines.n - window + 1;
  if (out <= 0 || lines.outer * lines.inner == 0) return;
  visit_float(dtype, [&]<class T>() {
    const auto run = window <= kShort ? run_short<T> : run_long<T>;
    run(static_cast<T*>(y), indices, static_cast<const T*>(x), lines, out, window);
  });
}

}  // namespace ink::cuda
