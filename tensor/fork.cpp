// The list of locks that fork() takes.
#include "tensor/fork.h"

#include <sched.h>

#include <utility>

namespace ink {

// Places are kept for the next mutex of their kind, so that a new one never waits: not for a fork() that waits for a
// lock which the same thread holds, nor within the making of a static variable, where the child would wait for ever.
struct ForkMutex::Place {
  std::atomic<ForkMutex*> mutex;
  Place* next = nullptr;
  bool held = false;  // by fork()
};

struct ForkMutexes {
  using Place = ForkMutex::Place;
  static constexpr int kOrders = int(ForkOrder::last) + 1;
  pthread_mutex_t forking = PTHREAD_MUTEX_INITIALIZER;  // no mutex goes away meanwhile
  std::atomic<Place*> first[kOrders] = {};

  static ForkMutexes& all() {
    static auto* one = [] {
      pthread_atfork([] { all().hold(); }, [] { all().release(); }, [] { all().renew(); });
      return new ForkMutexes;  // never destroyed: tensors may die after main
    }();
    return *one;
  }
  Place* add(ForkMutex* m, ForkOrder order) {
    std::atomic<Place*>& list = first[int(order)];
    for (Place* p = list; p; p = p->next)
      if (ForkMutex* none = nullptr; p->mutex.compare_exchange_strong(none, m)) return p;
    Place* p = new Place{m, list};
    while (!list.compare_exchange_weak(p->next, p)) {}
    return p;
  }
  template <class F> void each(F f) {
    for (auto& list : first)
      for (Place* p = list; p; p = p->next)
        if (ForkMutex* m = p->mutex) f(*p, *m);
  }
  void hold() {
    pthread_mutex_lock(&forking);
    each([](Place& p, ForkMutex& m) { m.lock(), p.held = true; });
    ForkGate::in_flight_ |= ForkGate::kClosed;
    while (ForkGate::in_flight_ != ForkGate::kClosed) sched_yield();
  }
  void release() {  // in the parent
    ForkGate::in_flight_ &= ~ForkGate::kClosed;
    ForkGate::in_flight_.notify_all();
    each([](Place& p, ForkMutex& m) {
      if (std::exchange(p.held, false)) m.unlock();
    });
    pthread_mutex_unlock(&forking);
  }
  void renew() {  // in the child, whose thread is another than the one that took them
    ForkGate::in_flight_ = 0;
    each([](Place& p, ForkMutex& m) { m.make(), p.held = false; });
    forking = PTHREAD_MUTEX_INITIALIZER;
  }
};

constinit std::atomic<unsigned> ForkGate::in_flight_{0};
void ForkGate::wait_and_enter() {
  unsigned now = kClosed;
  do {
    in_flight_.fetch_sub(1);
    while ((now = in_flight_) & kClosed) in_flight_.wait(now);
  } while (in_flight_.fetch_add(1) & kClosed);
}

ForkMutex::ForkMutex(ForkOrder order, Kind kind) : kind_(kind) {
  make();
  place_ = ForkMutexes::all().add(this, order);
}

ForkMutex::~ForkMutex() {
  ForkMutexes& all = ForkMutexes::all();
  pthread_mutex_lock(&all.forking);
  place_->mutex = nullptr;
  pthread_mutex_unlock(&all.forking);
  pthread_mutex_destroy(&mutex_);
}

void ForkMutex::make() {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  if (kind_ == recursive) pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init(&mutex_, &attributes);
  pthread_mutexattr_destroy(&attributes);
}

}  // namespace ink
