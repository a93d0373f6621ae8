// Reading and writing at positions given by i64 indices. Every output element is owned by one piece of the loop, which
// adds to it in the order of the index: results depend neither on threads nor on luck.
#include <cstring>

#include "tensor/cpu/row.h"
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

constexpr int64_t kGrain = 16384;  // elements per piece

template <int bytes> struct Item { unsigned char data[bytes]; };  // any dtype: indexing moves, it does not compute

template <class F> void visit_size(int64_t bytes, F&& f) {
  switch (bytes) {
    case 1:
      return f.template operator()<Item<1>>();
    case 2:
      return f.template operator()<Item<2>>();
    case 4:
      return f.template operator()<Item<4>>();
    case 8:
      return f.template operator()<Item<8>>();
    default:
      return f.template operator()<Item<16>>();
  }
}

// One dim of an index loop: its size, and what a step along it adds to the offset in the index, in the array of the
// index's shape ("flat": out of gather, src of scatter) and in the one that the index points into ("deep").
struct Dim {
  int64_t n = 1, index = 0, flat = 0, deep = 0;
};
struct Offsets {
  int64_t index = 0, flat = 0, deep = 0;
};

// The dims that are walked from outside; the loops inside a kernel take theirs out first.
struct Walk {
  Shape sizes, at, index, flat, deep;

  // `pointed` is the array that the index points into along `dim`: there the index takes the place of the coordinate.
  Walk(const Array& index_array, const Array& same_shape, const Array& pointed, int dim)
      : sizes(index_array.shape), index(index_array.strides), flat(same_shape.strides), deep(pointed.strides) {
    if (!deep.empty()) deep[dim] = 0;
  }
  // The dim for the innermost loop: the last, where memory is usually contiguous, unless it is too short for a loop.
  int inner_dim() const {
    int best = sizes.size() - 1;
    for (int d = best; d >= 0 && sizes[sizes.size() - 1] < 16; --d)
      if (sizes[d] > sizes[best]) best = d;
    return best;
  }
  Dim take(int d) {
    if (d < 0) return {};
    Dim dim{sizes[d], index[d], flat[d], deep[d]};
    for (Shape* s : {&sizes, &index, &flat, &deep}) s->erase(d);
    return dim;
  }
  Offsets start(int64_t row) {
    Offsets o;
    at = sizes;
    for (int d = sizes.size() - 1; d >= 0; --d) {
      at[d] = row % sizes[d];
      row /= sizes[d];
      move(o, d, at[d]);
    }
    return o;
  }
  void next(Offsets& o) {
    for (int d = sizes.size() - 1; d >= 0; --d) {
      move(o, d, 1);
      if (++at[d] < sizes[d]) return;
      move(o, d, -sizes[d]);
      at[d] = 0;
    }
  }

 private:
  void move(Offsets& o, int d, int64_t n) const {
    o.index += n * index[d], o.flat += n * flat[d], o.deep += n * deep[d];
  }
};

// Calls f(offsets, first, count) for every row of the walk and every block of at most `width` of the `n` positions of
// its innermost loop; `work` is the cost of one position.
template <class F> void for_rows(const Walk& walk, int64_t n, int64_t width, int64_t work, F f) {
  if (n == 0 || work == 0) return;
  if (width > n) width = n;
  int64_t blocks = (n + width - 1) / width;
  parallel_for(walk.sizes.numel() * blocks, kGrain / (width * work) + 1, [&](int64_t begin, int64_t end) {
    Walk w = walk;
    Offsets at = w.start(begin / blocks);
    for (int64_t piece = begin; piece < end; ++piece) {
      int64_t first = piece % blocks * width;
      f(at, first, n - first < width ? n - first : width);
      if (piece % blocks == blocks - 1) w.next(at);
    }
  });
}

// a + b in the type that T computes in; for bools: whether one is set.
template <class T> INK_INLINE T add(T a, T b) {
  if constexpr (is_half(dtype_of<T>))
    return T(float(a) + float(b));
  else
    return fn::plus(a, b);
}

// Lines along `dim` are independent, as no two share an output element; one line is written in its order.
template <class T, class Write>
void scatter_lines(const Array& out, const Array& src, const Array& index, int dim, Write write) {
  Walk walk(index, src, out, dim);
  int inner_dim = walk.inner_dim();
  bool along = inner_dim == dim;
  Dim inner = walk.take(inner_dim), line = along ? Dim{} : walk.take(dim - (dim > inner_dim));
  int64_t step = out.strides.empty() ? 0 : out.strides[dim];
  for_rows(walk, inner.n, along ? inner.n : 1024, line.n, [&](Offsets at, int64_t first, int64_t count) {
    for (int64_t i = 0; i < line.n; ++i) {
      T* o = static_cast<T*>(out.data) + at.deep + first * inner.deep;
      const T* s = static_cast<const T*>(src.data) + at.flat + i * line.flat + first * inner.flat;
      const int64_t* x = static_cast<const int64_t*>(index.data) + at.index + i * line.index + first * inner.index;
      const Dim d = inner;  // by value: as far as the compiler knows, o may point at anything
      const int64_t per_index = step;
      for (int64_t j = 0; j < count; ++j) write(o[x[j * d.index] * per_index + j * d.deep], s[j * d.flat]);
    }
  });
}

}  // namespace

