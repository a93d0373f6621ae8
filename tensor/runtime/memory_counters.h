// What allocators have in common: whether they keep memory, and what they count: bytes live now, the most that were,
// and how many blocks were given out.
#pragma once
#include <atomic>

#include "tensor/allocator.h"

namespace ink {

#ifdef INK_SANITIZE
inline constexpr bool kCaching = false;  // one block of the exact size per tensor, so that every overrun is seen
#else
inline constexpr bool kCaching = true;
#endif

class MemoryCounters {
 public:
  void add(size_t bytes) {
    int64_t now = live_.fetch_add(int64_t(bytes), std::memory_order_relaxed) + int64_t(bytes);
    int64_t peak = peak_.load(std::memory_order_relaxed);
    while (now > peak && !peak_.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {}
    allocations_.fetch_add(1, std::memory_order_relaxed);
  }
  void remove(size_t bytes) { live_.fetch_sub(int64_t(bytes), std::memory_order_relaxed); }
  void reset_peak() { peak_ = live_.load(); }
  int64_t live() const { return live_.load(); }
  MemoryStats stats(int64_t reserved) const { return {live_.load(), peak_.load(), reserved, allocations_.load()}; }

 private:
  std::atomic<int64_t> live_{0}, peak_{0}, allocations_{0};
};

}  // namespace ink
