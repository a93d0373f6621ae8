// Locks and fork(): a child has only the thread that forked, so a lock that another thread held would stay held for
// ever. The locks of the library are therefore taken before a process is copied, and are free in both afterwards.
#pragma once
#include <pthread.h>

#include <atomic>

namespace ink {

// Who holds one lock and takes another takes it of a later kind: fork() takes them in this order.
enum class ForkOrder : char {
  pattern,  // a layer's cache, under which ops run
  cache,    // plans, the modules that live
  grad,     // .grad of parameters
  pool,     // the making of the pool
  device,   // a CUDA device's memory
  list,     // the allocator's small blocks
  segment,  // the big ones
  last,     // the simulator's: nothing is taken under it
};

// A mutex, for std::lock_guard, that fork() takes. A static one should be made before there are threads: a child whose
// parent was making it in another thread would wait for that thread.
class ForkMutex {
 public:
  enum Kind : char { plain, recursive };
  explicit ForkMutex(ForkOrder order, Kind kind = plain);
  ~ForkMutex();
  ForkMutex(const ForkMutex&) = delete;
  void lock() { pthread_mutex_lock(&mutex_); }
  void unlock() { pthread_mutex_unlock(&mutex_); }

 private:
  friend struct ForkMutexes;
  struct Place;  // in the list of all
  void make();
  pthread_mutex_t mutex_;
  const Kind kind_;
  Place* place_;
};

// A call of a library whose own locks nobody can take (OpenBLAS): fork() waits until none is in flight. Not nested.
class ForkGate {
 public:
  ForkGate() {
    if (in_flight_.fetch_add(1, std::memory_order_acquire) & kClosed) [[unlikely]]
      wait_and_enter();
  }
  ~ForkGate() { in_flight_.fetch_sub(1, std::memory_order_release); }
  ForkGate(const ForkGate&) = delete;

 private:
  friend struct ForkMutexes;
  static constexpr unsigned kClosed = 1u << 31;
  static void wait_and_enter();
  static constinit std::atomic<unsigned> in_flight_;
};

}  // namespace ink
