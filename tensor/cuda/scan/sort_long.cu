// Sorting long lines by digits. A word holds 32 bits to sort by and the place of a value; a stable sort of the words by
// the lower half of the keys, then by the upper half, then by the number of the line leaves every line sorted (as the
// columns of punched cards were, last column first): one sort of many words, whatever the dtype, and however many lines
// there are.
//
// That sort of words is CUB's radix sort on a GPU; in the simulator the C++ library's stands in for it.
#include "tensor/cuda/host/scratch.h"
#include "tensor/cuda/scan/sort.h"
#include "tensor/error.h"

#if INK_CUDA_SIM
#include <algorithm>
#else
#include <cub/device/device_radix_sort.cuh>
#endif

namespace ink::cuda {
namespace {

struct Words {
  PackedEntry *now, *spare;
};

// Sorts by the `bits` lowest bits of the keys (those above are all equal); equal ones keep their order.
void sort_words(Words& words, uint32_t count, int bits) {
#if INK_CUDA_SIM
  static_cast<void>(bits);
  sim::enqueue(stream(), [=, first = words.now] {
    std::stable_sort(first, first + count, [](PackedEntry a, PackedEntry b) { return a.key() < b.key(); });
  });
#else
  cub::DoubleBuffer<uint64_t> buffers(&words.now->word, &words.spare->word);
  auto sort = [&](void* memory, size_t& bytes) {
    check(cub::DeviceRadixSort::SortKeys(memory, bytes, buffers, count, 32, 32 + bits, stream()), "sort");
  };
  size_t bytes = 0;
  sort(nullptr, bytes);  // how much memory it wants
  Scratch<char> memory{int64_t(bytes)};
  sort(memory.data(), bytes);
  if (buffers.selector == 1) words = {words.spare, words.now};
#endif
}

constexpr int kThreads = 256;

enum class Digits { low, high, line };

// The next 32 bits to sort by of the values that `from` names, or of all (null).
template <Digits digits, class T>
__global__ void __launch_bounds__(kThreads)
    next_words(const T* x, const PackedEntry* from, PackedEntry* words, int64_t count, int64_t n, bool descending) {
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  const int64_t at = from ? from[i].index() : i;
  if constexpr (digits == Digits::line)
    words[i] = PackedEntry(uint32_t(at / n), at);
  else
    words[i] = PackedEntry(uint32_t(sort_key(x[at], descending) >> (digits == Digits::high ? 32 : 0)), at);
}

// Block row y is a line.
template <class T>
__global__ void __launch_bounds__(kThreads)
    take_values(const T* x, const PackedEntry* sorted, T* y, int64_t* indices, int64_t n, int64_t k) {
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= k) return;
  const int64_t from = sorted[blockIdx.y * n + i].index(), to = blockIdx.y * k + i;
  y[to] = x[from];
  indices[to] = from - blockIdx.y * n;
}

template <class T> void sort_rows(const SortArgs& s, T* y, int64_t* indices, const T* x) {
  constexpr int64_t kAtOnce = int64_t(1) << 27;  // values: bounds the memory, and the grid's y
  const int64_t n = s.lines.n, k = s.k, rows = s.lines.outer;
  const int64_t most = n < kAtOnce ? kAtOnce / n : 1, step = rows < most ? rows : most;
  Scratch<PackedEntry> first(step * n), second(step * n);
  for (int64_t row = 0; row < rows; row += step) {
    const int64_t here = rows - row < step ? rows - row : step, count = here * n;
    const dim3 grid(unsigned(ceil_div(count, kThreads))), threads(kThreads);
    Words words{first.data(), second.data()};
    const T* in = x + row * n;
    launch("sort", next_words<Digits::low, T>, grid, threads, 0, in, nullptr, words.now, count, n, s.descending);
    sort_words(words, uint32_t(count), sizeof(T) < 4 ? 8 * int(sizeof(T)) : 32);
    if constexpr (sizeof(T) == 8) {
      launch("sort", next_words<Digits::high, T>, grid, threads, 0, in, words.now, words.now, count, n, s.descending);
      sort_words(words, uint32_t(count), 32);
    }
    if (here > 1) {
      int bits = 1;
      while (here > int64_t(1) << bits) ++bits;
      launch("sort", next_words<Digits::line, T>, grid, threads, 0, in, words.now, words.now, count, n, s.descending);
      sort_words(words, uint32_t(count), bits);
    }
    launch("sort", take_values<T>, dim3(unsigned(ceil_div(k, kThreads)), unsigned(here)), threads, 0, in, words.now,
           y + row * k, indices + row * k, n, k);
  }
}

}  // namespace

void sort_long(DType dtype, const SortArgs& s, void* y, int64_t* indices, const void* x) {
  const int64_t outer = s.lines.outer, n = s.lines.n, inner = s.lines.inner;
  if (n > UINT32_MAX) throw NotSupported("sort: a line of more than 2^32 - 1 values");
  visit_sortable(dtype, n, [&]<class T, class E>() {
    if (inner == 1) return sort_rows<T>(s, static_cast<T*>(y), indices, static_cast<const T*>(x));
    // Lines become rows, and rows lines again, by copies.
    Scratch<T> x_rows(outer * inner * n), y_rows(outer * inner * s.k);
    Scratch<int64_t> index_rows(outer * inner * s.k);
    auto as_rows = [&](DType t, void* data, int64_t length) {
      return Array{data, t, {outer, inner, length}, {inner * length, length, 1}};
    };
    auto as_lines = [&](DType t, void* data, int64_t length) {
      return Array{data, t, {outer, inner, length}, {inner * length, 1, inner}};
    };
    copy(as_rows(dtype, x_rows.data(), n), as_lines(dtype, const_cast<void*>(x), n));
    sort_rows<T>({{outer * inner, n, 1}, s.k, s.descending}, y_rows.data(), index_rows.data(), x_rows.data());
    copy(as_lines(dtype, y, s.k), as_rows(dtype, y_rows.data(), s.k));
    copy(as_lines(DType::i64, indices, s.k), as_rows(DType::i64, index_rows.data(), s.k));
  });
}

}  // namespace ink::cuda
