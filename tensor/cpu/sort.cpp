// Sorting and selecting along a dim: a line becomes entries (key, index), the entries are put in order, values follow.
#include "tensor/cpu/radix_sort.h"
#include "tensor/cpu/scratch.h"
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

// Descending order is ascending order of the inverted keys: NaN comes first, ties still go to the first.
template <class E, class T>
INK_INLINE E entry(T x, int64_t i, bool descending) {
  auto key = sort_key(x);
  return E(descending ? ~key : key, i);
}

}  // namespace

void sort(DType dtype, void* values, int64_t* indices, const void* in, Lines lines, bool descending) {
  int64_t n = lines.n, step = lines.inner;
  if (n == 0) return;
  visit_sortable(dtype, n, [&]<class T, class E>() {
    parallel_for(lines.outer * lines.inner, 2048 / n + 1, [&](int64_t begin, int64_t end) {
      Scratch<E> a(n), b(n);
      for (int64_t line = begin; line < end; ++line) {
        int64_t base = line / step * n * step + line % step;
        auto x = static_cast<const T*>(in) + base;
        auto y = static_cast<T*>(values) + base;
        for (int64_t i = 0; i < n; ++i) a[i] = entry<E>(x[i * step], i, descending);
        const E* sorted = sort_entries(a.data(), b.data(), n, sizeof(T));
        for (int64_t i = 0; i < n; ++i) {
          y[i * step] = x[sorted[i].index() * step];
          indices[base + i * step] = sorted[i].index();
        }
      }
    });
  });
}

// Entries that cannot be among the k best are dropped on sight; the rest collects in a buffer of 2 k (at least 1024)
// that is sorted and cut back to k whenever it is full. In random order few survive: n comparisons and little else.
void topk(DType dtype, void* values, int64_t* indices, const void* in, Lines lines, int64_t k, bool largest) {
  int64_t n = lines.n, step = lines.inner, room = 2 * k > 1024 ? 2 * k : 1024;
  if (n == 0 || k == 0) return;
  visit_sortable(dtype, n, [&]<class T, class E>() {
    parallel_for(lines.outer * lines.inner, 8192 / n + 1, [&](int64_t begin, int64_t end) {
      Scratch<E> a(room), b(room);
      for (int64_t line = begin; line < end; ++line) {
        int64_t o = line / step, j = line % step, count = 0;
        auto x = static_cast<const T*>(in) + o * n * step + j;
        E *best = a.data(), *other = b.data(), worst(0, 0);
        auto keep_best = [&] {
          E* sorted = sort_entries(best, other, count, sizeof(T));
          other = sorted == best ? other : best, best = sorted;
          count = k;
        };
        bool cut = false;  // best[0, k) are the k best so far, and `worst` is the last of them
        for (int64_t i = 0; i < n; ++i) {
          E e = entry<E>(x[i * step], i, largest);
          if (cut && !(e < worst)) continue;
          best[count++] = e;
          if (count == room) {
            keep_best();
            cut = true, worst = best[k - 1];
          }
        }
        keep_best();
        for (int64_t i = 0; i < k; ++i) {
          int64_t to = (o * k + i) * step + j;
          static_cast<T*>(values)[to] = x[best[i].index() * step];
          indices[to] = best[i].index();
        }
      }
    });
  });
}

}  // namespace ink::INK_CPU_LEVEL
