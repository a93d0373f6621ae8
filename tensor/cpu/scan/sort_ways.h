// Three ways to sort by keys (sort_key.h): by counting for short lines, by digits for long ones, by insertion for a
// handful.
#pragma once
#include "tensor/cpu/pack/pack.h"
#include "tensor/math/sort_key.h"

namespace ink::INK_CPU_LEVEL {

// Up to this many keys of type U, counting beats radix sort.
template <class U> inline constexpr int64_t kRankSort = 16 * kLanes<U>;

// A key's place is the number of keys that go before it: the smaller ones, and the equal ones that stand earlier. That
// is n comparisons per key, but a pack of keys at a time and without a branch. Both arrays have room for one more pack,
// and the keys after the n-th are the highest.
template <class U> void rank_sort(const U* keys, int64_t n, int_of<U>* rank) {
  constexpr int L = kLanes<U>;
  using Keys = vector_of<U, L>;
  using Count = vector_of<int_of<U>, L>;
  Count lane;
  for (int i = 0; i < L; ++i) lane[i] = int_of<U>(i);
  for (int64_t first = 0; first < n; first += L) {
    int64_t end = first + L < n ? first + L : n;
    Count count = {};  // comparisons give -1 for true
    Keys mine;
    __builtin_memcpy(&mine, keys + first, sizeof mine);
    for (int64_t j = 0; j < first; ++j) count -= (Count)(mine >= (Keys{} + keys[j]));
    for (int64_t j = first; j < end; ++j) {
      Keys other = Keys{} + keys[j];
      count -= (Count)(mine > other) | ((Count)(mine == other) & (Count)(lane > int_of<U>(j - first)));
    }
    for (int64_t j = end; j < n; ++j) count -= (Count)(mine > (Keys{} + keys[j]));
    __builtin_memcpy(rank + first, &count, sizeof count);
  }
}

// Puts the n entries in order; b is a second buffer. Each pass deals the entries out by one byte of the key, keeping
// their order (Knuth, TAOCP 3, 5.2.5): after the last byte they are sorted. One reading counts all bytes; a byte in
// which all keys agree needs no pass. Returns the buffer that holds the result.
template <class E> E* radix_sort(E* a, E* b, int64_t n, int key_bytes) {
  int64_t counts[8][256] = {};
  for (int64_t i = 0; i < n; ++i)
    for (int byte = 0; byte < key_bytes; ++byte) ++counts[byte][a[i].key() >> (8 * byte) & 255];
  for (int byte = 0; byte < key_bytes; ++byte) {
    int64_t* next = counts[byte];
    if (next[a[0].key() >> (8 * byte) & 255] == n) continue;
    for (int64_t digit = 0, first = 0; digit < 256; ++digit) {
      int64_t count = next[digit];
      next[digit] = first, first += count;
    }
    for (int64_t i = 0; i < n; ++i) b[next[a[i].key() >> (8 * byte) & 255]++] = a[i];
    E* t = a;
    a = b, b = t;
  }
  return a;
}

// The same by insertion, in place.
template <class E> void insertion_sort(E* a, int64_t n) {
  for (int64_t i = 1; i < n; ++i) {
    E x = a[i];
    int64_t j = i;
    for (; j > 0 && x < a[j - 1]; --j) a[j] = a[j - 1];
    a[j] = x;
  }
}

}  // namespace ink::INK_CPU_LEVEL
