// How the threads of a simulated block take turns: barriers, warp intrinsics, a seeded order, errors that name the
// place.
#include "tensor/cuda/sim/block.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tensor/cuda/sim/asan.h"
#include "tensor/cuda/sim/counters.h"
#include "tensor/cuda/sim/fiber.h"
#include "tensor/cuda/sim/language.h"
#include "tensor/cuda/sim/shared.h"
#include "tensor/parallel.h"

namespace ink::sim {
namespace {

enum class State : uint8_t { fresh, running, at_block, at_warp, ready, ended };

struct Copy {  // what was read at its start lands when it is waited for
  int group;
  void* to;
  char bytes[16];
};
struct Thread {
  uint3 index;
  State state;
  Fiber* fiber;  // on which it runs
  const char* what;
  uint32_t mask;
  void* deposit;
  Where where;
  std::vector<Copy> copies;  // under way
  int groups;                // of copies it has committed
};
// thrown out of the threads of a launch that has failed
struct Stopped {};

std::string at(Where w) {
  std::string file = w.file_name();
  return fmt::format("{}:{}", file.substr(file.rfind('/') + 1), w.line());
}
std::string str(uint3 i) { return fmt::format("({}, {}, {})", i.x, i.y, i.z); }
bool same(const char* a, const char* b) { return a == b || std::string_view(a) == b; }
bool same(const Where& a, const Where& b) {
  return std::memcmp(&a, &b, sizeof a) == 0 ||
         (a.line() == b.line() && a.column() == b.column() && same(a.file_name(), b.file_name()));
}

struct Launch {
  const char* kernel;
  Size3 grid, block;
  size_t shared_bytes;
  Body body;
  void* context;
  Options options;
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::string text;

  void fail(const std::string& what) {
    std::lock_guard lock(mutex);
    if (!failed.exchange(true)) text = what;
  }
};

// The block that a CPU thread is running, with the fibers and shared arrays it keeps for the next one.
class Block {
 public:
  void run(Launch& launch, uint3 index);
  Block* before = nullptr;  // of those kept
  bool running() const { return launch_; }

  void warp_wait(const char* what, uint32_t mask, void* deposit, Complete complete, Where where);
  void block_wait(const char* what, void* deposit, Complete complete, Where where);
  void copy(void* to, const void* from);
  void land(int pending);
  [[noreturn]] void stop(const std::string& what);
  std::string place(const Thread* t) const;

  SharedMemory shared;
  Thread* self = nullptr;
  int rank() const { return int(self - threads_.data()); }

