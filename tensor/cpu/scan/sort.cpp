// Sorting along a dim: a line becomes keys, the keys are put in order, values and indices follow.
#include "tensor/cpu/scan/sort_ways.h"
#include "tensor/cpu/scratch.h"
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

template <class T>
void sort_short(T* y, int64_t* indices, const T* x, int64_t n, int64_t step, bool descending, key_of<T>* keys,
                int_of<key_of<T>>* rank) {
  for (int64_t i = 0; i < n; ++i) keys[i] = sort_key(x[i * step], descending);
  for (int64_t i = n; i < n + kLanes<key_of<T>>; ++i) keys[i] = ~key_of<T>(0);
  rank_sort(keys, n, rank);
  for (int64_t i = 0; i < n; ++i) y[rank[i] * step] = x[i * step], indices[rank[i] * step] = i;
}

template <class T, class E>
void sort_long(T* y, int64_t* indices, const T* x, int64_t n, int64_t step, bool descending, E* a, E* b) {
  for (int64_t i = 0; i < n; ++i) a[i] = E(sort_key(x[i * step], descending), i);
  const E* sorted = radix_sort(a, b, n, sizeof(T));
  for (int64_t i = 0; i < n; ++i) {
    int64_t from = sorted[i].index();
    y[i * step] = x[from * step], indices[i * step] = from;
  }
}

}  // namespace

void sort(DType dtype, void* values, int64_t* indices, const void* in, Lines lines, bool descending) {
  int64_t n = lines.n, step = lines.inner;
  if (n == 0) return;
  visit_sortable(dtype, n, [&]<class T, class E>() {
    using U = key_of<T>;
    parallel_for(lines.outer * lines.inner, 2048 / n + 1, [&](int64_t begin, int64_t end) {
      bool few = n <= kRankSort<U>;
      Scratch<U> keys(few ? n + kLanes<U> : 0);
      Scratch<int_of<U>> rank(few ? n + kLanes<U> : 0);
      Scratch<E> a(few ? 0 : n), b(few ? 0 : n);
      for (int64_t line = begin; line < end; ++line) {
        int64_t at = line / step * n * step + line % step;
        auto x = static_cast<const T*>(in) + at;
        auto y = static_cast<T*>(values) + at;
        if (few)
          sort_short(y, indices + at, x, n, step, descending, keys.data(), rank.data());
        else
          sort_long(y, indices + at, x, n, step, descending, a.data(), b.data());
      }
    });
  });
}

}  // namespace ink::INK_CPU_LEVEL
