// Sorting entries (sort_key.h): radix sort from the least significant byte for long lines, merge sort for short ones.
#pragma once
#include "tensor/cpu/sort_key.h"

namespace ink::INK_CPU_LEVEL {

// Runs of 16 by insertion, then merged pairwise between the two buffers; returns the buffer that holds the result.
template <class E>
E* merge_sort(E* a, E* b, int64_t n) {
  constexpr int64_t kRun = 16;
  for (int64_t i = 0; i < n; i += kRun) insertion_sort(a + i, n - i < kRun ? n - i : kRun);
  for (int64_t width = kRun; width < n; width *= 2) {
    for (int64_t i = 0; i < n; i += 2 * width) {
      int64_t l = i, middle = i + width < n ? i + width : n, r = middle, end = middle + width < n ? middle + width : n;
      for (int64_t o = i; o < end; ++o) {
        bool right = l == middle || (r < end && a[r] < a[l]);
        b[o] = a[right ? r : l];
        right ? ++r : ++l;
      }
    }
    E* t = a;
    a = b, b = t;
  }
  return a;
}

// Each pass deals the entries out by one byte of the key, keeping their order (Knuth, TAOCP 3, 5.2.5): after the last
// byte they are sorted. One reading counts all bytes; a byte in which all keys agree needs no pass.
template <class E>
E* radix_sort(E* a, E* b, int64_t n, int key_bytes) {
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

template <class E>
E* sort_entries(E* a, E* b, int64_t n, int key_bytes) {
  return n < 512 ? merge_sort(a, b, n) : radix_sort(a, b, n, key_bytes);
}

}  // namespace ink::INK_CPU_LEVEL
