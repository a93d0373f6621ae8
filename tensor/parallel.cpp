// The pool. A region costs a few atomic operations while the workers are awake: the caller opens a job, every awake
// worker joins it, all take pieces, the caller closes it. A worker that wakes up too late finds the job closed and
// delays nobody.
#include "tensor/parallel.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cfenv>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "tensor/error.h"
#include "tensor/fork.h"

namespace ink {
namespace {

constexpr int kMaxThreads = 1024;
constexpr auto kSpin = std::chrono::microseconds(50);  // longer than the gap between two ops, shorter than a time slice
constexpr uint32_t kOpen = uint32_t(1) << 31;

thread_local bool in_region = false;

struct Region {  // marks this thread as inside a region, so that nested calls run serially
  const bool outer = std::exchange(in_region, true);
  ~Region() { in_region = outer; }
};

int usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return std::max(1u, std::thread::hardware_concurrency());
}

int checked_threads(const char* op, int64_t n, const char* got) {
  if (n >= 1 && n <= kMaxThreads) return int(n);
  throw ValueError(fmt::format("{}: not a number of threads; got {}; expected 1 to {}", op, got, kMaxThreads));
}

int default_threads() {
  const char* text = std::getenv("INK_NUM_THREADS");
  if (!text || !*text) return std::min(usable_cpus(), kMaxThreads);
  char* end = nullptr;
  long n = std::strtol(text, &end, 10);
  return checked_threads("INK_NUM_THREADS", *end ? 0 : n, text);
}

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins until done() holds, for kSpin at most; says whether it does.
template <class Done> bool spin_until(bool may_spin, Done done) {
  if (done()) return true;
  if (!may_spin) return false;
  auto stop = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 16; i++) {
      if (done()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() < stop);
  return false;
}

// How this thread rounds, whether it flushes denormal numbers, and which exceptions trap; not the flags raised so far.
#if defined(__x86_64__)
using FloatMode = unsigned;
FloatMode float_mode() { return __builtin_ia32_stmxcsr() & ~0x3fu; }
void set_float_mode(FloatMode m) { __builtin_ia32_ldmxcsr(m); }
#elif defined(__aarch64__)
using FloatMode = uint64_t;
FloatMode float_mode() {
  uint64_t m;
  asm volatile("mrs %0, fpcr" : "=r"(m));
  return m;
}
void set_float_mode(FloatMode m) { asm volatile("msr fpcr, %0" : : "r"(m)); }
#else
using FloatMode = int;
FloatMode float_mode() { return std::fegetround(); }
void set_float_mode(FloatMode m) { std::fesetround(m); }
#endif

class Pool {
 public:
  explicit Pool(int threads) { start(threads); }

  int threads() const { return threads_.load(std::memory_order_relaxed); }

  void resize(int threads) {
    std::lock_guard lock(running_);
    if (threads == this->threads()) return;
    quit_ = true;
    wake_.fetch_add(1);
    wake_.notify_all();
    for (auto& w : workers_) w.join();
    quit_ = false;
    start(threads);
  }

  // False when the pool is busy with another caller's job, who must then work alone.
  bool run(int64_t n, int64_t grain, RangeFn fn, void* context) {
    std::unique_lock lock(running_, std::try_to_lock);
    if (!lock || workers_.empty()) return false;
    n_ = n, grain_ = grain, fn_ = fn, context_ = context, float_mode_ = float_mode();
    int64_t pieces = (n + grain - 1) / grain;
    used_ = int(std::min<int64_t>(threads(), pieces));
    for (int s = 0; s < used_; s++) {
      shares_[s].next.store(pieces * s / used_, std::memory_order_relaxed);
      shares_[s].end = pieces * (s + 1) / used_;
    }
    state_.store(kOpen, std::memory_order_release);
    wake_.fetch_add(1);
    for (int i = std::min(asleep_.load(), used_ - 1); i > 0; i--) wake_.notify_one();
    work(0);
    state_.fetch_and(~kOpen);
    auto left = [&] { return state_.load(std::memory_order_acquire) == 0; };
    if (!spin_until(may_spin_, left))
      while (uint32_t s = state_.load()) state_.wait(s);
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    return true;
  }

  Pool* before_fork = nullptr;  // keeps the parent's pool reachable in a forked child

 private:
  // Each thread begins with its own run of neighbouring pieces, so that consecutive loops over the same memory meet
  // the same core's cache; then it helps the others.
  struct alignas(64) Share {
    std::atomic<int64_t> next;
    int64_t end;
  };

