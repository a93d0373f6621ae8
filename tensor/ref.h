// Ref<T>: a counted reference to an object that carries its own count (struct T : RefCounted). Safe across threads.
#pragma once
#include <atomic>
#include <cstdlib>
#include <new>
#include <utility>

namespace ink {

namespace detail {
// Gives back what memory is cached; then throws a MemoryError that names the op, what was asked for and what is live.
[[noreturn]] void out_of_memory(const char* op, size_t bytes = 0);
// Memory for a small object where malloc had none: after giving back what is cached. Else the MemoryError.
void* allocate_under_pressure(size_t bytes);
}  // namespace detail

struct RefCounted {
  mutable std::atomic<int> refs{0};
  static void* operator new(size_t bytes) {
    void* p = std::malloc(bytes);
    return p ? p : detail::allocate_under_pressure(bytes);
  }
  static void operator delete(void* p) { std::free(p); }
  static void* operator new(size_t bytes, std::align_val_t alignment) { return ::operator new(bytes, alignment); }
  static void operator delete(void* p, std::align_val_t alignment) { ::operator delete(p, alignment); }
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
  // Lets go of the object without destroying it: the object if this was its last reference, which the caller then
  // destroys, else null.
  T* release() {
    T* p = std::exchange(p_, nullptr);
    return p && p->refs.fetch_sub(1, std::memory_order_acq_rel) == 1 ? p : nullptr;
  }
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
