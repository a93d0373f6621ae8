// The segments of the CPU's memory are mapped here; the split and the joining of blocks serves GPUs too.
#include "tensor/runtime/segment_allocator.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <new>
#include <tuple>

namespace ink {
namespace {

constexpr size_t kPage = 4096, kHugePage = size_t(2) << 20;
// Requests above this come from segments of their own: a small block with a long life must not keep a big one apart.
constexpr size_t kLarge = size_t(1) << 20;
constexpr size_t kMostGrowth = size_t(32) << 20;

constexpr size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

// What this process may use: more than that would end in the out-of-memory killer instead of a MemoryError.
size_t system_memory() {
  static const size_t limit = [] {
    size_t bytes = size_t(sysconf(_SC_PHYS_PAGES)) * size_t(sysconf(_SC_PAGE_SIZE));
    size_t group = 0;  // stays 0 when the file is missing or says "max"
    std::ifstream("/sys/fs/cgroup/memory.max") >> group;
    return group ? std::min(bytes, group) : bytes;
  }();
  return limit;
}

// Huge pages make the first touch of a big block about 50 times cheaper; they need 2 MiB alignment.
char* map_segment(size_t size) {
  void* p = mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  char* raw = static_cast<char*>(p);
  char* begin = reinterpret_cast<char*>(round_up(reinterpret_cast<uintptr_t>(raw), kHugePage));
  if (begin != raw) munmap(raw, begin - raw);
  munmap(begin + size, raw + kHugePage - begin);
  madvise(begin, size, MADV_HUGEPAGE);
  return begin;
}

void unmap_segment(char* begin, size_t size) { munmap(begin, size); }

}  // namespace

const SegmentSource& system_pages() {
  static constexpr SegmentSource source{map_segment, unmap_segment, system_memory, kPage};
  return source;
}

bool SegmentAllocator::BestFit::operator()(const Block* a, const Block* b) const {
  return std::tie(a->large, a->size, a->begin) < std::tie(b->large, b->size, b->begin);
}

void* SegmentAllocator::allocate(size_t bytes) noexcept {
  if (bytes > PTRDIFF_MAX / 2) return nullptr;
  size_t size = std::max(round_up(bytes, source_.granule), source_.granule);
  bool large = size > kLarge;
  std::lock_guard lock(mutex_);
  try {
    Block* block = take(size, large);
    if (!block && (grow(size, large) || (release_locked(), grow(size, large)))) block = take(size, large);
    return block ? block->begin : nullptr;
  } catch (const std::bad_alloc&) {  // no memory for the bookkeeping itself
    return nullptr;
  }
}

bool SegmentAllocator::deallocate(void* p) noexcept {
  std::lock_guard lock(mutex_);
  auto found = used_.find(p);
  if (found == used_.end()) return false;  // not ours: better kept than handed out twice
  Block* block = found->second;
  used_.erase(found);
  auto node = std::move(block->node);
  if (block->after && block->after->node.empty()) join_next(block);
  if (block->before && block->before->node.empty()) {
    block = block->before;
    free_.extract(block);  // its size, by which it is found, is about to change
    join_next(block);
  }
  node.value() = block;
  free_.insert(std::move(node));
  return true;
}

void SegmentAllocator::release_free() noexcept {
  std::lock_guard lock(mutex_);
  release_locked();
}

SegmentAllocator::Block* SegmentAllocator::take(size_t size, bool large) {
  Block wanted{.size = size, .large = large};
  auto found = free_.lower_bound(&wanted);
  if (found == free_.end() || (*found)->large != large) return nullptr;
  Block* block = *found;
  used_.emplace(block->begin, block);
  block->node = free_.extract(found);
  try {
    // A rest too small for any request of this kind stays with the block.
    if (block->size - size >= (large ? kLarge : 4 * source_.granule)) split(block, size);
  } catch (const std::bad_alloc&) {  // then the block stays whole
  }
  return block;
}

bool SegmentAllocator::grow(size_t size, bool large) {
  size_t held = size_t(reserved());
  size_t wanted = round_up(std::max(size, std::min(kMostGrowth, held / 8)), kHugePage);
  for (size_t bytes : {wanted, round_up(size, kHugePage)}) {
    if (bytes > source_.limit() || held > source_.limit() - bytes) continue;
    char* begin = source_.map(bytes);
    if (!begin) continue;
    auto block = std::make_unique<Block>(Block{.begin = begin, .size = bytes, .large = large});
    free_.insert(block.get());
    block.release();
    reserved_ += int64_t(bytes);
    return true;
  }
  return false;
}

void SegmentAllocator::split(Block* block, size_t size) {
  auto owner =
      std::make_unique<Block>(Block{.begin = block->begin + size, .size = block->size - size, .large = block->large});
  free_.insert(owner.get());
  Block* rest = owner.release();
  block->size = size;
  rest->before = block;
  rest->after = block->after;
  if (rest->after) rest->after->before = rest;
  block->after = rest;
}

void SegmentAllocator::join_next(Block* block) noexcept {
  Block* next = block->after;
  free_.extract(next);
  block->size += next->size;
  block->after = next->after;
  if (block->after) block->after->before = block;
  delete next;
}

void SegmentAllocator::release_locked() noexcept {
  for (auto it = free_.begin(); it != free_.end();) {
    Block* block = *it;
    bool whole = !block->before && !block->after;
    if (!whole) {
      ++it;
      continue;
    }
    it = free_.erase(it);
    source_.unmap(block->begin, block->size);
    reserved_ -= int64_t(block->size);
    delete block;
  }
}

}  // namespace ink
