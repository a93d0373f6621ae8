// Learning rate schedules: a factor on each group's starting rate as a function of the step number (0 first).
//
//   Scheduler schedule(optimizer, Cosine{.steps = 1000, .warmup = 100});
//   for (...) { ...; optimizer.step(); schedule.step(); }
#pragma once
#include <cstdint>
#include <memory>

#include "optim/optimizer.h"

namespace ink {

struct Constant {
  double factor(int64_t) const { return 1; }
};
struct StepDecay {  // times gamma every `every` steps
  int64_t every;
  double gamma = 0.1;
  double factor(int64_t step) const;
};
struct LinearWarmup {  // up from 1/warmup to 1 in `warmup` steps, then constant
  int64_t warmup;
  double factor(int64_t step) const;
};
struct Cosine {  // linear warm-up, then half a cosine down to `floor` at `steps`; Loshchilov & Hutter 2017, eq. 5
  int64_t steps, warmup = 0;
  double floor = 0;
  double factor(int64_t step) const;
};
struct OneCycle {  // Smith & Topin 2018: cosine from 1/start up to 1 at `peak` of the way, then down to 1/(start * end)
  int64_t steps;
  double peak = 0.3, start = 25, end = 1e4;
  double factor(int64_t step) const;
};

class Scheduler {
 public:
  // The optimizer must outlive the schedule. Sets the rates of step 0 at once.
  template <class S>
  Scheduler(Optimizer& optimizer, const S& schedule) : optimizer_(optimizer), curve_(new Holder<S>(schedule)) {
    start();
  }
  void step();
  int64_t steps() const { return step_; }
  NamedTensors state_dict() const;
  // The same schedule must have been given. ValueError for missing or unknown names, a count of steps that is none, or
  // a rate that is negative or not finite; nothing is changed then.
  void load_state_dict(const NamedTensors& state) { prepare_state(state)->commit(); }
  PreparedState prepare_state(const NamedTensors& state);  // the first half: nothing is changed yet

 private:
  struct Curve {
    virtual ~Curve() = default;
    virtual double factor(int64_t step) const = 0;
  };
  template <class S> struct Holder : Curve {
    S s;
    explicit Holder(const S& s) : s(s) {}
    double factor(int64_t step) const override { return s.factor(step); }
  };
  void start();
  void apply();
  Optimizer& optimizer_;
  std::unique_ptr<Curve> curve_;
  std::vector<double> base_;
  int64_t step_ = 0;
};

}  // namespace ink
