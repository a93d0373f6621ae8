// Ref<T>: a counted reference to an object that carries its own count (struct T : RefCounted). Safe across threads.
#pragma once
#include <atomic>
#include <utility>

namespace ink {

struct RefCounted {
  mutable std::atomic<int> refs{0};
  RefCounted() = default;
  RefCounted(const RefCounted&) {}
  RefCounted& operator=(const RefCounted&) { return *this; }
};

template <class T> class Ref {
 public:
  Ref() = default;
  explicit Ref(T* p) : p_(p) { acquire(); }
  Ref(const Ref& o) : p_(o.p_) { acquire(); }
  Ref(Ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  Ref& operator=(Ref o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~Ref() {
    if (p_ && p_->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(p_);
  }
  T* operator->() const { return p_; }
  T& operator*() const { return *p_; }
  T* ptr() const { return p_; }
  explicit operator bool() const { return p_ != nullptr; }
  bool unique() const { return p_ && p_->refs.load(std::memory_order_acquire) == 1; }

 private:
  // Out of line: every handle that a function lets go of would carry the whole destructor.
  [[gnu::noinline]] static void destroy(T* p) { delete p; }
  void acquire() {
    if (p_) p_->refs.fetch_add(1, std::memory_order_relaxed);
  }
  T* p_ = nullptr;
};

}  // namespace ink
