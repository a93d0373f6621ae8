// Blocks of more than a page, cut from big segments of the system. The smallest free block that fits is split, and
// neighbours that become free are joined again (the idea of PyTorch's CUDA allocator), so that reserved memory stays
// close to the most that was live, and no page is paid for twice.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <set>
#include <unordered_map>

#include "tensor/fork.h"

namespace ink {

// Where segments come from: the system's pages, or a GPU's memory.
struct SegmentSource {
  char* (*map)(size_t bytes);  // nullptr when there is no more
  void (*unmap)(char* begin, size_t bytes);
  size_t (*limit)();  // the most that may be held
  size_t granule;     // sizes of blocks are multiples of this
};
const SegmentSource& system_pages();

class SegmentAllocator {
 public:
  explicit SegmentAllocator(const SegmentSource& source = system_pages()) : source_(source) {}
  SegmentAllocator(const SegmentAllocator&) = delete;
  // At least `bytes`, aligned to a granule; nullptr when the system has no more. Thread-safe.
  void* allocate(size_t bytes) noexcept;
  bool deallocate(void* p) noexcept;  // false: not a block of these segments
  void release_free() noexcept;       // gives wholly free segments back to the system
  int64_t reserved() const { return reserved_.load(std::memory_order_relaxed); }

 private:
  struct Block;
  struct BestFit {
    bool operator()(const Block* a, const Block* b) const;
  };
  using Free = std::set<Block*, BestFit>;
  struct Block {
    char* begin = nullptr;
    size_t size = 0;
    bool large = false;                         // its segment serves large requests only
    Block *before = nullptr, *after = nullptr;  // the neighbours in the same segment
    Free::node_type node{};                     // while the block is in use: the node that frees it without malloc
  };

  Block* take(size_t size, bool large);  // from the free blocks; nullptr if none fits
  bool grow(size_t size, bool large);    // one more segment among the free blocks
  void split(Block* block, size_t size);
  void join_next(Block* block) noexcept;
  void release_locked() noexcept;

  const SegmentSource& source_;
  ForkMutex mutex_{ForkOrder::segment};
  Free free_;
  std::unordered_map<void*, Block*> used_;
  std::atomic<int64_t> reserved_{0};
};

}  // namespace ink
