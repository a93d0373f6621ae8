// Small blocks (64 KiB and less) live in size classes: a list per thread, which trades with a shared list in batches,
// which is fed from slabs. Everything bigger comes straight from the segments.
#include "tensor/allocator.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "tensor/error.h"
#include "tensor/runtime/cuda_backend.h"
#include "tensor/runtime/memory_counters.h"
#include "tensor/runtime/segment_allocator.h"

namespace ink {
namespace {

// ---- size classes: multiples of 64 up to 512, then four per doubling up to 64 KiB
constexpr size_t kAlign = 64, kSmall = size_t(64) << 10;
constexpr int kClasses = 36;

constexpr int class_of(size_t bytes) {
  if (bytes <= 512) return int((bytes - 1) / kAlign);
  int e = std::bit_width(bytes - 1);  // 2^(e-1) < bytes <= 2^e
  return 8 + (e - 10) * 4 + int((bytes - 1 - (size_t(1) << (e - 1))) >> (e - 3));
}
constexpr size_t class_size(int c) {
  if (c < 8) return size_t(c + 1) * kAlign;
  int e = 10 + (c - 8) / 4;
  return (size_t(1) << (e - 1)) + (size_t((c - 8) % 4 + 1) << (e - 3));
}
static_assert(class_of(kSmall) == kClasses - 1 && class_size(kClasses - 1) == kSmall);

// How many free blocks of a class a thread keeps to itself.
constexpr int keep(int c) { return int(std::clamp<size_t>((size_t(256) << 10) / class_size(c), 4, 256)); }
constexpr size_t slab_size(int c) { return std::max(kSmall, 4 * class_size(c)); }
constexpr int64_t slab_blocks(int c) { return int64_t(slab_size(c) / class_size(c)); }

struct Block {
  Block* next;
};

struct List {
  Block* head = nullptr;
  int64_t count = 0;
  void push(Block* b) { b->next = std::exchange(head, b), count++; }
  Block* pop() {
    Block* b = head;
    head = b->next, count--;
    return b;
  }
};

// This thread's lists. Plain data without a constructor, so that the fast path pays for no initialisation check;
// Flush, made at the first slow call, hands everything over when the thread ends.
struct ThreadLists {
  enum : char { fresh, open, closed } state = fresh;
  List list[kClasses];
};
constinit thread_local ThreadLists mine;

class CpuAllocator final : public Allocator {
 public:
  void* allocate(size_t bytes) override {
    if (bytes == 0) return nullptr;
    void* p = kCaching ? cached(bytes) : exact(bytes);
    if (!p) fail(bytes);
    usage_.add(bytes);
    return p;
  }

  void deallocate(void* p, size_t bytes) noexcept override {
    if (!p) return;
    usage_.remove(bytes);
    if (!kCaching) return std::free(p);
    if (bytes > kSmall) return void(segments_.deallocate(p));
    int c = class_of(bytes);
    List& list = mine.list[c];
    if (mine.state == ThreadLists::open && list.count < keep(c)) [[likely]]
      return list.push(static_cast<Block*>(p));
    give_back(c, static_cast<Block*>(p));
  }

  MemoryStats stats() const override { return usage_.stats(kCaching ? segments_.reserved() : usage_.live()); }

  void reset_peak() override { usage_.reset_peak(); }

  // Blocks in the lists of other threads stay there.
  void release_cached() override {
    try {
      for (int c = 0; c < kClasses; c++) {
        hand_over(c, mine.list[c].count);
        release_slabs(c);
      }
    } catch (const std::bad_alloc&) {  // no memory to sort the lists: the slabs stay, whole segments still go
    }
    segments_.release_free();
  }

  void hand_over(int c, int64_t count) noexcept {  // from this thread's list to the shared one
    std::lock_guard lock(shared_[c].mutex);
    for (; count > 0; count--) shared_[c].free.push(mine.list[c].pop());
  }

 private:
  struct alignas(64) Shared {
    std::mutex mutex;
    List free;
    std::vector<char*> slabs;
  };

