// Sliding-window maximum in three comparisons per sample, whatever the window (van Herk 1992; Gil & Werman 1993).
// Cut the line into blocks of w samples. A window of w samples starting inside one block ends in the next: its maximum
// is the larger of a suffix maximum of the first block and a prefix maximum of the second.
#include "tensor/cpu/scratch.h"
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

template <class T>
struct Best {
  T value;
  int64_t index;
};
// NaN wins, ties go to the one that stands earlier.
template <class T>
INK_INLINE Best<T> best(Best<T> earlier, Best<T> later) {
  bool take_later = (later.value > earlier.value) | ((later.value != later.value) & (earlier.value == earlier.value));
  return {take_later ? later.value : earlier.value, take_later ? later.index : earlier.index};
}

// Windows [begin, end) of `count` neighbouring columns of x [n, step]; begin is a multiple of w.
template <class T>
void columns(T* y, int64_t* indices, const T* x, int64_t step, int64_t count, int64_t begin, int64_t end, int64_t w,
             Best<T>* suffix, Best<T>* prefix) {
  for (int64_t start = begin; start < end; start += w) {
    for (int64_t i = w - 1; i >= 0; --i)
      for (int64_t j = 0; j < count; ++j) {
        Best<T> here{x[(start + i) * step + j], start + i};
        suffix[i * count + j] = i == w - 1 ? here : best(here, suffix[(i + 1) * count + j]);
      }
    for (int64_t i = 0; i < w && start + i < end; ++i)
      for (int64_t j = 0; j < count; ++j) {
        Best<T> window = suffix[i * count + j];
        if (i > 0) {
          int64_t last = start + i + w - 1;
          Best<T> here{x[last * step + j], last};
          prefix[j] = i == 1 ? here : best(prefix[j], here);
          window = best(window, prefix[j]);
        }
        y[(start + i) * step + j] = window.value;
        indices[(start + i) * step + j] = window.index;
      }
  }
}

}  // namespace

void window_max(DType dtype, void* y, int64_t* indices, const void* x, Lines lines, int64_t window) {
  constexpr int64_t kColumns = 64;
  int64_t n = lines.n, inner = lines.inner, out = n - window + 1;
  if (out <= 0 || inner == 0) return;
  int64_t width = inner < kColumns ? inner : kColumns, tiles = (inner + width - 1) / width;
  int64_t part = window * (8192 / width / window + 1), parts = (out + part - 1) / part;  // windows per piece
  auto run = [&]<class T>() {
    parallel_for(lines.outer * tiles * parts, 8192 / (part * width) + 1, [&](int64_t first, int64_t last) {
      Scratch<Best<T>> suffix(window * width), prefix(width);
      for (int64_t piece = first; piece < last; ++piece) {
        int64_t o = piece / (tiles * parts), column = piece / parts % tiles * width, begin = piece % parts * part;
        int64_t count = inner - column < width ? inner - column : width, end = begin + part < out ? begin + part : out;
        columns(static_cast<T*>(y) + o * out * inner + column, indices + o * out * inner + column,
                static_cast<const T*>(x) + o * n * inner + column, inner, count, begin, end, window, suffix.data(),
                prefix.data());
      }
    });
  };
  if (dtype == DType::i64)
    run.template operator()<int64_t>();
  else
    visit_float(dtype, run);
}

}  // namespace ink::INK_CPU_LEVEL
