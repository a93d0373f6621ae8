#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

constexpr int64_t kColumns = 256;

template <class T>
using Value = std::conditional_t<std::same_as<T, half> || std::same_as<T, bfloat16>, float, T>;

// Whether x takes the place of the best value so far: strictly better, or the first NaN.
template <bool is_max, class T>
INK_INLINE bool beats(T x, T best) {
  if constexpr (std::floating_point<T>) {
    if (x != x) return best == best;
  }
  return is_max ? x > best : x < best;
}

// Columns [first, first + count) of one matrix [n, inner].
template <bool is_max, class T>
void arg_columns(T* values, int64_t* indices, const T* in, int64_t n, int64_t inner, int64_t count) {
  Value<T> best[kColumns];
  int64_t where[kColumns];
  for (int64_t c = 0; c < count; ++c) best[c] = in[c], where[c] = 0;
  for (int64_t j = 1; j < n; ++j)
    for (int64_t c = 0; c < count; ++c) {
      const Value<T> x = in[j * inner + c];
      const bool better = beats<is_max>(x, best[c]);
      best[c] = better ? x : best[c];
      where[c] = better ? j : where[c];
    }
  for (int64_t c = 0; c < count; ++c) values[c] = T(best[c]), indices[c] = where[c];
}

template <bool is_max, class T>
void arg_lines(const Array& values, const Array& indices, const Array& in, Lines lines) {
  T* v = static_cast<T*>(values.data);
  int64_t* at = static_cast<int64_t*>(indices.data);
  const T* x = static_cast<const T*>(in.data);
  const int64_t blocks = (lines.inner + kColumns - 1) / kColumns,
                width = lines.inner < kColumns ? lines.inner : kColumns;
  const int64_t work = lines.n * width, grain = work < 32768 ? 32768 / (work ? work : 1) : 1;
  parallel_for(lines.outer * blocks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t o = task / blocks, first = task % blocks * kColumns;
      const int64_t count = lines.inner - first < kColumns ? lines.inner - first : kColumns;
      const int64_t out = o * lines.inner + first;
      arg_columns<is_max>(v + out, at + out, x + o * lines.n * lines.inner + first, lines.n, lines.inner, count);
    }
  });
}

}  // namespace

void arg_reduce(bool max, const Array& values, const Array& indices, const Array& in, Lines lines) {
  if (lines.n == 0) return;
  visit(in.dtype, [&]<class T>() {
    if constexpr (domain_of(dtype_of<T>) != kComplex)
      max ? arg_lines<true, T>(values, indices, in, lines) : arg_lines<false, T>(values, indices, in, lines);
  });
}

}  // namespace ink::INK_CPU_LEVEL
