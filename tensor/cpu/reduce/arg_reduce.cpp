// The largest or smallest value along a dim and where it first stands; a NaN wins, as in max and min.
#include "tensor/cpu/reduce/reducers.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

constexpr int64_t kColumns = 512;  // columns that are searched together
constexpr int64_t kBlock = 512;    // elements of a row whose extreme is found before it is looked for

template <class T> using Value = std::conditional_t<std::same_as<T, half> || std::same_as<T, bfloat16>, float, T>;

// Whether x takes the place of the best value so far: strictly better, or the first NaN.
template <bool is_max, class T> INK_INLINE bool beats(T x, T best) {
  return (is_max ? x > best : x < best) | (x != x && best == best);
}

// The first place of `value` (or of a NaN, if it is one) in x[0, n), where it must stand.
template <class T> INK_INLINE int64_t find(const T* x, T value) {
  int64_t i = 0;
  if constexpr (std::floating_point<T>) {
    if (value != value) {
      while (x[i] == x[i]) ++i;
      return i;
    }
  }
  while (x[i] != value) ++i;
  return i;
}

// Finds the extreme of each block at the speed of max(), and searches only the block that holds the best.
template <bool is_max, class T> int64_t arg_row(const T* x, int64_t n) {
  using Op = std::conditional_t<is_max, fn::Max, fn::Min>;
  constexpr Reducer op = reducer_entry<Op, T>();
  T best = x[0];
  int64_t from = 0;
  for (int64_t i = 0; i < n && best == best; i += kBlock) {
    T here = Op::template start<T>();
    op.row(&here, x + i, n - i < kBlock ? n - i : kBlock);
    if (beats<is_max>(here, best)) best = here, from = i;
  }
  if constexpr (std::floating_point<T>) {
    using P = Pack<T, kLanes<T>>;
    for (; best == best && from + P::lanes <= n && !any(P::load(x + from) == P(best)); from += P::lanes) {}
  }
  return from + find(x + from, best);
}

// `count` columns of a matrix [n, stride].
template <bool is_max, class T>
void arg_columns(T* values, int64_t* indices, const T* in, int64_t n, int64_t stride, int64_t count) {
  Value<T> best[kColumns];
  int64_t where[kColumns];
  for (int64_t c = 0; c < count; ++c) best[c] = in[c], where[c] = 0;
  for (int64_t j = 1; j < n; ++j)
    for (int64_t c = 0; c < count; ++c) {
      const Value<T> x = in[j * stride + c];
      if (beats<is_max>(x, best[c])) best[c] = x, where[c] = j;
    }
  for (int64_t c = 0; c < count; ++c) values[c] = T(best[c]), indices[c] = where[c];
}

// The same for K packs of columns; the row numbers stand in integers of T's size, so n must fit them.
template <bool is_max, int K, class T>
INK_INLINE void arg_packs(T* values, int64_t* indices, const T* in, int64_t n, int64_t stride) {
  constexpr int L = kLanes<T>;
  using P = Pack<T, L>;
  using I = Pack<int_of<T>, L>;
  P best[K];
  I where[K];
  for (int k = 0; k < K; ++k) best[k] = P::load(in + k * L), where[k] = I(int_of<T>(0));
  for (int64_t j = 1; j < n; ++j) {
    const I row{int_of<T>(j)};
    for (int k = 0; k < K; ++k) {
      const P x = P::load(in + j * stride + k * L);
      const auto better = (is_max ? x > best[k] : x < best[k]) | ((x != x) & (best[k] == best[k]));
      best[k] = select(better, x, best[k]);
      where[k] = I(better.v ? row.v : where[k].v);
    }
  }
  for (int k = 0; k < K; ++k) {
    best[k].store(values + k * L);
    convert<int64_t>(where[k]).store(indices + k * L);
  }
}

template <bool is_max, class T>
void arg_block(T* values, int64_t* indices, const T* in, int64_t n, int64_t stride, int64_t count) {
  int64_t c = 0;
  if constexpr (std::floating_point<T>) {
    if (n <= std::numeric_limits<int_of<T>>::max()) {
      constexpr int L = kLanes<T>;
      for (; c + 4 * L <= count; c += 4 * L) arg_packs<is_max, 4>(values + c, indices + c, in + c, n, stride);
      for (; c + L <= count; c += L) arg_packs<is_max, 1>(values + c, indices + c, in + c, n, stride);
    }
  }
  if (c < count) arg_columns<is_max>(values + c, indices + c, in + c, n, stride, count - c);
}

template <bool is_max, class T> void arg_lines(T* values, int64_t* indices, const T* in, Lines lines) {
  const int64_t width = lines.inner < kColumns ? lines.inner : kColumns;
  if (width == 0) return;
  const int64_t blocks = (lines.inner + width - 1) / width, work = lines.n * width;
  parallel_for(lines.outer * blocks, work < kGrain ? kGrain / work : 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t o = task / blocks, first = task % blocks * width, out = o * lines.inner + first;
      const T* x = in + o * lines.n * lines.inner + first;
      if constexpr (!is_half(dtype_of<T>)) {
        if (lines.inner == 1) {
          indices[out] = arg_row<is_max>(x, lines.n);
          values[out] = x[indices[out]];
          continue;
        }
      }
      const int64_t count = lines.inner - first < width ? lines.inner - first : width;
      arg_block<is_max>(values + out, indices + out, x, lines.n, lines.inner, count);
    }
  });
}

}  // namespace

void arg_reduce(bool max, const Array& values, const Array& indices, const Array& in, Lines lines) {
  if (lines.n == 0) return;
  visit(in.dtype, [&]<class T>() {
    if constexpr (domain_of(dtype_of<T>) != kComplex) {
      T* v = static_cast<T*>(values.data);
      int64_t* at = static_cast<int64_t*>(indices.data);
      const T* x = static_cast<const T*>(in.data);
      max ? arg_lines<true>(v, at, x, lines) : arg_lines<false>(v, at, x, lines);
    }
  });
}

}  // namespace ink::INK_CPU_LEVEL
