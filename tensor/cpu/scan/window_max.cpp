// Sliding-window maximum in three comparisons per sample, whatever the window (van Herk 1992; Gil & Werman 1993).
// Cut the line into blocks of w samples. A window of w samples starting inside one block ends in the next: its maximum
// is the larger of a suffix maximum of the first block and a prefix maximum of the second.
#include "tensor/cpu/row.h"
#include "tensor/cpu/scratch.h"
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {

// The columns of x [n, step] that are taken together: one, or up to a pack of neighbours (AllLanes, or their number).
struct OneColumn {};
template <class T> INK_INLINE T load(const T* p, OneColumn) { return *p; }
template <class T> INK_INLINE void store(T* p, T v, OneColumn) { *p = v; }

namespace {

// Their maxima and where they stand, counted from the start of a block.
template <class T, class K> struct Best {
  static constexpr bool kOne = std::is_same_v<K, OneColumn>;
  std::conditional_t<kOne, T, Lanes<T>> value;
  std::conditional_t<kOne, int64_t, Pack<int_of<T>, kLanes<T>>> place;

  INK_INLINE Best() = default;
  INK_INLINE Best(const T* p, int64_t step, int64_t i, K k) : value(load(p + i * step, k)) {
    if constexpr (kOne)
      place = i;
    else
      place = decltype(place)(int_of<T>(i));
  }
  // NaN wins, ties go to the one that stands earlier.
  INK_INLINE friend Best best(const Best& earlier, const Best& later) {
    auto take_later = (later.value > earlier.value) | (isnan(later.value) & !isnan(earlier.value));
    Best b;
    b.value = select(take_later, later.value, earlier.value);
    if constexpr (kOne)
      b.place = take_later ? later.place : earlier.place;
    else
      b.place.v = take_later.v ? later.place.v : earlier.place.v;
    return b;
  }
};

// Windows [begin, end) of the columns; begin is the start of a block. `suffix` has room for w.
template <class T, class K>
void columns(T* y, int64_t* indices, const T* x, int64_t step, int64_t begin, int64_t end, int64_t w, K k,
             Best<T, K>* suffix) {
  using B = Best<T, K>;
  for (int64_t start = begin; start < end; start += w) {
    const T* block = x + start * step;
    auto write = [&](int64_t i, const B& b) {
      int64_t at = (start + i) * step;
      store(y + at, b.value, k);
      if constexpr (B::kOne)
        indices[at] = start + b.place;
      else if constexpr (std::is_same_v<K, AllLanes>)
        for (int j = 0; j < kLanes<T>; ++j) indices[at + j] = start + b.place[j];
      else
        for (int64_t j = 0; j < k; ++j) indices[at + j] = start + b.place[int(j)];
    };
    int64_t count = end - start < w ? end - start : w;
    suffix[w - 1] = B(block, step, w - 1, k);
    for (int64_t i = w - 2; i >= 0; --i) suffix[i] = best(B(block, step, i, k), suffix[i + 1]);
    write(0, suffix[0]);
    B prefix;
    for (int64_t i = 1; i < count; ++i) {
      B last(block, step, w + i - 1, k);
      prefix = i == 1 ? last : best(prefix, last);
      write(i, best(suffix[i], prefix));
    }
  }
}

}  // namespace

void window_max(DType dtype, void* y, int64_t* indices, const void* x, Lines lines, int64_t window) {
  int64_t n = lines.n, inner = lines.inner, out = n - window + 1;
  if (out <= 0 || inner == 0) return;
  visit_float(dtype, [&]<class T>() {
    bool packs = inner > 1 && window < int64_t(1) << 30;  // a place in two blocks fits 32 bits
    int64_t width = packs ? kLanes<T> : 1, tiles = (inner + width - 1) / width;
    int64_t part = window * (8192 / width / window + 1), parts = (out + part - 1) / part;  // windows per piece
    parallel_for(lines.outer * tiles * parts, 8192 / (part * width) + 1, [&](int64_t first, int64_t last) {
      Scratch<Best<T, AllLanes>> wide(packs ? window : 0);
      Scratch<Best<T, int64_t>> some(packs ? window : 0);
      Scratch<Best<T, OneColumn>> one(packs ? 0 : window);
      for (int64_t piece = first; piece < last; ++piece) {
        int64_t o = piece / (tiles * parts), column = piece / parts % tiles * width, begin = piece % parts * part;
        int64_t end = begin + part < out ? begin + part : out;
        T* to = static_cast<T*>(y) + o * out * inner + column;
        int64_t* at = indices + o * out * inner + column;
        const T* from = static_cast<const T*>(x) + o * n * inner + column;
        if (!packs)
          columns(to, at, from, inner, begin, end, window, OneColumn{}, one.data());
        else if (inner - column >= width)
          columns(to, at, from, inner, begin, end, window, AllLanes{}, wide.data());
        else
          columns(to, at, from, inner, begin, end, window, inner - column, some.data());
      }
    });
  });
}

}  // namespace ink::INK_CPU_LEVEL
