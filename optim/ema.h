// An exponential moving average of parameters, for evaluation: shadow = decay shadow + (1 - decay) p, kept in f32 for
// parameters of f16 and bf16.
#pragma once
#include <vector>

#include "optim/optimizer.h"

namespace ink {

// An average that forgets half of what it knew every `samples` training samples, whatever the batch size:
//   decay = 0.5^{batch / min(samples, rampup n)}, n the samples before this step.
// So early averages reach back a share `rampup` of the way only, and the first is the parameters. Karras et al. 2022.
struct HalfLife {
  double samples = 500000;
  double rampup = 0.05;  // infinite: no warm-up
};

class EMA {
 public:
  // With `warmup`, step t uses min(decay, (1 + t) / (10 + t)), so that early averages follow quickly.
  explicit EMA(const std::vector<Tensor>& params, double decay = 0.999, bool warmup = true);
  // ValueError unless both numbers are positive.
  EMA(const std::vector<Tensor>& params, const HalfLife& half_life);
  // After each optimizer step. With a half-life: after one that saw so many samples, its batch. ValueError below 1, and
  // for a number other than 1 where there is no half-life.
  void update(int64_t samples = 1);
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
  HalfLife half_life_ = {0, 0};  // samples = 0: a fixed decay
  int64_t steps_ = 0;            // with a half-life: samples
};

}  // namespace ink
