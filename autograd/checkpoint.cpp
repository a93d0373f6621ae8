#include "autograd/checkpoint.h"

#include <fmt/format.h>

#include "autograd/autocast.h"
#include "autograd/mode.h"
#include "autograd/node.h"
#include "autograd/ops.h"
#include "tensor/raw.h"

namespace ink::detail {
namespace {

struct PolicyScope {
  SavePolicy* before = save_policy();
  explicit PolicyScope(SavePolicy* p) { save_policy() = p; }
  ~PolicyScope() { save_policy() = before; }
};

// The part of a network inside one checkpoint() call. The first run counts what rules save and keeps none of it; the first
// fetch runs f again and collects the same tensors in the same order.
class Region : public SavedSource, public SavePolicy {
 public:
  Region(std::unique_ptr<CheckpointFn> f, const TensorList& inputs)
      : f_(std::move(f)), inputs_(inputs), generator_(default_generator().state), observers_(mode().observers), cast_(autocast_dtype()),
        device_(default_device()) {}

  Tensor first_run() {
    PolicyScope scope(this);
    return f_->call(inputs_);
  }

  SavedTensor save(const Tensor& t) override {
    if (collecting_) {
      collected_.push_back(raw::alias(t));
      return {};
    }
    return {{}, 0, Ref<SavedSource>(this), count_++};
  }

  Tensor fetch(int index) override {
    if (collected_.empty()) recompute();
    if (int(collected_.size()) != count_)
      throw GradError(fmt::format("checkpoint: the second run saved {} tensors, the first {}; hint: the function must be deterministic",
                                  collected_.size(), count_));
    return collected_[size_t(index)];
  }

 private:
  void recompute() {
    EnableGrad enable;
    PolicyScope scope(this);
    ObserverScope all_off(Observer(0xff), false);
    DefaultDevice device(device_);
    Generator::State now = std::exchange(default_generator().state, generator_);
    collecting_ = true;
    TensorList fresh;
    for (const Tensor& t : inputs_) {
      fresh.push_back(t.defined() ? t.detach() : t);
      if (t.requires_grad()) fresh.back().requires_grad_();
    }
    auto restore = [&] {
      collecting_ = false;
      default_generator().state = now;
    };
    try {
      if (observers_ & kAutocast) {
        Autocast as_before(cast_);
        f_->call(fresh);
      } else {
        f_->call(fresh);
      }
    } catch (...) {
      restore();
      throw;
    }
    restore();
  }

  std::unique_ptr<CheckpointFn> f_;
  TensorList inputs_, collected_;
  Generator::State generator_;
  uint8_t observers_;
  DType cast_;
  Device device_;
  int count_ = 0;
  bool collecting_ = false;
};

}  // namespace

Tensor checkpoint(std::unique_ptr<CheckpointFn> f, const TensorList& inputs) {
  if (!grad_enabled()) return f->call(inputs);
  Ref<Region> region(new Region(std::move(f), inputs));
  return region->first_run();
}

}  // namespace ink::detail
