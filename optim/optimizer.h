// What all optimizers share: groups of parameters with options of their own, gradients, saved state.
//
//   AdamW optimizer(model.parameters(), {.lr = 3e-4});
//   loss.backward(); optimizer.step(); optimizer.zero_grad();
//
// Parameters are handles, updated in place without recording. A parameter without a gradient is left alone. A list
// without any is a ValueError: a module that names nothing in fields() has no parameters.
#pragma once
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "nn/state.h"
#include "tensor/tensor.h"

namespace ink {

class Optimizer {
 public:
  virtual ~Optimizer();
  virtual void step() = 0;
  void zero_grad();
  int64_t num_groups() const;
  std::vector<Tensor> parameters() const;  // of all groups, in order
  // The learning rate of a group; schedules set it.
  virtual double lr(int64_t group) const = 0;
  virtual void set_lr(int64_t group, double lr) = 0;

  // Step counts and moments by parameter number: "0.steps", "0.m", "0.v", ... Learning rates are the schedule's to
  // keep.
  NamedTensors state_dict() const;
  // ValueError if names do not match, a count of steps is none, or a second moment ("v") is negative; ShapeError for a
  // different shape, DTypeError for state that is not floating point. Nothing is changed then.
  void load_state_dict(const NamedTensors& state) { prepare_state(state)->commit(); }
  PreparedState prepare_state(const NamedTensors& state);  // the first half: nothing is changed yet

 protected:
  // State tensors of one parameter, in the order of slot_names(); undefined until its first step.
  struct Slots {
    Tensor param;
    std::vector<Tensor> state;
    int64_t steps = 0;
  };
  explicit Optimizer(std::vector<std::string> slot_names);
  void add_group(const std::vector<Tensor>& params);
  void check_not_empty() const;  // ValueError for no parameters at all
  std::vector<Slots>& group(int64_t i);
  size_t index(int64_t group) const;  // IndexError if there is no such group
  // The gradient, contiguous; undefined if there is none. It and the state have the parameter's dtype, or f32 where
  // that is f16 or bf16: small steps of an average would be lost. Makes missing state (zeros), and casts or moves state
  // if the parameter was. ShapeError if the parameter has another shape than its state.
  Tensor begin(Slots& s);

 private:
  template <class F> void each(F f) const;
  Tensor checked_slot(const NamedTensors& state, int64_t i, const std::string& name, const Slots& s) const;
  std::vector<std::string> slot_names_;
  std::vector<std::vector<Slots>> groups_;
};

// ValueError unless 0 <= value, and value < below.
void check_option(const char* optimizer, const char* option, double value,
                  double below = std::numeric_limits<double>::infinity());

// An optimizer whose groups each carry options O.
template <class O> struct Group {
  std::vector<Tensor> params;
  O options;
};
template <class O> class OptimizerWith : public Optimizer {
 public:
  double lr(int64_t g) const override { return options_[index(g)].lr; }
  void set_lr(int64_t g, double lr) override { options_[index(g)].lr = lr; }
  const O& options(int64_t g) const { return options_[index(g)]; }

 protected:
  OptimizerWith(std::vector<std::string> slot_names, const std::vector<Group<O>>& groups)
      : Optimizer(std::move(slot_names)) {
    for (const Group<O>& g : groups) {
      add_group(g.params);
      options_.push_back(g.options);
    }
    check_not_empty();
  }

 private:
  std::vector<O> options_;
};

}  // namespace ink
