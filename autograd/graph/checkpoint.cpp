// checkpoint(): a stretch of the forward pass that keeps only its inputs, and runs again when a rule asks.
#include "autograd/graph/checkpoint.h"

#include "autograd/graph/mode.h"
#include "autograd/graph/recompute.h"

namespace ink::detail {
namespace {

class Region : public Recompute {
 public:
  Region(std::unique_ptr<CheckpointFn> f, const TensorList& inputs)
      : Recompute("checkpoint"), f_(std::move(f)), inputs_(inputs) {}

  Tensor first_run() {
    FirstRun scope(*this);
    return f_->call(inputs_);
  }

 private:
  void run() override {
    TensorList again;
    for (const Tensor& t : inputs_) again.push_back(fresh(t, t.requires_grad()));
    f_->call(again);
  }

  std::unique_ptr<CheckpointFn> f_;
  TensorList inputs_;
};

}  // namespace

Tensor checkpoint(std::unique_ptr<CheckpointFn> f, const TensorList& inputs) {
  if (!grad_enabled()) return f->call(inputs);
  Ref<Region> region(new Region(std::move(f), inputs));
  return region->first_run();
}

}  // namespace ink::detail
