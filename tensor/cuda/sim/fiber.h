// Stacks to run a kernel's threads on: one switch costs a few nanoseconds, so a block of threads runs on one CPU
// thread. The switch itself is Boost.Context's; AddressSanitizer is told about every one.
#pragma once
#include <boost/context/detail/fcontext.hpp>
#include <cstddef>

namespace ink::sim {

class Fiber {
 public:
  using Body = void (*)(Fiber& self);  // what runs on the stack; must neither return nor throw
  explicit Fiber(Body body);
  Fiber() = default;  // for the CPU thread's own stack
  ~Fiber();
  Fiber(const Fiber&) = delete;

  // Leaves this fiber, on whose stack the caller must be, for `next`; returns when somebody switches back.
  void switch_to(Fiber& next);

 private:
  static void main(boost::context::detail::transfer_t from);
  void arrived(boost::context::detail::fcontext_t from);
  Body body_ = nullptr;
  boost::context::detail::fcontext_t context_ = nullptr;  // where it stands while others run
  void* mapped_ = nullptr;
  const void* bottom_ = nullptr;  // the stack, for AddressSanitizer
  size_t size_ = 0;
  void* fake_stack_ = nullptr;
};

}  // namespace ink::sim
