// Fibers, with their stacks kept for the next block.
#include "tensor/cuda/sim/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

#include "tensor/cuda/sim/asan.h"

namespace ink::sim {

namespace context = boost::context::detail;

namespace {

constexpr size_t kStack = size_t(256) << 10;  // pages are only touched where a kernel uses them

struct Switch {
  Fiber *from = nullptr, *to = nullptr;
};
constinit thread_local Switch last;  // fibers never leave their CPU thread
constinit thread_local size_t made = 0;

size_t page() { return size_t(sysconf(_SC_PAGE_SIZE)); }

}  // namespace

Fiber::Fiber(Body body) : body_(body) {
  mapped_ = mmap(nullptr, kStack + page(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped_ == MAP_FAILED) throw std::bad_alloc();
  mprotect(mapped_, page(), PROT_NONE);  // an overflow faults instead of writing into a neighbour
  char* bottom = static_cast<char*>(mapped_) + page();
  bottom_ = bottom;
  // Stacks begin at different places of their page: at equal ones they would all want the same few lines of the cache.
  size_ = kStack - made++ % 32 * 128;
  context_ = context::make_fcontext(bottom + size_, size_, main);
}

Fiber::~Fiber() {
  if (!mapped_) return;
  asan::allow(bottom_, kStack);
  munmap(mapped_, kStack + page());
}

void Fiber::main(context::transfer_t from) {
  Fiber& self = *last.to;
  self.arrived(from.fctx);
  self.body_(self);
  __builtin_unreachable();
}

void Fiber::arrived(context::fcontext_t from) {
  Fiber& left = *last.from;
  asan::finish_switch(fake_stack_, &left.bottom_, &left.size_);  // that is how we learn of the CPU thread's own stack
  left.context_ = from;
}

void Fiber::switch_to(Fiber& next) {
  last = {this, &next};
  asan::start_switch(&fake_stack_, next.bottom_, next.size_);
  arrived(context::jump_fcontext(next.context_, nullptr).fctx);
}

}  // namespace ink::sim
