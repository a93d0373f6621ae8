// The second run of a stretch whose saved tensors were dropped, under the generator and the modes of the first.
#include "autograd/graph/recompute.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "autograd/graph/mode.h"
#include "autograd/observe/autocast.h"
#include "tensor/raw/raw.h"

namespace ink {

Environment::Environment()
    : generator_(default_generator().state),
      observers_(mode().observers),
      cast_(autocast_dtype()),
      device_(default_device()) {}

void Environment::run(FunctionRef<void()> f) const {
  struct Restore {
    Generator::State now;
    ~Restore() { default_generator().state = now; }
  } restore{std::exchange(default_generator().state, generator_)};
  ObserverScope all_off(Observer(0xff), false);
  DefaultDevice device(device_);
  std::optional<Autocast> as_before;
  if (observers_ & kAutocast) as_before.emplace(cast_);
  ObserverScope factors(kTf32, observers_ & kTf32);
  f();
}

SavedTensor Recompute::save(const Tensor& t) {
  if (collecting_) {
    collected_.push_back(raw::alias(t));
    return {};
  }
  return {{}, 0, Ref<SavedSource>(this), count_++};
}

Tensor Recompute::fetch(int index) {
  if (collected_.empty()) {
    struct Collect {
      bool& on;
      explicit Collect(bool& b) : on(b) { on = true; }
      ~Collect() { on = false; }
    } collect(collecting_);
    EnableGrad enable;
    FirstRun policy(*this);
    environment_.run([&] { run(); });
  }
  if (int(collected_.size()) != count_)
    throw GradError(
        fmt::format("{}: the second run saved {} tensors, the first {}; hint: the function must be deterministic",
                    name_, collected_.size(), count_));
  return collected_[size_t(index)];
}

Tensor Recompute::fresh(const Tensor& t, bool requires_grad) {
  if (!t.defined()) return t;
  Tensor copy = t.detach();
  if (requires_grad) copy.requires_grad_();
  return copy;
}

}  // namespace ink
