// An exponential moving average of parameters, for evaluation: shadow = decay shadow + (1 - decay) p, kept in f32 for
// parameters of f16 and bf16.
#pragma once
#include <vector>

#include "optim/optimizer.h"

namespace ink {

class EMA {
 public:
  // With `warmup`, step t uses min(decay, (1 + t) / (10 + t)), so that early averages follow quickly.
  explicit EMA(const std::vector<Tensor>& params, double decay = 0.999, bool warmup = true);
  void update();  // after each optimizer step
  // Puts the averages into the parameters, and the parameters back: swap(); evaluate(); swap().
  void swap();
  NamedTensors state_dict() const;
  // ValueError for missing or unknown names or a count of steps that is none, ShapeError for a different shape,
  // DTypeError for averages that are not floating point; nothing is changed then.
  void load_state_dict(const NamedTensors& state) { prepare_state(state)->commit(); }
  PreparedState prepare_state(const NamedTensors& state);  // the first half: nothing is changed yet

 private:
  std::vector<Tensor> params_, shadow_, kept_;  // kept_: the parameters while the averages stand in for them
  double decay_;
  bool warmup_;
  int64_t steps_ = 0;
};

}  // namespace ink
