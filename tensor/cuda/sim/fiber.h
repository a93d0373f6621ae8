// Stacks to run a kernel's threads on: one switch costs a few nanoseconds, so a block of threads runs on one CPU thread.
// The switch itself is Boost.Context's; AddressSanitizer is told about every one.
#pragma once
#include <boost/context/detail/fcontext.hpp>
#include <cstddef>

namespace ink::sim {

// A stack with what runs on it. Switching goes both ways between the scheduler (the CPU thread's own stack) and a fiber.
class Fiber {
 public:
  using Body = void (*)();  // called again each time the fiber is entered idle; must not throw
  explicit Fiber(Body body);
  ~Fiber();
  Fiber(const Fiber&) = delete;

  void enter();               // from the scheduler: runs until the fiber calls leave()
  static void leave();        // from the fiber: back to the scheduler
  static Fiber* running();
  [[noreturn]] static void abandon();  // the same for good: what is on the stack is forgotten
  bool abandoned() const { return abandoned_; }
  void reset();               // makes an abandoned or parked fiber idle again

 private:
  static void main(boost::context::detail::transfer_t from);
  Body body_;
  char* stack_;
  boost::context::detail::fcontext_t context_;
  boost::context::detail::fcontext_t caller_ = nullptr;
  void* fake_stack_ = nullptr;  // AddressSanitizer's
  bool abandoned_ = false;
};

}  // namespace ink::sim