  void* cached(size_t bytes) {
    if (bytes > kSmall) return segments_.allocate(bytes);
    int c = class_of(bytes);
    List& list = mine.list[c];
    return list.head ? list.pop() : fetch(c);
  }

  static void* exact(size_t bytes) {
    constexpr size_t kMost = size_t(1) << 38;  // above its own limit AddressSanitizer ends the program
    void* p = nullptr;
    return bytes <= kMost && posix_memalign(&p, kAlign, bytes) == 0 ? p : nullptr;
  }

  void open_lists();

  Block* fetch(int c) noexcept {  // one block, and half a list more for this thread
    open_lists();
    Shared& shared = shared_[c];
    std::lock_guard lock(shared.mutex);
    if (!shared.free.head && !add_slab(c)) return nullptr;
    if (mine.state == ThreadLists::open)
      for (int i = 0; i < keep(c) / 2 && shared.free.count > 1; i++) mine.list[c].push(shared.free.pop());
    return shared.free.pop();
  }

  void give_back(int c, Block* b) noexcept {
    open_lists();
    mine.list[c].push(b);
    if (mine.state == ThreadLists::closed) hand_over(c, 1);
    if (mine.list[c].count > keep(c)) hand_over(c, keep(c) / 2);
  }

  bool add_slab(int c) noexcept {
    char* slab = static_cast<char*>(segments_.allocate(slab_size(c)));
    if (!slab) return false;
    try {
      shared_[c].slabs.push_back(slab);
    } catch (const std::bad_alloc&) {
      segments_.deallocate(slab);
      return false;
    }
    for (int64_t i = slab_blocks(c); i-- > 0;)
      shared_[c].free.push(reinterpret_cast<Block*>(slab + size_t(i) * class_size(c)));
    return true;
  }

  void release_slabs(int c) {  // those whose blocks all lie in the shared list
    Shared& shared = shared_[c];
    std::lock_guard lock(shared.mutex);
    std::vector<Block*> blocks;
    for (Block* b = shared.free.head; b; b = b->next) blocks.push_back(b);
    std::sort(blocks.begin(), blocks.end());
    shared.free = {};
    auto first = blocks.begin();
    std::sort(shared.slabs.begin(), shared.slabs.end());
    std::erase_if(shared.slabs, [&](char* slab) {
      auto last = std::lower_bound(first, blocks.end(), reinterpret_cast<Block*>(slab + slab_size(c)));
      bool whole = last - first == slab_blocks(c);
      if (whole) segments_.deallocate(slab);
      for (; first != last; ++first)
        if (!whole) shared.free.push(*first);
      return whole;
    });
  }

  [[noreturn]] void fail(size_t bytes) const {
    MemoryStats s = stats();
    throw MemoryError(fmt::format(
        "allocate: the CPU has not enough memory; got a request for {} bytes ({:.3g} GiB) with {} bytes live and {} "
        "reserved; expected a request that fits; use smaller tensors or a smaller batch, or call release_cached()",
        bytes, double(bytes) / (1 << 30), s.live, s.reserved));
  }

  SegmentAllocator segments_;
  Shared shared_[kClasses];
  alignas(64) MemoryCounters usage_;
};

CpuAllocator& instance() {
  static CpuAllocator* one = new CpuAllocator;  // never destroyed: tensors may die after main
  return *one;
}

struct Flush {
  ~Flush() {
    for (int c = 0; c < kClasses; c++) instance().hand_over(c, mine.list[c].count);
    mine.state = ThreadLists::closed;
  }
};

void CpuAllocator::open_lists() {
  if (mine.state != ThreadLists::fresh) return;
  thread_local Flush flush;
  mine.state = ThreadLists::open;
  (void)flush;
}

}  // namespace

Allocator& cpu_allocator() { return instance(); }

Allocator& allocator(Device device) {
  return device.is_cpu() ? cpu_allocator() : cuda_backend(device).allocator(device.index);
}

MemoryStats memory_stats(Device device) { return allocator(device).stats(); }

}  // namespace ink
