// Averages of weights that trail behind.
#include "optim/ema.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "tensor/raw/raw.h"

namespace ink {

EMA::EMA(const std::vector<Tensor>& params, double decay, bool warmup)
    : params_(params), decay_(decay), warmup_(warmup) {
  if (!(decay >= 0 && decay < 1)) throw ValueError(fmt::format("EMA: decay must be in [0, 1); got {}", decay));
  if (params_.empty())
    throw ValueError("EMA: got no parameters; hint: does fields() of the module name its parameters?");
  for (const Tensor& p : params_) {
    if (!p.defined() || !is_floating(p.dtype()))
      throw ValueError("EMA: a parameter is undefined or not floating point");
    shadow_.push_back(raw::clone(raw::cast(p, compute_type(p.dtype()))));  // in f16 or bf16 a small step would be lost
  }
}
EMA::EMA(const std::vector<Tensor>& params, const HalfLife& half_life) : EMA(params, 0, false) {
  if (!(half_life.samples > 0 && std::isfinite(half_life.samples) && half_life.rampup > 0))
    throw ValueError(fmt::format("EMA: got a half-life of {} samples and a rampup of {}; expected positive numbers",
                                 half_life.samples, half_life.rampup));
  half_life_ = half_life;
}
void EMA::update(int64_t samples) {
  if (samples < 1 || (samples != 1 && half_life_.samples == 0))
    throw ValueError(fmt::format("EMA::update: got {} samples; expected {}", samples,
                                 half_life_.samples == 0 ? "1: this average has no half-life" : "at least 1"));
  NoGrad guard;
  const double t = double(steps_);
  double decay = warmup_ ? std::min(decay_, (1 + t) / (10 + t)) : decay_;
  if (half_life_.samples > 0) {
    const double reach = std::isinf(half_life_.rampup) ? half_life_.samples : half_life_.rampup * t;
    const double life = std::min(half_life_.samples, std::max(reach, 1e-8));
    decay = std::exp2(-double(samples) / life);
  }
  steps_ += samples;
  for (size_t i = 0; i < params_.size(); ++i)
    shadow_[i].add_(raw::cast(params_[i], shadow_[i].dtype()) - shadow_[i], 1 - decay);
}
void EMA::swap() {
  NoGrad guard;
  const bool back = !kept_.empty();
  for (size_t i = 0; i < params_.size(); ++i) {
    if (!back) kept_.push_back(raw::clone(params_[i]));
    params_[i].copy_(back ? kept_[i] : shadow_[i]);
  }
  if (back) kept_.clear();
}
NamedTensors EMA::state_dict() const {
  NamedTensors state{{"steps", integer_state(steps_)}};
  for (size_t i = 0; i < shadow_.size(); ++i) state.emplace_back(std::to_string(i), shadow_[i]);
  return state;
}
PreparedState EMA::prepare_state(const NamedTensors& state) {
  auto find = [&](const std::string& name) {
    auto it = std::find_if(state.begin(), state.end(), [&](auto& s) { return s.first == name; });
    if (it == state.end())
      throw ValueError(fmt::format("EMA::load_state_dict: no entry '{}'; got {} entries", name, state.size()));
    return it->second;
  };
  (void)find("steps");
  std::vector<Tensor> fresh;
  for (size_t i = 0; i < shadow_.size(); ++i) {
    Tensor t = find(std::to_string(i));
    if (!(t.shape() == shadow_[i].shape()))
      throw ShapeError(fmt::format("EMA::load_state_dict: entry {} has another shape; got {}; expected {}", i,
                                   t.shape().str(), shadow_[i].shape().str()));
    if (!is_floating(t.dtype()))
      throw DTypeError(fmt::format("EMA::load_state_dict: entry {} has another dtype; got {}; expected floating point",
                                   i, name_of(t.dtype())));
    fresh.push_back(raw::cast(raw::to_device(t, shadow_[i].device()), shadow_[i].dtype()));
  }
  if (state.size() != shadow_.size() + 1)
    throw ValueError(
        fmt::format("EMA::load_state_dict: got {} entries; expected {}", state.size(), shadow_.size() + 1));
  return prepared_state([this, fresh = std::move(fresh), steps = state_steps(state, "steps")] {
    steps_ = steps;
    for (size_t i = 0; i < shadow_.size(); ++i) raw::copy_into(shadow_[i], fresh[i]);
  });
}

}  // namespace ink
