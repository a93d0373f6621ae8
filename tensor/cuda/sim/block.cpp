#include "tensor/cuda/sim/block.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tensor/cuda/sim/counters.h"
#include "tensor/cuda/sim/fiber.h"
#include "tensor/cuda/sim/language.h"
#include "tensor/cuda/sim/shared.h"
#include "tensor/parallel.h"

namespace ink::sim {
namespace {

enum class State : uint8_t { fresh, running, at_block, at_warp, ended };

struct Thread {
  uint3 index;
  State state;
  Fiber* fiber;  // where it waits
  const char* what;
  uint32_t mask;
  void* deposit;
  Where where;
};

std::string at(Where w) {
  std::string file = w.file_name();
  return fmt::format("{}:{}", file.substr(file.rfind('/') + 1), w.line());
}
std::string str(uint3 i) { return fmt::format("({}, {}, {})", i.x, i.y, i.z); }
bool same_place(Where a, Where b) {
  return a.line() == b.line() && a.column() == b.column() && std::string_view(a.file_name()) == b.file_name();
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
  void work();  // what a fiber does: threads that have not begun, one after another

  void warp_wait(const char* what, uint32_t mask, void* deposit, Complete complete, Where where);
  void block_wait(const char* what, void* deposit, Complete complete, Where where);
  [[noreturn]] void stop(const std::string& what);

  SharedMemory shared;
  Thread* self = nullptr;
  int rank() const { return int(self - threads_.data()); }

 private:
  void begin(Thread& t) {
    self = &t;
    threadIdx = t.index;
    t.state = State::running;
  }
  void wait(State state);
  void release(Thread& t) { ready_.push_back(&t); }
  Fiber& idle_fiber();
  void stuck();
  uint64_t random() {  // splitmix64
    uint64_t z = random_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9, z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  void shuffle(int* v, int n) {
    for (int i = n - 1; i > 0; --i) std::swap(v[i], v[random() % uint64_t(i + 1)]);
  }
  void order_threads(int n);
  Thread* next_ready();

  Launch* launch_ = nullptr;
  std::vector<Thread> threads_;
  std::vector<int> order_;       // in which threads begin
  std::vector<Thread*> ready_;   // those whose barrier is complete
  std::vector<void*> deposits_;
  size_t begun_ = 0, taken_ = 0;  // threads begun; entries of ready_ resumed
  int at_block_ = 0, ended_ = 0;
  uint64_t random_ = 0;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
};

constinit thread_local Block* current = nullptr;
Block& here() {
  thread_local Block block;
  return *(current = &block);
}

void Block::order_threads(int n) {
  order_.resize(size_t(n));
  for (int i = 0; i < n; ++i) order_[size_t(i)] = i;
  if (!random_) return;
  int warps = (n + 31) / 32;  // warps in any order, and lanes in any order within each
  std::vector<int> warp(size_t(warps), 0), lanes;
  for (int w = 0; w < warps; ++w) warp[size_t(w)] = w;
  shuffle(warp.data(), warps);
  order_.clear();
  for (int w : warp) {
    lanes.clear();
    for (int i = 32 * w; i < std::min(n, 32 * w + 32); ++i) lanes.push_back(i);
    shuffle(lanes.data(), int(lanes.size()));
    order_.insert(order_.end(), lanes.begin(), lanes.end());
  }
}

Thread* Block::next_ready() {
  if (random_) std::swap(ready_[taken_], ready_[taken_ + random() % (ready_.size() - taken_)]);
  Thread* t = ready_[taken_++];
  if (taken_ == ready_.size()) ready_.clear(), taken_ = 0;
  return t;
}

Fiber& Block::idle_fiber() {
  if (idle_.empty()) {
    fibers_.push_back(std::make_unique<Fiber>([] { current->work(); }));
    return *fibers_.back();
  }
  Fiber* f = idle_.back();
  idle_.pop_back();
  return *f;
}

void Block::run(Launch& launch, uint3 index) {
  launch_ = &launch;
  const Size3 b = launch.block;
  const int n = int(b.x * b.y * b.z);
  blockIdx = index;
  blockDim = {b.x, b.y, b.z};
  gridDim = {launch.grid.x, launch.grid.y, launch.grid.z};
  random_ = launch.options.seed;
  if (random_) random_ += (uint64_t(index.z) * launch.grid.y + index.y) * launch.grid.x + index.x, random();
  threads_.resize(size_t(n));
  deposits_.resize(size_t(n));
  for (int i = 0; i < n; ++i) {
    unsigned u = unsigned(i);
    threads_[size_t(i)] = {{u % b.x, u / b.x % b.y, u / (b.x * b.y)}, State::fresh, nullptr, "", 0, nullptr, {}};
  }
  order_threads(n);
  shared.begin(launch.shared_bytes, launch.options.poison);
  begun_ = taken_ = 0;
  at_block_ = ended_ = 0;
  ready_.clear();

  while (!launch.failed.load(std::memory_order_relaxed)) {
    const bool fresh = begun_ < order_.size(), ready = taken_ < ready_.size();
    if (!fresh && !ready) break;
    Fiber* fiber;
    if (fresh && (!ready || !random_ || random() % 2)) {
      fiber = &idle_fiber();
    } else {
      Thread* t = next_ready();
      fiber = t->fiber;
      begin(*t);
    }
    fiber->enter();
    if (!self || fiber->abandoned()) {  // it went idle, or gave up
      if (fiber->abandoned()) fiber->reset();
      idle_.push_back(fiber);
    }
  }
  if (!launch.failed && ended_ < n) stuck();
  if (std::string wrong = shared.end(); !wrong.empty() && !launch.failed)
    launch.fail(fmt::format("{}: block {}: {}", launch.kernel, str(index), wrong));
  if (launch.failed)
    for (Thread& t : threads_)
      if (t.state == State::at_block || t.state == State::at_warp)
        if (t.fiber) t.fiber->reset(), idle_.push_back(t.fiber), t.fiber = nullptr;
}

void Block::work() {
  while (begun_ < order_.size() && !launch_->failed.load(std::memory_order_relaxed)) {
    Thread& t = threads_[size_t(order_[begun_++])];
    begin(t);
    std::string thrown;
    try {
      launch_->body(launch_->context);
    } catch (const std::exception& e) {  // nothing may leave the fiber
      thrown = fmt::format("an exception left the kernel: {}", e.what());
    }
    if (!thrown.empty()) stop(thrown);
    self->state = State::ended;
    ++ended_;
  }
  self = nullptr;
}

void Block::wait(State state) {
  Thread* t = self;
  t->state = state;
  // The fiber is known to the scheduler by the thread that waits on it.
  t->fiber = Fiber::running();
  Fiber::leave();
}

void Block::stop(const std::string& what) {
  launch_->fail(fmt::format("{}: block {}, thread {}: {}", launch_->kernel, str(blockIdx), str(self->index), what));
  self->state = State::ended;
  Fiber::abandon();
}

void Block::warp_wait(const char* what, uint32_t mask, void* deposit, Complete complete, Where where) {
  const int lane = rank() % 32, base = rank() - lane, n = int(threads_.size());
  if (!(mask >> lane & 1))
    stop(fmt::format("{} at {}: lane {} is not in its own mask {:#010x}", what, at(where), lane, mask));
  if (base + 32 > n && mask >> (n - base) != 0)
    stop(fmt::format("{} at {}: mask {:#010x} names lanes that do not exist; the warp has {}", what, at(where), mask, n - base));
  self->what = what, self->mask = mask, self->deposit = deposit, self->where = where;
  self->state = State::at_warp;
  for (int i = 0; i < 32; ++i) {
    if (!(mask >> i & 1)) continue;
    const Thread& t = threads_[size_t(base + i)];
    if (t.state != State::at_warp || t.mask != mask || std::string_view(t.what) != what) return wait(State::at_warp);
  }
  for (int i = 0; i < 32; ++i) deposits_[size_t(i)] = mask >> i & 1 ? threads_[size_t(base + i)].deposit : nullptr;
  if (complete) complete(deposits_.data(), 32);
  for (int i = 0; i < 32; ++i)
    if (Thread& t = threads_[size_t(base + (mask >> i & 1 ? i : lane))]; &t != self) t.state = State::running, release(t);
  self->state = State::running;
}

void Block::block_wait(const char* what, void* deposit, Complete complete, Where where) {
  self->what = what, self->deposit = deposit, self->where = where;
  if (++at_block_ < int(threads_.size())) return wait(State::at_block);
  for (const Thread& t : threads_)
    if (!same_place(t.where, where) || std::string_view(t.what) != what)
      stop(fmt::format("{} at {}, while thread {} waits in {} at {}: every thread must reach the same barrier", what,
                       at(where), str(t.index), t.what, at(t.where)));
  at_block_ = 0;
  if (complete) {
    for (size_t i = 0; i < threads_.size(); ++i) deposits_[i] = threads_[i].deposit;
    complete(deposits_.data(), int(threads_.size()));
  }
  if (counting()) count_barrier();
  for (Thread& t : threads_)
    if (&t != self) t.state = State::running, release(t);
}

// Nobody can go on: some wait, the others have ended or wait for something else.
void Block::stuck() {
  std::string text;
  const Thread* first = nullptr;
  for (const Thread& t : threads_)
    if (t.state == State::at_block || t.state == State::at_warp) {
      first = &t;
      break;
    }
  int waiting = 0, ended = 0, elsewhere = 0;
  const Thread* other = nullptr;
  for (const Thread& t : threads_) {
    bool same = t.state == first->state && same_place(t.where, first->where);
    waiting += same, ended += t.state == State::ended, elsewhere += !same && t.state != State::ended;
    if (!same && (!other || other->state == State::ended)) other = &t;
  }
  text = fmt::format("{} threads, thread {} the first, wait in {} at {}", waiting, str(first->index), first->what, at(first->where));
  if (first->state == State::at_warp) text += fmt::format(" with mask {:#010x}", first->mask);
  if (other && other->state == State::ended) text += fmt::format("; {} have ended, thread {} the first", ended, str(other->index));
  if (other && other->state != State::ended)
    text += fmt::format("; thread {} waits in {} at {}", str(other->index), other->what, at(other->where));
  launch_->fail(fmt::format("{}: block {}: barrier not reached by all: {}", launch_->kernel, str(blockIdx), text));
}

}  // namespace

void warp_collective(const char* what, uint32_t mask, void* deposit, Complete complete, Where where) {
  current->warp_wait(what, mask, deposit, complete, where);
}
void block_collective(const char* what, void* deposit, Complete complete, Where where) {
  current->block_wait(what, deposit, complete, where);
}
void* static_shared(const void* key, size_t bytes, Where where) {
  void* p = current->shared.find(key, bytes);
  if (!p) current->stop(fmt::format("more than {} bytes of static shared memory, at {}", kMaxStaticShared, at(where)));
  return p;
}
void* dynamic_shared(size_t* bytes) { return current->shared.dynamic(bytes); }
bool is_shared(const void* p) { return current->shared.contains(p); }
int thread_rank() { return current->rank(); }
int lane_id() { return current->rank() % 32; }
void fail(const char* what, Where where) { current->stop(fmt::format("{}, at {}", what, at(where))); }

namespace {
uint64_t number(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text && *text ? std::strtoull(text, nullptr, 0) : otherwise;
}
Options& process_options() {
  static Options o{number("INK_SIM_SEED", 0), uint8_t(number("INK_SIM_POISON", 0xff))};
  return o;
}
constinit thread_local char failure[1024] = "";
}  // namespace

Options options() { return process_options(); }
void set_options(const Options& o) { process_options() = o; }

const char* run_grid(const char* kernel, Size3 grid, Size3 block, size_t shared_bytes, Body body, void* context) {
  Launch launch{kernel, grid, block, shared_bytes, body, context, options(), {}, {}, {}};
  const int64_t blocks = int64_t(grid.x) * grid.y * grid.z;
  parallel_for(blocks, counting() ? blocks : 1, [&](int64_t begin, int64_t end) {
    Block& runner = here();
    for (int64_t i = begin; i < end && !launch.failed; ++i) {
      auto u = [](int64_t v) { return unsigned(v); };
      runner.run(launch, {u(i % grid.x), u(i / grid.x % grid.y), u(i / (int64_t(grid.x) * grid.y))});
    }
  });
  size_t n = launch.text.copy(failure, sizeof failure - 1);
  failure[n] = 0;
  return failure;
}

}  // namespace ink::sim
