// Loss scaling: gradients of f16 that would become 0 are lifted into its range by a factor on the loss, which is taken
// off again before the step. Micikevicius et al. 2018, section 3.2; the rules are those of torch.amp.GradScaler.
//
//   GradScaler scaler;
//   scaler.scale(loss).backward();
//   scaler.unscale_(optimizer);                    // only where gradients are looked at: clipping, norms
//   clip_grad_norm_(params, 1);
//   if (scaler.step(optimizer)) schedule.step();   // left out if a gradient is not finite: no moment, no count moves
//   scaler.update();                               // once an iteration, after all optimizers
//
// With gradient accumulation all passes are scaled alike: update() only after the step. A step reads one flag from the
// device, so it cannot be captured.
#pragma once
#include <string>
#include <vector>

#include "optim/optimizer.h"

namespace ink {

struct GradScalerOptions {
  // powers of two, so that a scaled and unscaled gradient has the same bits
  double scale = 65536;
  double growth = 2;     // the factor after growth_interval good steps in a row
  double backoff = 0.5;  // the factor after a bad one
  int64_t growth_interval = 2000;
  // Bad steps until the scale backs off; a good step refills the count. 1 backs off at once.
  int64_t hysteresis = 1;
  double floor = 0x1p-14;     // below it the scale is not to blame: update() throws, naming the first bad gradient
  double ceiling = 0x1p+126;  // the scale stops growing there
  bool dynamic = true;        // false: the scale stays as it is, bad steps are left out all the same
  // So many losses in a row that are not finite before they are scaled end in a ValueError: no scale cures them.
  int64_t bad_losses = 3;
  bool enabled = true;  // false: scale() and step() pass on what they get
};

struct ScaleEvent {
  enum class Kind : uint8_t {
    skipped,     // a step was left out; hysteresis, or a static scale, kept the scale
    backed_off,  // a step was left out, and the scale became smaller
    grown,       // growth_interval good steps
    bad_loss,    // a step was left out since the loss itself was not finite; the scale stays
  };
  Kind kind;
  int64_t step;       // which call of update(), from 0
  double from, to;    // the scale before and after
  std::string cause;  // the first gradient that was not finite; "" for grown
  std::string str() const;
};

class GradScaler {
 public:
  // ValueError for a scale, floor or ceiling that is not positive and finite, growth below 1, backoff outside (0, 1).
  explicit GradScaler(const GradScalerOptions& options = {});
  // Names for messages: `scaler.name(model.named_parameters())`. Without them parameters go by number.
  void name(const NamedTensors& parameters) { names_ = parameters; }

  // The loss times the scale, in f32 if it is f16 or bf16.
  Tensor scale(const Tensor& loss);
  // Divides the gradients of the optimizer's parameters by the scale. GradError if that has been done since the last
  // update(), or if they were clipped while scaled; DTypeError for gradients of f16, in which the quotient would be
  // lost: keep MasterWeights.
  void unscale_(Optimizer& optimizer);
  // optimizer.step(), after unscale_() unless that has been done, and only if all gradients are finite: says whether.
  // GradError if it has stepped since the last update().
  bool step(Optimizer& optimizer);
  // Moves the scale as the steps went. GradError if no optimizer was unscaled; ValueError where a smaller scale does
  // not help: at the floor, or for losses that are not finite by themselves.
  void update();

  // Where several processes or devices train one model, all must leave out the same steps: after unscale_(), say what
  // was found, and enter what the others found.
  bool found_bad(const Optimizer& optimizer) const;
  void mark_bad(const Optimizer& optimizer, const std::string& cause);

  double scale() const { return options_.enabled ? scale_ : 1; }
  int64_t good_steps() const { return good_; }  // in a row, since the scale last moved
  int64_t skipped_steps() const { return skipped_; }
  int64_t updates() const { return updates_; }
  const std::vector<ScaleEvent>& log() const { return log_; }  // everything but good steps without growth
  const GradScalerOptions& options() const { return options_; }

  // Scale, counts and factors; the log is not saved. Loading is for between two iterations: GradError after unscale_().
  NamedTensors state_dict() const;
  void load_state_dict(const NamedTensors& state);  // ValueError for names missing, unknown, or values out of range

 private:
  enum class Stage : uint8_t {
    ready,     // gradients are scaled
    unscaled,  // and divided by the scale
    stepped,   // and used
  };
  struct Seen {  // one optimizer, since the last update
    const Optimizer* optimizer;
    Stage stage = Stage::ready;
    std::string bad;  // the first gradient that was not finite
  };
  Seen& seen(const Optimizer& optimizer);
  const Seen* find(const Optimizer& optimizer) const;
  std::string name_of_parameter(const Tensor& p, int64_t number) const;
  std::string first_bad(const std::vector<Tensor>& params) const;
  void good_step();
  void bad_step(const std::string& cause);
  void bad_loss();
  void add_event(ScaleEvent::Kind kind, double from, const std::string& cause);

  GradScalerOptions options_;
  NamedTensors names_;
  double scale_;
  int64_t good_ = 0, patience_, skipped_ = 0, updates_ = 0, bad_losses_ = 0;
  std::vector<Seen> seen_;
  Tensor loss_finite_;  // whether every loss scaled since the last update was finite, on its device
  std::vector<ScaleEvent> log_;
};

}  // namespace ink
