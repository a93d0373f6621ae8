// Reading and writing at positions given by i64 indices. Every output element is owned by one piece of the loop, which
// adds to it in the order of the index: results depend neither on threads nor on luck.
#include <cstring>

#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

constexpr int64_t kGrain = 16384;  // elements per piece

template <int bytes>
struct Item {
  unsigned char data[bytes];
};  // any dtype: indexing moves, it does not compute

template <class F>
void visit_size(int64_t bytes, F&& f) {
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

// Walks the index position by position, the last dim fastest, and keeps the offset of the same coordinates in the
// index, in the array of its shape ("flat": out of gather, src of scatter) and in the one it points into ("deep").
struct Walk {
  Shape shape, index_strides, flat_strides, deep_strides, at;
  int64_t index = 0, flat = 0, deep = 0;

  Walk(const Shape& sizes, const Shape& index_s, const Shape& flat_s, const Shape& deep_s)
      : shape(sizes), index_strides(index_s), flat_strides(flat_s), deep_strides(deep_s), at(sizes) {}
  void start(int64_t position) {
    index = flat = deep = 0;
    for (int d = shape.size() - 1; d >= 0; --d) {
      at[d] = position % shape[d];
      position /= shape[d];
      move(d, at[d]);
    }
  }
  INK_INLINE void next() {
    for (int d = shape.size() - 1; d >= 0; --d) {
      move(d, 1);
      if (++at[d] < shape[d]) return;
      move(d, -shape[d]);
      at[d] = 0;
    }
  }

 private:
  INK_INLINE void move(int d, int64_t n) {
    index += n * index_strides[d];
    flat += n * flat_strides[d];
    deep += n * deep_strides[d];
  }
};

// a += b in the type that T computes in.
template <class T>
INK_INLINE T sum(T a, T b) {
  if constexpr (dtype_of<T> == DType::boolean)
    return a || b;
  else if constexpr (is_half(dtype_of<T>))
    return T(float(a) + float(b));
  else
    return T(a + b);
}

// Lines along `dim` are independent: no two share an output element.
template <class T, class Write>
void scatter_lines(const Array& out, const Array& src, const Array& index, int dim, Write write) {
  Shape sizes = index.shape, index_s = index.strides, src_s = src.strides, out_s = out.strides;
  int64_t n = 1, index_step = 0, src_step = 0, out_step = 0;
  if (!sizes.empty()) {
    n = sizes[dim], index_step = index_s[dim], src_step = src_s[dim], out_step = out_s[dim];
    for (Shape* s : {&sizes, &index_s, &src_s, &out_s}) s->erase(dim);
  }
  if (n == 0) return;
  auto o = static_cast<T*>(out.data);
  auto s = static_cast<const T*>(src.data);
  auto x = static_cast<const int64_t*>(index.data);
  parallel_for(sizes.numel(), kGrain / n + 1, [&](int64_t begin, int64_t end) {
    constexpr int64_t kBlock = 64;  // lines done side by side, so that neighbours in memory are met together
    Walk walk(sizes, index_s, src_s, out_s);
    walk.start(begin);
    int64_t at_index[kBlock], at_src[kBlock], at_out[kBlock];
    for (int64_t line = begin; line < end; line += kBlock) {
      int64_t count = end - line < kBlock ? end - line : kBlock;
      for (int64_t j = 0; j < count; ++j, walk.next())
        at_index[j] = walk.index, at_src[j] = walk.flat, at_out[j] = walk.deep;
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < count; ++j)
          write(o[at_out[j] + x[at_index[j] + i * index_step] * out_step], s[at_src[j] + i * src_step]);
    }
  });
}

}  // namespace

void gather(const Array& out, const Array& in, const Array& index, int dim) {
  Shape deep = in.strides;  // without dim, along which the index takes the place of the coordinate
  int64_t step = 0;
  if (!deep.empty()) step = deep[dim], deep[dim] = 0;
  visit_size(size_of(out.dtype), [&]<class T>() {
    auto o = static_cast<T*>(out.data);
    auto a = static_cast<const T*>(in.data);
    auto x = static_cast<const int64_t*>(index.data);
    parallel_for(out.shape.numel(), kGrain, [&](int64_t begin, int64_t end) {
      Walk walk(index.shape, index.strides, out.strides, deep);
      walk.start(begin);
      for (int64_t i = begin; i < end; ++i, walk.next()) o[walk.flat] = a[walk.deep + x[walk.index] * step];
    });
  });
}

void scatter(const Array& out, const Array& src, const Array& index, int dim, bool add) {
  if (add)
    visit(out.dtype,
          [&]<class T>() { scatter_lines<T>(out, src, index, dim, [](T& o, const T& s) { o = sum(o, s); }); });
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
          for (int64_t j = 0; j < count; ++j) to[j] = sum(to[j], from[j]);
        }
      }
    });
  });
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
