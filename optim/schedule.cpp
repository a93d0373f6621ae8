// Learning rates over steps.
#include "optim/schedule.h"

#include <fmt/format.h>

#include <cmath>

#include "tensor/raw/raw.h"

namespace ink {

namespace {
double half_cosine(double from, double to, double progress) {
  return to + (from - to) * (1 + std::cos(M_PI * progress)) / 2;  // (0.19)
}
double clamp01(double x) { return x < 0 ? 0 : x > 1 ? 1 : x; }
}  // namespace

double StepDecay::factor(int64_t step) const {
  if (every < 1) throw ValueError(fmt::format("StepDecay: every got {}; expected at least 1", every));
  return std::pow(gamma, double(step / every));
}
double LinearWarmup::factor(int64_t step) const { return step < warmup ? double(step + 1) / double(warmup) : 1; }
double Cosine::factor(int64_t step) const {
  if (step < warmup) return double(step + 1) / double(warmup);
  return half_cosine(1, floor, clamp01(double(step - warmup) / double(steps - warmup > 0 ? steps - warmup : 1)));
}
double OneCycle::factor(int64_t step) const {
  if (!(start > 0 && end > 0))
    throw ValueError(fmt::format("OneCycle: start got {}, end got {}; expected positive numbers", start, end));
  double up = peak * double(steps) - 1, down = double(steps - 1) - up;
  if (up > 0 && double(step) <= up) return half_cosine(1 / start, 1, clamp01(double(step) / up));
  return half_cosine(1, 1 / (start * end), down > 0 ? clamp01((double(step) - up) / down) : 1);
}

void Scheduler::start() {
  for (int64_t g = 0; g < optimizer_.num_groups(); ++g) base_.push_back(optimizer_.lr(g));
  apply();
}
void Scheduler::apply() {
  for (int64_t g = 0; g < optimizer_.num_groups(); ++g) optimizer_.set_lr(g, base_[size_t(g)] * curve_->factor(step_));
}
void Scheduler::step() {
  ++step_;
  apply();
}
NamedTensors Scheduler::state_dict() const {
  NamedTensors state{{"step", raw::full({}, step_, i64)}};
  for (size_t g = 0; g < base_.size(); ++g)
    state.emplace_back("base." + std::to_string(g), raw::full({}, base_[g], f64));
  return state;
}
PreparedState Scheduler::prepare_state(const NamedTensors& state) {
  auto find = [&](const std::string& name) -> const Tensor& {
    for (auto& [n, value] : state)
      if (n == name) return value;
    throw ValueError(fmt::format("Scheduler::load_state_dict: no entry '{}'; got {} entries", name, state.size()));
  };
  (void)find("step");
  std::vector<double> base;
  for (size_t g = 0; g < base_.size(); ++g) {
    const std::string name = fmt::format("base.{}", g);
    (void)find(name);
    base.push_back(state_number(state, name));
    if (!(base[g] >= 0 && std::isfinite(base[g])))
      throw ValueError(fmt::format(
          "Scheduler::load_state_dict: base.{} is no rate; got {}; expected a number from 0 on", g, base[g]));
  }
  if (state.size() != base.size() + 1)
    throw ValueError(fmt::format("Scheduler::load_state_dict: another number of groups; got {}; expected {}",
                                 state.size() - 1, base.size()));
  const int64_t step = state_steps(state, "step");
  const double factor = curve_->factor(step);
  return prepared_state([this, step, base = std::move(base), factor]() mutable {
    step_ = step, base_ = std::move(base);
    for (size_t g = 0; g < base_.size(); ++g) optimizer_.set_lr(int64_t(g), base_[g] * factor);
  });
}

}  // namespace ink
