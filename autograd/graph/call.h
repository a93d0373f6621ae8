// call(): the one door through which every op enters. It runs the forward function and, if a gradient is wanted,
// records the op. Autocast, anomaly detection, profiling and tracing hook in here and nowhere else.
#pragma once
#include <array>
#include <type_traits>

#include "autograd/graph/mode.h"
#include "autograd/graph/node.h"

namespace ink {

// for ops without parameters
struct NoContext {};

// One call of an op, as record(), the observers and the row's `flops` see it.
struct Call {
  const Op& op;
  const Tensor* const* inputs;  // each may be undefined
  int num_inputs;
  std::span<Tensor> outputs;
  const void* parameters = nullptr;
  size_t parameters_size = 0;
  bool formula = false;  // the parameters are an elementwise formula of tensor/math/functors.h

  const Tensor& in(int i) const { return *inputs[i]; }
  const Tensor& out(int i = 0) const { return outputs[size_t(i)]; }
  template <class C> const C& context() const { return *static_cast<const C*>(parameters); }
};

namespace detail {

// Makes the node and hangs it on the outputs. GradError if an input was overwritten through another handle.
// Returns null when no output is differentiable.
Node* record(const Call& call);

// Wraps one call while autocast, anomaly, profile or trace is on (autograd/observe/observe.cpp).
class Observed {
 public:
  explicit Observed(const Op& op);
  Tensor cast(const Tensor& input) const;
  void done(const Call& call);

 private:
  const Op& op_;
  double start_;
};

inline std::span<Tensor> outputs_of(Tensor& r) { return {&r, 1}; }
template <size_t N> std::span<Tensor> outputs_of(std::array<Tensor, N>& r) { return r; }
inline std::span<Tensor> outputs_of(std::vector<Tensor>& r) { return r; }

}  // namespace detail

// forward(inputs...) returns a new Tensor (never a handle to an input), or a std::array or std::vector of them.
// `context` holds the op's plain parameters for the rules; tensors a rule needs are saved inputs and outputs.
template <class C, class F, class... T>
auto call(const Op& op, const C& context, F&& forward, const T&... inputs) -> decltype(forward(inputs...)) try {
  static_assert(std::is_trivially_copyable_v<C>);
  using R = decltype(forward(inputs...));
  constexpr size_t size = std::is_empty_v<C> ? 0 : sizeof(C);
  if (mode().observers != 0) [[unlikely]] {
    detail::Observed observed(op);
    auto run = [&](const auto&... in) {
      R out = forward(in...);
      const Tensor* list[] = {&in...};
      Call r{op, list, sizeof...(in), detail::outputs_of(out), &context, size, requires {C::domain;
    }
  };
  observed.done(r);
  if (mode().grad && (in.requires_grad() || ...)) detail::record(r);
  return out;
};
return run(observed.cast(inputs)...);
}
R out = forward(inputs...);
if (mode().grad && (inputs.requires_grad() || ...)) {
  const Tensor* list[] = {&inputs...};
  detail::record({op, list, sizeof...(inputs), detail::outputs_of(out), &context, size});
}
return out;
}
catch (const std::bad_alloc&) {
  detail::out_of_memory(op.name);
}

// The same for a list of inputs of any length (cat, einsum, Function<T>).
template <class C, class F>
Tensor call_list(const Op& op, const C& context, F&& forward, std::span<const Tensor> inputs) try {
  static_assert(std::is_trivially_copyable_v<C>);
  std::vector<Tensor> cast;
  std::vector<const Tensor*> list;
  if (mode().observers & kAutocast) {
    detail::Observed observed(op);
    for (const Tensor& t : inputs) cast.push_back(observed.cast(t));
    inputs = cast;
  }
  Tensor out = forward(inputs);
  bool wanted = false;
  for (const Tensor& t : inputs) {
    list.push_back(&t);
    wanted |= t.requires_grad();
  }
  Call r{op, list.data(), int(list.size()), {&out, 1}, &context, std::is_empty_v<C> ? 0 : sizeof(C)};
  if (mode().observers) detail::Observed(op).done(r);
  if (mode().grad && wanted) detail::record(r);
  return out;
} catch (const std::bad_alloc&) { detail::out_of_memory(op.name); }

}  // namespace ink
