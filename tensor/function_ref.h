// A reference to a callable: two pointers, no allocation, no <functional>. The callable must outlive it.
#pragma once
#include <memory>
#include <type_traits>
#include <utility>

namespace ink {

template <class Signature> class FunctionRef;
template <class R, class... A> class FunctionRef<R(A...)> {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef> && std::is_invocable_r_v<R, F&, A...>)
      FunctionRef(F&& f)
      : object_((void*)std::addressof(f)), call_([](void* o, A... a) -> R {
          return (*reinterpret_cast<std::remove_reference_t<F>*>(o))(std::forward<A>(a)...);
        }) {}
  R operator()(A... a) const { return call_(object_, std::forward<A>(a)...); }

 private:
  void* object_;
  R (*call_)(void*, A...);
};

}  // namespace ink
