// The k best of a line, in order. Entries that cannot be among them are dropped on sight; the rest collects in a buffer
// of 2 k (at least 256) that is sorted and cut back to k whenever it is full. In random order few survive: a
// comparison per value and little else. In the worst order it is a sort.
#include "tensor/cpu/row.h"
#include "tensor/cpu/scan/sort_ways.h"
#include "tensor/cpu/scratch.h"
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

template <class T, class E> class Best {
 public:
  Best(int64_t k, bool largest)
      : k_(k),
        room_(2 * k > 256 ? 2 * k : 256),
        largest_(largest),
        a_(room_),
        b_(room_),
        best_(a_.data()),
        other_(b_.data()) {}

  // Reads x[i * step] for i in [0, n), n >= k; returns the k best in order.
  const E* of(const T* x, int64_t n, int64_t step) {
    constexpr int64_t kGroup = kLanes < T >> 1 ? kLanes<T> : 8;
    count_ = 0, cut_ = false;
    for (int64_t i = 0; i < n; i += kGroup) {
      int64_t end = i + kGroup < n ? i + kGroup : n;
      if (cut_ && step == 1 && end - i == kLanes<T> && !promising(x + i)) continue;
      for (int64_t j = i; j < end; ++j) offer(x, j, step);
    }
    keep_best();
    return best_;
  }

 private:
  // Whether one of a pack of values may be better than the k-th best.
  bool promising(const T* x) const {
    if constexpr (std::is_same_v<T, bool>)
      return true;
    else {
      Lanes<T> v = Lanes<T>::load(x), bar(bar_);
      return any(largest_ ? !(v <= bar) : !(v >= bar));  // true also where one of them is NaN
    }
  }
  void offer(const T* x, int64_t i, int64_t step) {
    E e(sort_key(x[i * step], largest_), i);
    if (cut_ && !(e < worst_)) return;
    best_[count_++] = e;
    if (count_ < room_) return;
    keep_best();
    cut_ = true, worst_ = best_[k_ - 1], bar_ = x[worst_.index() * step];
  }
  void keep_best() {
    E* sorted = best_;
    if (count_ > 32)
      sorted = radix_sort(best_, other_, count_, sizeof(T));
    else
      insertion_sort(best_, count_);
    if (sorted != best_) other_ = best_, best_ = sorted;
    count_ = k_;
  }

  int64_t k_, room_, count_ = 0;
  bool largest_, cut_ = false;  // cut: best_[0, k) are the k best so far and worst_ is the last of them
  Scratch<E> a_, b_;
  E *best_, *other_, worst_;
  T bar_;  // the value of worst_
};

}  // namespace

void topk(DType dtype, void* values, int64_t* indices, const void* in, Lines lines, int64_t k, bool largest) {
  int64_t n = lines.n, step = lines.inner;
  if (n == 0 || k == 0) return;
  visit_sortable(dtype, n, [&]<class T, class E>() {
    parallel_for(lines.outer * lines.inner, 8192 / n + 1, [&](int64_t begin, int64_t end) {
      Best<T, E> best(k, largest);
      for (int64_t line = begin; line < end; ++line) {
        int64_t o = line / step, j = line % step;
        auto x = static_cast<const T*>(in) + o * n * step + j;
        const E* sorted = best.of(x, n, step);
        for (int64_t i = 0; i < k; ++i) {
          int64_t to = (o * k + i) * step + j, from = sorted[i].index();
          static_cast<T*>(values)[to] = x[from * step], indices[to] = from;
        }
      }
    });
  });
}

}  // namespace ink::INK_CPU_LEVEL
