#include "tensor/cuda/sim/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace ink::sim {

namespace context = boost::context::detail;

namespace {

constexpr size_t kStack = size_t(256) << 10;  // pages are only touched where a kernel uses them

struct Here {
  Fiber* fiber = nullptr;          // the one that runs
  const void* bottom = nullptr;    // of the scheduler's stack
  size_t size = 0;
  void* fake_stack = nullptr;
};
constinit thread_local Here here;

#if defined(__SANITIZE_ADDRESS__)
void start_switch(void** fake, const void* bottom, size_t size) { __sanitizer_start_switch_fiber(fake, bottom, size); }
void finish_switch(void* fake, const void** bottom, size_t* size) { __sanitizer_finish_switch_fiber(fake, bottom, size); }
void forget(char* stack, size_t size) { __asan_unpoison_memory_region(stack, size); }
#else
void start_switch(void**, const void*, size_t) {}
void finish_switch(void*, const void**, size_t*) {}
void forget(char*, size_t) {}
#endif

size_t page() { return size_t(sysconf(_SC_PAGE_SIZE)); }

}  // namespace

Fiber::Fiber(Body body) : body_(body) {
  void* p = mmap(nullptr, kStack + page(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  mprotect(p, page(), PROT_NONE);  // an overflow faults instead of writing into a neighbour
  stack_ = static_cast<char*>(p) + page();
  context_ = context::make_fcontext(stack_ + kStack, kStack, main);
}

Fiber::~Fiber() {
  forget(stack_, kStack);
  munmap(stack_ - page(), kStack + page());
}

void Fiber::reset() {
  forget(stack_, kStack);
  context_ = context::make_fcontext(stack_ + kStack, kStack, main);
  fake_stack_ = nullptr;
  abandoned_ = false;
}

void Fiber::main(context::transfer_t from) {
  finish_switch(nullptr, &here.bottom, &here.size);
  here.fiber->caller_ = from.fctx;
  for (;;) {
    here.fiber->body_();
    leave();
  }
}

void Fiber::enter() {
  here.fiber = this;
  start_switch(&here.fake_stack, stack_, kStack);
  context::transfer_t back = context::jump_fcontext(context_, nullptr);
  finish_switch(here.fake_stack, nullptr, nullptr);
  context_ = back.fctx;
  here.fiber = nullptr;
}

Fiber* Fiber::running() { return here.fiber; }

void Fiber::leave() {
  Fiber* self = here.fiber;
  start_switch(&self->fake_stack_, here.bottom, here.size);
  context::transfer_t back = context::jump_fcontext(self->caller_, nullptr);
  finish_switch(self->fake_stack_, &here.bottom, &here.size);
  self->caller_ = back.fctx;
}

void Fiber::abandon() {
  Fiber* self = here.fiber;
  self->abandoned_ = true;
  start_switch(nullptr, here.bottom, here.size);  // null: the fake stack dies with the fiber
  context::jump_fcontext(self->caller_, nullptr);
  __builtin_unreachable();
}

}  // namespace ink::sim
