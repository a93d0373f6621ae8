// What checkpoint() and reversible layers share: a stretch of the forward pass whose saved tensors are dropped, and
// computed again when a rule asks for the first of them.
#pragma once
#include <vector>

#include "autograd/graph/node.h"
#include "tensor/function_ref.h"
#include "tensor/math/dtype.h"
#include "tensor/random.h"

namespace ink {

// What the numbers of a forward pass depend on besides its inputs: default generator, autocast, default device. As they
// were when it was made; run(f) brings them back for f, without observers, and restores those of now afterwards.
class Environment {
 public:
  Environment();
  void run(FunctionRef<void()> f) const;

 private:
  Generator::State generator_;
  uint8_t observers_;
  DType cast_;
  Device device_;
};

// While `scope` lives, what rules save goes to the Recompute, which only counts it:
//
//   Ref<Region> region(new Region(...));
//   Recompute::FirstRun scope(*region);
//   ... ops ...
//
// The first fetch calls run(), which must do the same ops on the same values, recorded, and keeps what they save.
class Recompute : public SavedSource, public SavePolicy {
 public:
  class FirstRun {
   public:
    explicit FirstRun(Recompute& region) : before_(save_policy()) { save_policy() = &region; }
    ~FirstRun() { save_policy() = before_; }
    FirstRun(const FirstRun&) = delete;
    FirstRun& operator=(const FirstRun&) = delete;

   private:
    SavePolicy* before_;
  };
  SavedTensor save(const Tensor& t) final;
  // GradError if the second run saved another number of tensors than the first.
  Tensor fetch(int index) final;

 protected:
  explicit Recompute(const char* name) : name_(name) {}  // of the op, for errors
  virtual void run() = 0;

  // An input of the first run for the second: the same elements, no history, and a gradient if there was one.
  static Tensor fresh(const Tensor& t, bool requires_grad);

 private:
  const char* name_;
  Environment environment_;
  std::vector<Tensor> collected_;
  int count_ = 0;
  bool collecting_ = false;
};

}  // namespace ink
