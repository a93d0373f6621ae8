#include "tensor/allocator.h"

#include <cstring>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "tensor/error.h"
#include "tensor/runtime/segment_allocator.h"
#include "tests/catch.h"

using namespace ink;

namespace {

struct Held {
  void* p;
  size_t bytes;
};
Held hold(size_t bytes) { return {cpu_allocator().allocate(bytes), bytes}; }
void drop(const Held& h) { cpu_allocator().deallocate(h.p, h.bytes); }

bool filled_with(const Held& h, int value) {
  auto* bytes = static_cast<unsigned char*>(h.p);
  for (size_t i = 0; i < h.bytes; i++)
    if (bytes[i] != value) return false;
  return true;
}

}  // namespace

TEST_CASE("blocks are 64-byte aligned, writable to the last byte and do not overlap", "[allocator]") {
  std::vector<Held> blocks;
  for (size_t bytes : {1,    63,   64,    65,    512,   513,   640,     641,     1023,          1024,
                       1025, 4096, 40960, 40961, 65536, 65537, 1000000, 1 << 20, (1 << 20) + 1, 5000000})
    for (int repeat = 0; repeat < 3; repeat++) blocks.push_back(hold(bytes));
  for (size_t i = 0; i < blocks.size(); i++) {
    CHECK(reinterpret_cast<uintptr_t>(blocks[i].p) % 64 == 0);
    std::memset(blocks[i].p, int(i), blocks[i].bytes);
  }
  for (size_t i = 0; i < blocks.size(); i++) CHECK(filled_with(blocks[i], int(i)));
  for (auto& b : blocks) drop(b);
}

TEST_CASE("an empty request is a null pointer and counts nothing", "[allocator]") {
  auto before = memory_stats();
  CHECK(cpu_allocator().allocate(0) == nullptr);
  cpu_allocator().deallocate(nullptr, 0);
  CHECK(memory_stats().allocations == before.allocations);
  CHECK(memory_stats().live == before.live);
}

TEST_CASE("live, peak and the number of allocations are exact", "[allocator]") {
  auto& a = cpu_allocator();
  a.reset_peak();
  auto start = a.stats();
  CHECK(start.peak == start.live);
  Held x = hold(100), y = hold(3000000);
  drop(x);
  Held z = hold(7);
  drop(y);
  auto s = a.stats();
  CHECK(s.live - start.live == 7);
  CHECK(s.peak - start.live == 3000100);
  CHECK(s.allocations - start.allocations == 3);
  CHECK(s.reserved >= s.live);
  drop(z);
  CHECK(a.stats().live == start.live);
  a.reset_peak();
  CHECK(a.stats().peak == start.live);
}

TEST_CASE("random allocations keep their contents; what is reserved stays near the peak", "[allocator]") {
  auto& a = cpu_allocator();
  a.release_cached();
  a.reset_peak();
  auto start = a.stats();
  std::mt19937 random(7);
  std::vector<std::pair<Held, int>> live;
  for (int i = 0; i < 6000; i++) {
    if (live.size() > 60 || (!live.empty() && random() % 3 == 0)) {
      size_t k = random() % live.size();
      REQUIRE(filled_with(live[k].first, live[k].second));
      drop(live[k].first);
      live[k] = live.back();
      live.pop_back();
    } else {
      size_t bytes = 1 + random() % (size_t(1) << (random() % 22));
      live.push_back({hold(bytes), int(random() % 256)});
      std::memset(live.back().first.p, live.back().second, bytes);
    }
  }
  for (auto& l : live) drop(l.first);
  auto end = a.stats();
  CHECK(end.live == start.live);
  CHECK(end.reserved - start.reserved < 2 * (end.peak - start.live) + (4 << 20));
  a.release_cached();
  CHECK(a.stats().reserved == start.reserved);
}