 private:
  [[noreturn]] void work(Fiber& fiber);
  void wait(State state);
  Fiber& next();
  Fiber& idle_fiber();
  void arrange();
  void stuck();
  void fail(const std::string& what, const Thread* by = nullptr);
  bool failed() const { return launch_->failed.load(std::memory_order_relaxed); }
  void go_on(Thread& t) {
    self = &t;
    threadIdx = t.index;
    t.state = State::running;
  }
  void release(Thread& t) {
    t.state = State::ready;
    ready_.push_back(&t);
  }
  uint64_t random() {  // splitmix64
    uint64_t z = random_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9, z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  template <class T> void shuffle(T* v, size_t n) {
    for (size_t i = n; i > 1; --i) std::swap(v[i - 1], v[random() % i]);
  }

  Launch* launch_ = nullptr;
  Size3 shape_{0, 0, 0};  // of threads_
  std::vector<Thread> threads_;
  std::vector<Thread*> order_;  // in which threads begin
  std::vector<Thread*> ready_;  // those whose barrier is complete
  std::vector<void*> deposits_;
  size_t begun_ = 0, taken_ = 0;  // threads begun; entries of ready_ resumed
  size_t at_block_ = 0, ended_ = 0;
  Thread* first_ = nullptr;  // of those at the block's barrier
  bool shuffled_ = false;
  uint64_t random_ = 0;
  Fiber cpu_;  // on which run() waits
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
};

constinit thread_local Block* current = nullptr;
// Of this thread. Kernels may still run where the thread's own variables are gone: then it is made anew, and kept.
constinit thread_local Block* mine = nullptr;
constinit thread_local bool ended = false;
constinit std::atomic<Block*> kept{nullptr};
struct EndBlock {
  ~EndBlock() {
    current = nullptr;  // it is mine
    delete std::exchange(mine, nullptr);
    ended = true;
  }
};
Block& here() {
  if (!mine) {
    thread_local EndBlock at_end;
    (void)at_end;
    mine = new Block;
    if (ended) mine->before = kept.exchange(mine);
  }
  return *(current = mine);
}

// The block's threads, and the order in which they begin.
void Block::arrange() {
  const Size3 b = launch_->block;
  const size_t n = size_t(b.x) * b.y * b.z;
  const bool again = b.x == shape_.x && b.y == shape_.y && b.z == shape_.z;
  if (!again) {
    threads_.assign(n, Thread{});
    deposits_.resize(std::max<size_t>(n, 32));
    for (unsigned i = 0; i < n; ++i) threads_[i].index = {i % b.x, i / b.x % b.y, i / (b.x * b.y)};
    shape_ = b;
  }
  for (Thread& t : threads_) t.state = State::fresh, t.groups = 0, t.copies.clear();
  if (again && !random_ && !shuffled_) return;
  order_.resize(n);
  for (size_t i = 0; i < n; ++i) order_[i] = &threads_[i];
  shuffled_ = random_ != 0;
  if (!shuffled_) return;
  std::vector<size_t> warps((n + 31) / 32);  // in any order, and lanes in any order within each
  for (size_t w = 0; w < warps.size(); ++w) warps[w] = 32 * w;
  shuffle(warps.data(), warps.size());
  size_t at = 0;
  for (size_t w : warps) {
    const size_t lanes = std::min<size_t>(32, n - w);
    for (size_t i = 0; i < lanes; ++i) order_[at + i] = &threads_[w + i];
    shuffle(&order_[at], lanes);
    at += lanes;
  }
}

void Block::run(Launch& launch, uint3 index) {
  struct Busy {
    Launch*& launch;
    ~Busy() { launch = nullptr; }
  } busy{launch_};
  launch_ = &launch;
  blockIdx = index;
  blockDim = {launch.block.x, launch.block.y, launch.block.z};
  gridDim = {launch.grid.x, launch.grid.y, launch.grid.z};
  random_ = launch.options.seed;
  if (random_) random_ += (uint64_t(index.z) * launch.grid.y + index.y) * launch.grid.x + index.x, random();
  arrange();
  shared.begin(launch.shared_bytes, launch.options.poison);
  begun_ = taken_ = at_block_ = ended_ = 0;
  ready_.clear();

  // back when nobody can go on, or something has failed
  if (Fiber& first = next(); &first != &cpu_) cpu_.switch_to(first);
  if (!failed() && ended_ < threads_.size()) stuck();
  if (std::string wrong = shared.end(); !wrong.empty() && !failed()) fail(wrong);
  if (failed())  // threads that wait are left by the exception wait() throws, each on its fiber
    for (Thread& t : threads_)
      if (t.state == State::at_block || t.state == State::at_warp || t.state == State::ready) {
        go_on(t);
        cpu_.switch_to(*t.fiber);
      }
}

// Who runs now: a thread whose barrier is complete, a fiber for those that have not begun, or run() if there are none.
Fiber& Block::next() {
  const bool fresh = begun_ < order_.size(), ready = taken_ < ready_.size();
  if (failed() || (!fresh && !ready)) return cpu_;
  if (fresh && (!ready || !random_ || random() % 2)) return idle_fiber();
  if (random_) std::swap(ready_[taken_], ready_[taken_ + random() % (ready_.size() - taken_)]);
  Thread& t = *ready_[taken_++];
  if (taken_ == ready_.size()) ready_.clear(), taken_ = 0;
  go_on(t);
  return *t.fiber;
}

Fiber& Block::idle_fiber() {
  if (idle_.empty()) {
    fibers_.push_back(std::make_unique<Fiber>([](Fiber& f) { current->work(f); }));
    idle_.push_back(fibers_.back().get());
  }
  Fiber& f = *idle_.back();
  idle_.pop_back();
  return f;
}

// What every fiber does: threads that have not begun, one after another. One that waits keeps its fiber.
void Block::work(Fiber& fiber) {
  for (;;) {
    while (begun_ < order_.size() && !failed()) {
      Thread& t = *order_[begun_++];
      t.fiber = &fiber;
      go_on(t);
      try {
        launch_->body(launch_->context);
      } catch (const Stopped&) {
      } catch (const std::exception& e) {
        fail(fmt::format("an exception left the kernel: {}", e.what()), &t);
      } catch (...) { fail("an exception left the kernel", &t); }
      t.state = State::ended;
      ++ended_;
    }
    idle_.push_back(&fiber);
    fiber.switch_to(next());
  }
}

void Block::wait(State state) {
  self->state = state;
  self->fiber->switch_to(next());
  if (failed()) throw Stopped{};
}

std::string Block::place(const Thread* t) const {
  return fmt::format("kernel {}, block {}{}", launch_->kernel, str(blockIdx), t ? ", thread " + str(t->index) : "");
}
void Block::fail(const std::string& what, const Thread* by) { launch_->fail(place(by) + ": " + what); }
void Block::stop(const std::string& what) {
  fail(what, self);
  throw Stopped{};
}

void Block::copy(void* to, const void* from) {
  Copy c{self->groups, to, {}};
  std::memcpy(c.bytes, from, sizeof c.bytes);
  self->copies.push_back(c);
}
void Block::land(int pending) {
  auto late = [&](const Copy& c) { return c.group >= self->groups - pending; };
  for (const Copy& c : self->copies)
    if (!late(c)) std::memcpy(c.to, c.bytes, sizeof c.bytes);
  std::erase_if(self->copies, [&](const Copy& c) { return !late(c); });
}

void Block::warp_wait(const char* what, uint32_t mask, void* deposit, Complete complete, Where where) {
  const int lane = rank() % 32, base = rank() - lane, n = int(threads_.size());
  if (!(mask >> lane & 1))
    stop(fmt::format("{} at {}: lane {} is not in its own mask {:#010x}", what, at(where), lane, mask));
  if (base + 32 > n && mask >> (n - base) != 0)
    stop(fmt::format("{} at {}: mask {:#010x} names lanes that do not exist; the warp has {}", what, at(where), mask,
                     n - base));
  self->what = what, self->mask = mask, self->deposit = deposit, self->where = where;
  self->state = State::at_warp;
  for (int k = 1; k <= 32; ++k) {  // the lane after this one first: it comes later, so that is all there is to look at
    const int i = (lane + k) % 32;
    if (!(mask >> i & 1)) continue;
    const Thread& t = threads_[size_t(base + i)];
    if (t.state != State::at_warp || t.mask != mask || !same(t.what, what)) return wait(State::at_warp);
  }
  for (int i = 0; i < 32; ++i) deposits_[size_t(i)] = mask >> i & 1 ? threads_[size_t(base + i)].deposit : nullptr;
  if (complete) complete(deposits_.data(), 32);
  for (int i = 0; i < 32; ++i)
    if (mask >> i & 1 && i != lane) release(threads_[size_t(base + i)]);
  self->state = State::running;
}

void Block::block_wait(const char* what, void* deposit, Complete complete, Where where) {
  self->what = what, self->deposit = deposit, self->where = where;
  if (at_block_ == 0) first_ = self;
  if (const Thread& t = *first_; !same(t.where, where) || !same(t.what, what))
    stop(fmt::format("{} at {}, while thread {} waits in {} at {}: every thread must reach the same barrier", what,
                     at(where), str(t.index), t.what, at(t.where)));
  if (++at_block_ < threads_.size()) return wait(State::at_block);
  at_block_ = 0;
  if (complete) {
    for (size_t i = 0; i < threads_.size(); ++i) deposits_[i] = threads_[i].deposit;
    complete(deposits_.data(), int(threads_.size()));
  }
  if (counting()) count_barrier();
  for (Thread& t : threads_)
    if (&t != self) release(t);
}

// Nobody can go on: some wait, the others have ended or wait for something else.
void Block::stuck() {
  auto place = [](const Thread& t) {
    const std::string mask = t.state == State::at_warp ? fmt::format(" with mask {:#010x}", t.mask) : "";
    return fmt::format("{} at {}{}", t.what, at(t.where), mask);
  };
  const Thread *first = nullptr, *other = nullptr;  // other: one that waits elsewhere, or else one that has ended
  int together = 0;
  for (const Thread& t : threads_) {
    const bool waits = t.state != State::ended;
    if (waits && !first) first = &t;
    if (waits && place(t) == place(*first))
      ++together;
    else if (!other || (waits && other->state == State::ended))
      other = &t;
  }
  std::string text = fmt::format("barrier not reached by all: {} threads, thread {} the first, wait in {}", together,
                                 str(first->index), place(*first));
  if (other && other->state == State::ended)
    text += fmt::format("; {} have ended, thread {} the first", ended_, str(other->index));
  else if (other)
    text += fmt::format("; thread {} waits in {}", str(other->index), place(*other));
  fail(text);
}

}  // namespace

void warp_collective(const char* what, uint32_t mask, void* deposit, Complete complete, Where where) {
  current->warp_wait(what, mask, deposit, complete, where);
}
void block_collective(const char* what, void* deposit, Complete complete, Where where) {
  current->block_wait(what, deposit, complete, where);
}
void* static_shared(const void* key, size_t bytes, Where where) {
  if (void* p = current->shared.find(key, bytes)) return p;
  current->stop(fmt::format("static shared memory of {}, at {}", current->shared.why_not(bytes), at(where)));
}
void* dynamic_shared() { return current->shared.dynamic(); }
bool is_shared(const void* p) { return current->shared.contains(p); }
int thread_rank() { return current->rank(); }
int lane_id() { return current->rank() % 32; }
void async_copy(void* shared, const void* global, Where where) {
  if (!is_shared(shared)) fail("cp.async: the target is not in shared memory", where);
  if ((uintptr_t(shared) | uintptr_t(global)) % 16 != 0) fail("cp.async: an address is not a multiple of 16", where);
  current->copy(shared, global);
}
void async_commit() { ++current->self->groups; }
void async_wait(int pending) { current->land(pending); }
void fail(const char* what, Where where) { current->stop(fmt::format("{}, at {}", what, at(where))); }

namespace {
Options& process_options() {
  static Options o{environment("INK_SIM_SEED", 0), uint8_t(environment("INK_SIM_POISON", 0xff))};
  return o;
}
constinit thread_local char failure[1024] = "";
}  // namespace

// AddressSanitizer calls this with its report: where the thread that did it is in the grid.
[[maybe_unused]] static void tell_place(const char*) {
  if (current && current->running()) std::fprintf(stderr, "%s:\n", current->place(current->self).c_str());
}

uint64_t environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text && *text ? std::strtoull(text, nullptr, 0) : otherwise;
}
Options options() { return process_options(); }
void set_options(const Options& o) { process_options() = o; }

const char* run_grid(const char* kernel, Size3 grid, Size3 block, size_t shared_bytes, Body body, void* context) {
  static const bool told = (asan::on_report(tell_place), true);
  (void)told;
  Launch launch{kernel, grid, block, shared_bytes, body, context, options(), {}, {}, {}};
  const int64_t blocks = int64_t(grid.x) * grid.y * grid.z;
  try {
    if (current && current->running()) throw std::logic_error("a kernel cannot launch another one");
    parallel_for(blocks, counting() ? blocks : 1, [&](int64_t begin, int64_t end) {
      Block& runner = here();
      for (int64_t i = begin; i < end && !launch.failed; ++i) {
        const int64_t b = launch.options.seed % 2 ? blocks - 1 - i : i;
        auto u = [](int64_t v) { return unsigned(v); };
        runner.run(launch, {u(b % grid.x), u(b / grid.x % grid.y), u(b / (int64_t(grid.x) * grid.y))});
      }
    });
  } catch (const std::exception& e) {  // no memory for a fiber, or for a shared array
    launch.fail(fmt::format("kernel {}: {}", kernel, e.what()));
  }
  if (counting()) end_launch();
  if (!launch.failed) return "";
  failure[launch.text.copy(failure, sizeof failure - 1)] = 0;
  return failure;
}

}  // namespace ink::sim
