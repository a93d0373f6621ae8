// A value whose type is chosen at run time: it copies deeply, so that what holds one can be copied like any other
// value.
#pragma once
#include <memory>
#include <utility>

namespace ink {

// Base has `std::unique_ptr<Base> clone() const`. May be empty.
template <class Base> class Any {
 public:
  Any() = default;
  Any(std::unique_ptr<Base> held) : held_(std::move(held)) {}
  Any(const Any& o) : held_(o.held_ ? o.held_->clone() : nullptr) {}
  Any(Any&&) = default;
  Any& operator=(Any o) {
    held_ = std::move(o.held_);
    return *this;
  }
  explicit operator bool() const { return held_ != nullptr; }
  Base& operator*() const { return *held_; }
  Base* operator->() const { return held_.get(); }

 private:
  std::unique_ptr<Base> held_;
};

}  // namespace ink
