// Small blocks (64 KiB and less) live in size classes: a list per thread, which trades with a shared list in batches,
// which is fed from slabs. Everything bigger comes straight from the segments.
#include "tensor/allocator.h"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "tensor/error.h"
#include "tensor/fork.h"
#include "tensor/ref.h"
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
constexpr int most_kept(int c) { return int(std::clamp<size_t>((size_t(256) << 10) / class_size(c), 4, 256)); }
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

// By address: runs of 1, 2, 4, ... blocks are merged.
Block* merged(Block* a, Block* b) {
  Block* head = nullptr;
  for (Block** end = &head; (*end = a && (!b || a < b) ? a : b); end = &(*end)->next)
    (*end == a ? a : b) = (*end)->next;
  return head;
}
Block* sorted(Block* list) {
  Block *runs[64] = {}, *all = nullptr;
  while (list) {
    Block* run = std::exchange(list, list->next);
    run->next = nullptr;
    int i = 0;
    for (; runs[i]; ++i) run = merged(std::exchange(runs[i], nullptr), run);
    runs[i] = run;
  }
  for (Block* run : runs) all = merged(run, all);
  return all;
}

// This thread's lists. Plain data without a constructor, so that the fast path pays for no initialisation check;
// Flush, made at the first slow call, hands everything over when the thread ends.
struct ThreadLists {
  enum : char { fresh, open, closed } state = fresh;
  List list[kClasses];
};
constinit thread_local ThreadLists mine;

// Kept so that an error about missing memory can be written: given back before, taken again when there is some.
constexpr size_t kReserve = size_t(64) << 10;
std::atomic<void*> reserve{nullptr};
void take_reserve() {
  if (!reserve) std::free(reserve.exchange(std::malloc(kReserve)));
}

class CpuAllocator final : public Allocator {
 public:
  void* allocate(size_t bytes) override {
    if (bytes == 0) return nullptr;
    void* p = kCaching ? cached(bytes) : exact(bytes);
    if (!p) [[unlikely]]
      p = under_pressure(bytes);
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
    if (mine.state == ThreadLists::open && list.count < most_kept(c)) [[likely]]
      return list.push(static_cast<Block*>(p));
    give_back(c, static_cast<Block*>(p));
  }

  MemoryStats stats() const override { return usage_.stats(kCaching ? segments_.reserved() : usage_.live()); }

  void reset_peak() override { usage_.reset_peak(); }

  // Blocks in the lists of other threads stay there.
  void release_cached() override {
    for (int c = 0; c < kClasses; c++) {
      hand_over(c, mine.list[c].count);
      release_slabs(c);
    }
    segments_.release_free();
#ifdef __GLIBC__
    malloc_trim(0);  // what many small objects (tensors, nodes) leave behind
#endif
    take_reserve();
  }

  // With no memory left: what lies in lists may do for another size.
  void* under_pressure(size_t bytes) {
    void* p = nullptr;
    if (bytes <= system_pages().limit()) {
      release_cached();
      p = kCaching ? cached(bytes) : exact(bytes);
    }
    if (!p) detail::out_of_memory("allocate", bytes);
    return p;
  }

  void hand_over(int c, int64_t count) noexcept {  // from this thread's list to the shared one
    std::lock_guard lock(shared_[c].mutex);
    for (; count > 0; count--) shared_[c].free.push(mine.list[c].pop());
  }

 private:
  struct alignas(64) Shared {
    ForkMutex mutex{ForkOrder::list};
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
      for (int i = 0; i < most_kept(c) / 2 && shared.free.count > 1; i++) mine.list[c].push(shared.free.pop());
    return shared.free.pop();
  }

  void give_back(int c, Block* b) noexcept {
    open_lists();
    mine.list[c].push(b);
    if (mine.state == ThreadLists::closed) hand_over(c, 1);
    if (mine.list[c].count > most_kept(c)) hand_over(c, most_kept(c) / 2);
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

  // Those whose blocks all lie in the shared list. Takes no memory: there may be none.
  void release_slabs(int c) noexcept {
    Shared& shared = shared_[c];
    std::lock_guard lock(shared.mutex);
    Block* block = sorted(std::exchange(shared.free, {}).head);
    std::sort(shared.slabs.begin(), shared.slabs.end());
    std::erase_if(shared.slabs, [&](char* slab) {
      Block* const first = block;
      int64_t count = 0;
      for (; block && block < reinterpret_cast<Block*>(slab + slab_size(c)); block = block->next) ++count;
      if (count == slab_blocks(c)) return segments_.deallocate(slab);
      for (Block* b = first; b != block;) shared.free.push(std::exchange(b, b->next));
      return false;
    });
  }

  SegmentAllocator segments_;
  Shared shared_[kClasses];
  alignas(64) MemoryCounters usage_;
};

CpuAllocator& instance() {
  static CpuAllocator* one = [] {
    take_reserve();
    return new CpuAllocator;  // never destroyed: tensors may die after main
  }();
  return *one;
}

// At the start, as long as there is one thread: in a child of fork() whose parent was making it in another thread, it
// would never be there.
[[maybe_unused]] const Allocator& made_early = instance();

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

namespace detail {

void out_of_memory(const char* op, size_t bytes) {
  if (bytes == 0) instance().release_cached();
  std::free(reserve.exchange(nullptr));
  const MemoryStats s = instance().stats();
  MemoryError error(fmt::format(
      "{}: the CPU has not enough memory; got a request for {} with {} bytes live and {} reserved; expected a request "
      "that fits; use smaller tensors or a smaller batch",
      op, bytes ? fmt::format("{} bytes ({:.3g} GiB)", bytes, double(bytes) / (1 << 30)) : "working memory", s.live,
      s.reserved));
  take_reserve();
  throw error;
}

void* allocate_under_pressure(size_t bytes) {
  instance().release_cached();
  void* p = std::malloc(bytes);
  if (!p) out_of_memory("allocate", bytes);
  return p;
}

}  // namespace detail

Allocator& cpu_allocator() { return instance(); }

Allocator& allocator(Device device) {
  return device.is_cpu() ? cpu_allocator() : cuda_backend(device).allocator(device.index);
}

MemoryStats memory_stats(Device device) { return allocator(device).stats(); }

}  // namespace ink