void gather(const Array& out, const Array& in, const Array& index, int dim) {
  Walk walk(index, out, in, dim);
  Dim inner = walk.take(walk.inner_dim());
  int64_t step = in.strides.empty() ? 0 : in.strides[dim];
  visit_size(size_of(out.dtype), [&]<class T>() {
    for_rows(walk, inner.n, kGrain, 1, [&](Offsets at, int64_t first, int64_t count) {
      T* o = static_cast<T*>(out.data) + at.flat + first * inner.flat;
      const T* a = static_cast<const T*>(in.data) + at.deep + first * inner.deep;
      const int64_t* x = static_cast<const int64_t*>(index.data) + at.index + first * inner.index;
      const Dim d = inner;  // by value: as far as the compiler knows, o may point at anything
      const int64_t per_index = step;
      for (int64_t j = 0; j < count; ++j) o[j * d.flat] = a[x[j * d.index] * per_index + j * d.deep];
    });
  });
}

void scatter(const Array& out, const Array& src, const Array& index, int dim, bool sums) {
  if (sums)
    visit(out.dtype,
          [&]<class T>() { scatter_lines<T>(out, src, index, dim, [](T& o, const T& s) { o = add(o, s); }); });
  else
    visit_size(size_of(out.dtype),
               [&]<class T>() { scatter_lines<T>(out, src, index, dim, [](T& o, const T& s) { o = s; }); });
}

void index_select(void* out, const void* in, const int64_t* index, int64_t k, Lines lines, int64_t item_bytes) {
  int64_t bytes = lines.inner * item_bytes;
  if (bytes == 0) return;
  auto o = static_cast<unsigned char*>(out);
  auto a = static_cast<const unsigned char*>(in);
  parallel_for(lines.outer * k, 4 * kGrain / bytes + 1, [&](int64_t begin, int64_t end) {
    auto source = [&](int64_t r) { return a + (r / k * lines.n + index[r % k]) * bytes; };
    if (lines.inner == 1)
      return visit_size(item_bytes, [&]<class T>() {
        for (int64_t r = begin; r < end; ++r)
          *reinterpret_cast<T*>(o + r * bytes) = *reinterpret_cast<const T*>(source(r));
      });
    for (int64_t r = begin; r < end; ++r) std::memcpy(o + r * bytes, source(r), size_t(bytes));
  });
}

void index_add(DType dtype, void* out, const void* src, const int64_t* index, int64_t k, Lines lines) {
  constexpr int64_t kColumns = 256;  // rows meet again and again, columns never: so the columns are shared out
  int64_t blocks = (lines.inner + kColumns - 1) / kColumns;
  visit(dtype, [&]<class T>() {
    parallel_for(lines.outer * blocks, k < kGrain / kColumns ? kGrain / kColumns : 1, [&](int64_t begin, int64_t end) {
      for (int64_t piece = begin; piece < end; ++piece) {
        int64_t o = piece / blocks, first = piece % blocks * kColumns;
        int64_t count = lines.inner - first < kColumns ? lines.inner - first : kColumns;
        for (int64_t i = 0; i < k; ++i) {
          T* to = static_cast<T*>(out) + (o * lines.n + index[i]) * lines.inner + first;
          const T* from = static_cast<const T*>(src) + (o * k + i) * lines.inner + first;
          if constexpr (std::is_floating_point_v<T>)
            row_map(
                count, to, [](auto x, auto y) { return x + y; }, to, from);
          else
            for (int64_t j = 0; j < count; ++j) to[j] = add(to[j], from[j]);
        }
      }
    });
  });
}

int64_t check_index(const IndexCheck& check, int64_t* out, const int64_t* in, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    if (!check.takes(in[i])) return i;
    out[i] = check.place_of(in[i]);
  }
  return -1;
}

int64_t nonzero(const bool* mask, int64_t n, int64_t* out) {
  int64_t count = 0, i = 0;
  for (; i + 8 <= n; i += 8) {  // eight flags at a time; a bool is a byte of value 0 or 1
    uint64_t flags;
    std::memcpy(&flags, mask + i, 8);
    if (!out)
      count += __builtin_popcountll(flags);
    else
      for (; flags; flags &= flags - 1) out[count++] = i + __builtin_ctzll(flags) / 8;
  }
  for (; i < n; ++i)
    if (mask[i]) {
      if (out) out[count] = i;
      ++count;
    }
  return count;
}

}  // namespace ink::INK_CPU_LEVEL
