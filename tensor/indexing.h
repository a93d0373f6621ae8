// What x.index({...}) takes: Slice(0, 3), None, "...", an integer, or a tensor of integers or booleans.
#pragma once
#include <cstdint>
#include <limits>
#include <optional>

#include "tensor/tensor_fwd.h"

namespace ink {

struct None_t {};
struct Ellipsis_t {};
inline constexpr None_t None;          // a new dim of size 1; also an open end of a Slice
inline constexpr Ellipsis_t Ellipsis;  // as many whole dims as fit

// start : stop : step as in Python; negative ends count from the end, step > 0.
struct Slice {
  static constexpr int64_t kOpen = std::numeric_limits<int64_t>::max();
  int64_t start = 0, stop = kOpen, step = 1;
  constexpr Slice() = default;
  constexpr Slice(int64_t start, int64_t stop, int64_t step = 1) : start(start), stop(stop), step(step) {}
  constexpr Slice(None_t, int64_t stop, int64_t step = 1) : stop(stop), step(step) {}
  constexpr Slice(int64_t start, None_t, int64_t step = 1) : start(start), step(step) {}
  constexpr Slice(None_t, None_t, int64_t step = 1) : step(step) {}
};

struct Index {
  enum class Kind { slice, none, ellipsis, integer, tensor } kind;
  Slice slice;
  int64_t integer = 0;
  const Tensor* tensor = nullptr;  // must outlive the call

  Index(Slice s) : kind(Kind::slice), slice(s) {}
  Index(None_t) : kind(Kind::none) {}
  Index(Ellipsis_t) : kind(Kind::ellipsis) {}
  Index(int i) : kind(Kind::integer), integer(i) {}
  Index(int64_t i) : kind(Kind::integer), integer(i) {}
  Index(const Tensor& t) : kind(Kind::tensor), tensor(&t) {}
};

}  // namespace ink
