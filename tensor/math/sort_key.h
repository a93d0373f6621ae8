// Sorting by unsigned keys, on any device: every value becomes an unsigned integer of the same order, and next to it
// stands its index. Comparing (key, index) then is a strict order, so ties go to the first whatever the algorithm.
#pragma once
#include <bit>
#include <cstdint>
#include <type_traits>

#include "tensor/math/dtype.h"

namespace ink {

template <class T> using key_of = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;

// For f32 f64 i64 i32 u8 bool. NaN is above everything, -0 equals 0. Descending order is ascending order of the
// inverted keys: NaN comes first.
template <class T> INK_HD INK_INLINE key_of<T> sort_key(T x, bool descending) {
  using U = key_of<T>;
  constexpr U sign = U(1) << (8 * sizeof(U) - 1);
  U key;
  if constexpr (std::is_floating_point_v<T>) {
    U bits = std::bit_cast<U>(x + T(0));      // -0 + 0 is +0
    key = bits & sign ? ~bits : bits | sign;  // negative: more bits mean less; positive: above all negative ones
    key = x != x ? ~U(0) : key;
  } else if constexpr (std::is_signed_v<T>) {
    key = U(x) ^ sign;
  } else {
    key = U(x);
  }
  return descending ? ~key : key;
}

// A key of at most 32 bits and an index below 2^32 fit one word.
struct PackedEntry {
  uint64_t word;
  PackedEntry() = default;
  INK_HD INK_INLINE PackedEntry(uint32_t key, int64_t index) : word(uint64_t(key) << 32 | uint64_t(index)) {}
  INK_HD INK_INLINE uint32_t key() const { return uint32_t(word >> 32); }
  INK_HD INK_INLINE int64_t index() const { return int64_t(uint32_t(word)); }
  INK_HD INK_INLINE bool operator<(const PackedEntry& o) const { return word < o.word; }
};
struct WideEntry {
  uint64_t key_, index_;
  WideEntry() = default;
  INK_HD INK_INLINE WideEntry(uint64_t key, int64_t index) : key_(key), index_(uint64_t(index)) {}
  INK_HD INK_INLINE uint64_t key() const { return key_; }
  INK_HD INK_INLINE int64_t index() const { return int64_t(index_); }
  INK_HD INK_INLINE bool operator<(const WideEntry& o) const {
    return key_ < o.key_ || (key_ == o.key_ && index_ < o.index_);
  }
};

// Calls f with T and the smallest entry for values of T in lines of n.
template <class F> INK_INLINE void visit_sortable(DType dtype, int64_t n, F&& f) {
  auto with = [&]<class T>() {
    if constexpr (sizeof(T) == 8)
      f.template operator()<T, WideEntry>();
    else if (n < int64_t(1) << 32)
      f.template operator()<T, PackedEntry>();
    else
      f.template operator()<T, WideEntry>();
  };
  visit_among<float, double, int64_t, int32_t, uint8_t, bool>(dtype, with);
}

}  // namespace ink
