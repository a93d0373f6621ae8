// sort and topk. Lines of up to 32 are sorted by counting, lines of up to 2048 in the shared memory of a block, longer
// ones by digits (sort_long.cu). A few of a long line are found by a tournament of blocks.
#include "tensor/cuda/scan/sort.h"

#include "tensor/cuda/host/scratch.h"

namespace ink::cuda {
namespace {

constexpr int64_t kCounted = 32, kInBlock = 2048;

// A thread per element: its place is the number of those that go before it. n comparisons, but no barrier; the line is
// read n times from the cache.
template <class T, class E>
__global__ void sort_by_counting(const SortArgs s, int64_t numel, T* y, int64_t* indices, const T* x) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= numel) return;
  const int64_t n = s.lines.n, inner = s.lines.inner;
  const int64_t j = i % inner, own = i / inner % n, o = i / (inner * n);
  x += o * n * inner + j;
  const E mine(sort_key(x[own * inner], s.descending), own);
  int64_t place = 0;
  for (int64_t other = 0; other < n; ++other) place += E(sort_key(x[other * inner], s.descending), other) < mine;
  if (place >= s.k) return;
  const int64_t to = (o * s.k + place) * inner + j;
  y[to] = x[own * inner];
  indices[to] = own;
}

// Bitonic sort (Batcher 1968, "Sorting networks and their applications") of `width` entries, a power of two and at
// least 64: runs of size / 2, up and down in turns, are merged to runs of `size` by comparing entries at ever smaller
// steps. As long as a step is below 32, a warp stays among the 64 entries it had, and waits only for itself.
template <class E> __device__ __forceinline__ void bitonic_sort(E* e, int width) {
  __syncthreads();
  for (int size = 2; size <= width; size *= 2)
    for (int step = size / 2; step > 0; step /= 2) {
      if (size > 2 * kWarp && step >= kWarp)
        __syncthreads();
      else
        __syncwarp();
      for (int i = int(threadIdx.x); i < width / 2; i += int(blockDim.x)) {
        const int a = 2 * i - (i & (step - 1)), b = a + step;
        const bool up = (a & size) == 0;
        const E low = e[a], high = e[b];
        if ((high < low) == up) e[a] = high, e[b] = low;
      }
    }
  __syncthreads();
}

// A block sorts `width` entries of a line, and keeps the first k.
struct Round {
  int64_t blocks;  // per line
  int64_t count;   // entries per line
  int width;
  const int64_t* entries;  // [lines, count]: where in the line they stand; null: everywhere
  int64_t* winners;        // the same of the next round, which has next_count of them; null: this is the last
  int64_t next_count;
};
template <class T, class E>
__global__ void sort_in_block(const SortArgs s, const Round r, T* y, int64_t* indices, const T* x) {
  E* e = dynamic_shared<E>();
  const int64_t line = blockIdx.x / r.blocks, part = blockIdx.x % r.blocks, inner = s.lines.inner;
  const int64_t o = line / inner, j = line % inner;
  const int64_t first = part * r.width, here = r.count - first < r.width ? r.count - first : r.width;
  x += o * s.lines.n * inner + j;
  for (int i = int(threadIdx.x); i < r.width; i += int(blockDim.x)) {
    e[i] = E(~key_of<T>(0), -1);  // after all others
    if (i < here) {
      const int64_t at = r.entries ? r.entries[line * r.count + first + i] : first + i;
      e[i] = E(sort_key(x[at * inner], s.descending), at);
    }
  }
  bitonic_sort(e, r.width);
  for (int i = int(threadIdx.x); i < here && i < s.k; i += int(blockDim.x)) {
    const int64_t at = e[i].index();
    if (r.winners) {
      r.winners[line * r.next_count + part * s.k + i] = at;
    } else {
      const int64_t to = (o * s.k + i) * inner + j;
      y[to] = x[at * inner];
      indices[to] = at;
    }
  }
}

// One round if a line fits a block. If not, the best k of each block meet again, until one block is left: with
// k <= kInBlock / 4 all rounds together cost less than 4 / 3 of the first, which reads the line once.
template <class T, class E>
void play(const SortArgs& s, int64_t count, const int64_t* entries, T* y, int64_t* indices, const T* x) {
  const int64_t lines = s.lines.outer * s.lines.inner;
  int width = 2 * kWarp;
  while (width < count && width < kInBlock) width *= 2;
  Round r{ceil_div(count, width), count, width, entries, nullptr, 0};
  const int64_t rest = count - (r.blocks - 1) * width;  // entries of the last block
  if (r.blocks > 1) r.next_count = (r.blocks - 1) * s.k + (rest < s.k ? rest : s.k);
  Scratch<int64_t> winners(lines * r.next_count);
  if (r.blocks > 1) r.winners = winners.data();
  launch("sort", sort_in_block<T, E>, dim3(unsigned(lines * r.blocks)),
         dim3(unsigned(width / 2 < 512 ? width / 2 : 512)), size_t(width) * sizeof(E), s, r, y, indices, x);
  if (r.blocks > 1) play<T, E>(s, r.next_count, r.winners, y, indices, x);
}

void sort_lines(DType dtype, const SortArgs& s, void* values, int64_t* indices, const void* in) {
  const int64_t n = s.lines.n;
  if (n > kInBlock && s.k > kInBlock / 4) return sort_long(dtype, s, values, indices, in);
  visit_sortable(dtype, n, [&]<class T, class E>() {
    T* y = static_cast<T*>(values);
    const T* x = static_cast<const T*>(in);
    if (n > kCounted) return play<T, E>(s, n, nullptr, y, indices, x);
    const int64_t numel = s.lines.outer * n * s.lines.inner;
    const int threads = threads_for(numel);
    launch("sort", sort_by_counting<T, E>, dim3(unsigned(ceil_div(numel, threads))), dim3(unsigned(threads)), 0, s,
           numel, y, indices, x);
  });
}

}  // namespace

void sort(DType dtype, void* values, int64_t* indices, const void* in, Lines lines, bool descending) {
  sort_lines(dtype, {lines, lines.n, descending}, values, indices, in);
}

void topk(DType dtype, void* values, int64_t* indices, const void* in, Lines lines, int64_t k, bool largest) {
  sort_lines(dtype, {lines, k, largest}, values, indices, in);
}

}  // namespace ink::cuda