  void start(int threads) {
    shares_ = std::make_unique<Share[]>(threads);
    may_spin_ = threads <= usable_cpus();  // else spinning would take the CPU from the one waited for
    workers_.clear();
    sigset_t all, old;  // signals are for the user's threads
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    try {
      uint32_t seen = wake_.load();
      for (int i = 1; i < threads; i++) workers_.emplace_back([this, i, seen] { loop(i, seen); });
    } catch (const std::system_error&) {  // the system gives no more threads: go on with those we have
    }
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
    threads_ = int(workers_.size()) + 1;
  }

  void loop(int index, uint32_t seen) {
    Region region;
    for (;;) {
      if (!spin_until(may_spin_, [&] { return wake_.load(std::memory_order_acquire) != seen; })) {
        asleep_.fetch_add(1);
        wake_.wait(seen);
        asleep_.fetch_sub(1);
      }
      seen = wake_.load();
      if (quit_) return;
      uint32_t s = state_.load();
      while ((s & kOpen) && !state_.compare_exchange_weak(s, s + 1)) {}
      if (!(s & kOpen)) continue;
      if (float_mode() != float_mode_) set_float_mode(float_mode_);  // numbers must not depend on who takes a piece
      work(index);
      if (state_.fetch_sub(1) == 1) state_.notify_one();
    }
  }

  void work(int self) noexcept {
    Region region;
    try {
      for (int i = 0; i < used_; i++) {
        Share& share = shares_[(self + i) % used_];
        int64_t p;
        while (share.next.load(std::memory_order_relaxed) < share.end && (p = share.next.fetch_add(1)) < share.end)
          fn_(context_, p * grain_, std::min(n_, (p + 1) * grain_));
      }
    } catch (...) {
      for (int i = 0; i < used_; i++) shares_[i].next.store(shares_[i].end);
      std::lock_guard lock(error_mutex_);
      if (!error_) error_ = std::current_exception();
    }
  }

  std::mutex running_;  // held by the caller whose job runs
  std::vector<std::thread> workers_;
  std::unique_ptr<Share[]> shares_;
  std::atomic<int> threads_{1};
  bool may_spin_ = true;
  std::atomic<bool> quit_{false};

  int64_t n_ = 0, grain_ = 1;  // the job
  RangeFn fn_ = nullptr;
  void* context_ = nullptr;
  FloatMode float_mode_{};
  int used_ = 0;
  std::exception_ptr error_;
  std::mutex error_mutex_;

  alignas(64) std::atomic<uint32_t> state_{0};  // kOpen while workers may join, plus the number of workers inside
  alignas(64) std::atomic<uint32_t> wake_{0};   // counts jobs
  alignas(64) std::atomic<int> asleep_{0};
};

std::atomic<Pool*> current{nullptr};  // never destroyed: tensors may die after main
std::atomic<Pool*> lost{nullptr};     // in a forked child: the parent's, whose threads do not exist here

ForkMutex& making_pool() {
  static auto& mutex = *new ForkMutex(ForkOrder::pool);
  return mutex;
}
[[maybe_unused]] const ForkMutex& making_pool_early = making_pool();

Pool& pool() {
  if (Pool* p = current.load(std::memory_order_acquire)) return *p;
  std::lock_guard lock(making_pool());
  if (Pool* p = current.load()) return *p;
  Pool* parents = lost.load();
  Pool* p = new Pool(parents ? parents->threads() : default_threads());
  p->before_fork = parents;
  static bool registered = false;
  auto in_child = [] {
    if (Pool* p = current.exchange(nullptr)) lost = p;
  };
  if (!registered) pthread_atfork(nullptr, nullptr, in_child);
  registered = true;
  current.store(p, std::memory_order_release);
  return *p;
}

}  // namespace

int num_threads() { return pool().threads(); }

void set_num_threads(int n) {
  checked_threads("set_num_threads", n, std::to_string(n).c_str());
  if (in_region) throw ValueError("set_num_threads: called inside parallel_for; call it between two ops");
  pool().resize(n);
}

void parallel_run(int64_t n, int64_t grain, RangeFn fn, void* context) {
  grain = std::max<int64_t>(grain, 1);
  if (n > grain && !in_region && pool().run(n, grain, fn, context)) return;
  for (int64_t begin = 0; begin < n; begin += std::min(grain, n - begin))
    fn(context, begin, begin + std::min(grain, n - begin));
}

}  // namespace ink
