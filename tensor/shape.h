// Shape: up to 8 sizes (or strides, or dims) held inline, so that no op allocates for them.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>

#include "tensor/math/hd.h"

namespace ink {

inline constexpr int kMaxDims = 8;

[[noreturn]] void throw_too_many_dims(int64_t n);

class Shape {
 public:
  constexpr Shape() = default;
  INK_INLINE Shape(std::initializer_list<int64_t> v) {
    for (int64_t x : v) push_back(x);
  }
  template <class It> INK_INLINE Shape(It first, It last) {
    for (; first != last; ++first) push_back(*first);
  }
  INK_INLINE static Shape filled(int n, int64_t value) {
    Shape s;
    for (int i = 0; i < n; ++i) s.push_back(value);
    return s;
  }

  INK_INLINE int size() const { return n_; }
  INK_INLINE bool empty() const { return n_ == 0; }
  INK_INLINE int64_t& operator[](int i) { return d_[i]; }
  INK_INLINE const int64_t& operator[](int i) const { return d_[i]; }
  INK_INLINE int64_t back() const { return d_[n_ - 1]; }
  INK_INLINE const int64_t* begin() const { return d_; }
  INK_INLINE const int64_t* end() const { return d_ + n_; }
  INK_INLINE int64_t* begin() { return d_; }
  INK_INLINE int64_t* end() { return d_ + n_; }
  INK_INLINE void push_back(int64_t v) {
    if (n_ == kMaxDims) throw_too_many_dims(n_ + 1);
    d_[n_++] = v;
  }
  INK_INLINE void pop_back() { --n_; }
  INK_INLINE void insert(int at, int64_t v) {
    push_back(v);
    for (int i = n_ - 1; i > at; --i) d_[i] = d_[i - 1];
    d_[at] = v;
  }
  INK_INLINE void erase(int at) {
    for (int i = at; i + 1 < n_; ++i) d_[i] = d_[i + 1];
    --n_;
  }
  // The number of elements; 1 for no dims. It fits for the shape of a tensor; some of the sizes of one without elements
  // may have any product, which wraps. For sizes that come from a user: checked_numel.
  INK_INLINE int64_t numel() const {
    uint64_t n = 1;
    for (int i = 0; i < n_; ++i) n *= uint64_t(d_[i]);
    return int64_t(n);
  }
  INK_INLINE bool operator==(const Shape& o) const {
    if (n_ != o.n_) return false;
    for (int i = 0; i < n_; ++i)
      if (d_[i] != o.d_[i]) return false;
    return true;
  }
  std::string str() const;  // "[2, 3]"

 private:
  int64_t d_[kMaxDims] = {};
  int n_ = 0;
};

template <class Stream> Stream& operator<<(Stream& s, const Shape& shape) {
  s << shape.str();
  return s;
}

// A list of dims for a reduction: `sum(x, 1)`, `sum(x, {0, -1})`; an empty list means all dims.
struct Dims : Shape {
  Dims() = default;
  Dims(int64_t d) : Shape{d} {}
  Dims(int d) : Shape{int64_t(d)} {}
  Dims(std::initializer_list<int64_t> v) : Shape(v) {}
  Dims(const Shape& s) : Shape(s) {}
};

// Sizes that come from a user are put together by these: a ShapeError that names op and numbers instead of an overflow.
int64_t checked_sum(const char* op, int64_t a, int64_t b);
int64_t checked_product(const char* op, int64_t a, int64_t b);
int64_t checked_numel(const char* op, const Shape& shape);  // the number of elements; also for a negative size
// The same count into n; false if an i64 cannot hold it. Negative sizes are a ShapeError here too.
bool count_elements(const char* op, const Shape& shape, int64_t& n);
// of strides, paddings and the like: products of two fit an i64
constexpr int64_t kMaxOption = (int64_t(1) << 31) - 1;

// Row-major strides, in elements.
Shape contiguous_strides(const Shape& shape);
// The shape two operands broadcast to; ShapeError names op and both shapes if they do not.
Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b);
// -1 counts from the end; IndexError if dim is outside [-ndim, ndim).
int wrap_dim(const char* op, int64_t dim, int ndim);

}  // namespace ink