TEST_CASE("blocks may be freed on another thread, and outlive the thread that made them", "[allocator]") {
  auto before = memory_stats();
  std::vector<Held> made;
  for (int round = 0; round < 20; round++) {
    std::thread([&] {
      for (int i = 0; i < 500; i++) made.push_back(hold(1 + i * 40));
    }).join();
    for (auto& m : made) std::memset(m.p, 1, m.bytes);
    std::thread([&] {
      for (auto& m : made) drop(m);
    }).join();
    made.clear();
  }
  CHECK(memory_stats().live == before.live);
  // Without the hand-over between threads each round would need 5 MB more.
  CHECK(memory_stats().reserved - before.reserved < (16 << 20));
}

TEST_CASE("threads allocate and free at once without sharing a block", "[allocator]") {
  auto before = memory_stats();
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (int t = 0; t < 4; t++)
    threads.emplace_back([t, &wrong] {
      std::mt19937 random(t);
      std::vector<Held> live;
      for (int i = 0; i < 3000; i++) {
        live.push_back(hold(1 + random() % (i % 10 ? 2000 : 200000)));
        std::memset(live.back().p, t, live.back().bytes);
        if (live.size() < 20) continue;
        size_t k = random() % live.size();
        wrong[t] += !filled_with(live[k], t);
        drop(live[k]);
        live[k] = live.back();
        live.pop_back();
      }
      for (auto& l : live) drop(l);
    });
  for (auto& t : threads) t.join();
  CHECK(wrong == std::vector<int>(4, 0));
  CHECK(memory_stats().live == before.live);
}

TEST_CASE("a request that cannot be met is a MemoryError with the numbers", "[allocator]") {
  Held held = hold(12345);
  auto before = memory_stats();
  for (size_t bytes : {size_t(1) << 50, size_t(-1), size_t(-1) / 2}) {
    CHECK_THROWS_AS(cpu_allocator().allocate(bytes), MemoryError);
    CHECK_THROWS_WITH(cpu_allocator().allocate(bytes), contains("allocate: ") && contains(std::to_string(bytes)) &&
                                                           contains(std::to_string(before.live) + " bytes live"));
  }
  CHECK(memory_stats().live == before.live);
  CHECK(memory_stats().allocations == before.allocations);
  drop(held);
}

TEST_CASE("the allocator of a device this build does not have is a DeviceError", "[allocator]") {
  CHECK(&allocator(Device::cpu()) == &cpu_allocator());
  CHECK_THROWS_AS(allocator(Device::cuda(5)), DeviceError);
}

TEST_CASE("segments split the best fit and join neighbours again", "[allocator]") {
  constexpr size_t kMiB = 1 << 20;
  SegmentAllocator segments;
  char* whole = static_cast<char*>(segments.allocate(16 * kMiB));
  REQUIRE(whole);
  CHECK(reinterpret_cast<uintptr_t>(whole) % (2 * kMiB) == 0);
  CHECK(segments.reserved() == 16 * kMiB);
  segments.deallocate(whole);

  auto* a = static_cast<char*>(segments.allocate(6 * kMiB));
  auto* b = static_cast<char*>(segments.allocate(4 * kMiB));
  auto* c = static_cast<char*>(segments.allocate(6 * kMiB));
  CHECK(segments.reserved() == 16 * kMiB);
  CHECK(a == whole);
  CHECK(b == a + 6 * kMiB);
  CHECK(c == b + 4 * kMiB);

  segments.deallocate(a);
  segments.deallocate(b);
  segments.deallocate(c);
  a = static_cast<char*>(segments.allocate(6 * kMiB));
  b = static_cast<char*>(segments.allocate(4 * kMiB));
  c = static_cast<char*>(segments.allocate(6 * kMiB));
  segments.deallocate(a);
  segments.deallocate(b);
  CHECK(segments.allocate(10 * kMiB) == whole);  // a and b are one block again
  segments.deallocate(whole);
  segments.release_free();
  CHECK(segments.reserved() == 16 * kMiB);  // c holds its segment
  segments.deallocate(c);
  CHECK(segments.allocate(16 * kMiB) == whole);
  segments.deallocate(whole);
  segments.release_free();
  CHECK(segments.reserved() == 0);
}
