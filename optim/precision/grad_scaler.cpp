// The state machine of the loss scale, and what it does to gradients.
#include "optim/precision/grad_scaler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "tensor/raw/raw.h"

namespace ink {
namespace {

bool is_scale(double s) { return s > 0 && std::isfinite(s) && std::isfinite(float(s)) && float(s) > 0; }
void check_scale(const char* name, double s) {
  if (!is_scale(s)) throw ValueError(fmt::format("GradScaler: {} must be positive and finite in f32; got {}", name, s));
}
void check_scaler(const GradScalerOptions& o) {
  check_scale("scale", o.scale), check_scale("floor", o.floor), check_scale("ceiling", o.ceiling);
  if (o.floor > o.ceiling || o.scale < o.floor || o.scale > o.ceiling)
    throw ValueError(fmt::format("GradScaler: got scale {}, floor {}, ceiling {}; expected floor <= scale <= ceiling",
                                 o.scale, o.floor, o.ceiling));
  if (!(o.growth >= 1) || !std::isfinite(o.growth))
    throw ValueError(fmt::format("GradScaler: growth got {}; expected at least 1", o.growth));
  if (!(o.backoff > 0 && o.backoff < 1))
    throw ValueError(fmt::format("GradScaler: backoff got {}; expected 0 < backoff < 1", o.backoff));
  const std::pair<const char*, int64_t> counts[] = {{"growth_interval", o.growth_interval},
                                                    {"hysteresis", o.hysteresis},
                                                    {"bad_losses", o.bad_losses}};
  for (auto [name, count] : counts)
    if (count < 1) throw ValueError(fmt::format("GradScaler: {} got {}; expected at least 1", name, count));
}

// Clipping to a norm is meant for the gradients themselves, not for `scale` times them.
void refuse_clipped(const Tensor& g) {
  const std::string_view writer = g.impl()->storage->last_writer;
  if (writer == "clip_grad_norm_" || writer == "clip_grad_value_")
    throw GradError(
        fmt::format("GradScaler: {} was given gradients that are still scaled; hint: call "
                    "unscale_(optimizer) before it",
                    writer));
}

std::string first_bad_value(const Tensor& g) {
  for (double x : g.to_vector<double>())
    if (!std::isfinite(x)) return fmt::format("{}", x);
  return "";
}

}  // namespace

std::string ScaleEvent::str() const {
  switch (kind) {
    case Kind::grown:
      return fmt::format("step {}: scale {} -> {}", step, from, to);
    case Kind::backed_off:
      return fmt::format("step {} left out: {}; scale {} -> {}", step, cause, from, to);
    default:
      return fmt::format("step {} left out: {}; scale stays {}", step, cause, to);
  }
}

GradScaler::GradScaler(const GradScalerOptions& options)
    : options_(options), scale_(options.scale), patience_(options.hysteresis) {
  check_scaler(options_);
}

GradScaler::Seen& GradScaler::seen(const Optimizer& optimizer) {
  for (Seen& s : seen_)
    if (s.optimizer == &optimizer) return s;
  return seen_.emplace_back(Seen{&optimizer, Stage::ready, ""});
}
const GradScaler::Seen* GradScaler::find(const Optimizer& optimizer) const {
  for (const Seen& s : seen_)
    if (s.optimizer == &optimizer) return &s;
  return nullptr;
}

Tensor GradScaler::scale(const Tensor& loss) {
  if (!options_.enabled) return loss;
  if (!loss.defined() || !is_floating(loss.dtype()))
    throw DTypeError("GradScaler: the loss is undefined or not floating point");
  const Tensor wide = is_half(loss.dtype()) ? to(loss, f32) : loss;
  {
    NoGrad guard;
    const Tensor finite = all(isfinite(wide.detach()));
    loss_finite_ = loss_finite_.defined() ? logical_and(loss_finite_, finite.to(loss_finite_.device())) : finite;
  }
  return wide * scale_;
}

std::string GradScaler::name_of_parameter(const Tensor& p, int64_t number) const {
  for (auto& [name, t] : names_)
    if (t.is_same(p)) return name;
  return fmt::format("parameter {} of shape {}", number, p.shape().str());
}

// One flag for all gradients comes from the device; only if it is set are they looked at one by one.
std::string GradScaler::first_bad(const std::vector<Tensor>& params) const {
  Tensor finite;
  for (const Tensor& p : params)
    if (Tensor g = p.grad(); g.defined()) {
      const Tensor one = all(isfinite(g)).to(params[0].device());
      finite = finite.defined() ? logical_and(finite, one) : one;
    }
  if (!finite.defined() || finite.item<bool>()) return "";
  for (size_t i = 0; i < params.size(); ++i)
    if (Tensor g = params[i].grad(); g.defined())
      if (std::string value = first_bad_value(g); !value.empty())
        return fmt::format("the gradient of {} has {}", name_of_parameter(params[i], int64_t(i)), value);
  return "a gradient is not finite";
}

void GradScaler::unscale_(Optimizer& optimizer) {
  if (!options_.enabled) return;
  Seen& s = seen(optimizer);
  if (s.stage == Stage::unscaled)
    throw GradError("GradScaler: unscale_() was called twice for one optimizer; expected once between two update()s");
  if (s.stage == Stage::stepped)
    throw GradError("GradScaler: unscale_() came after step(); hint: update() ends an iteration");
  const std::vector<Tensor> params = optimizer.parameters();
  for (size_t i = 0; i < params.size(); ++i) {  // all are looked at before any is changed
    const Tensor g = params[i].grad();
    if (!g.defined()) continue;
    if (g.dtype() == f16)
      throw DTypeError(
          fmt::format("GradScaler: the gradient of {} is f16, in which it would be lost when unscaled; "
                      "expected f32; hint: MasterWeights (optim/precision/master_weights.h), or f32 "
                      "parameters under Autocast",
                      name_of_parameter(params[i], int64_t(i))));
    refuse_clipped(g);
  }
  NoGrad guard;
  for (const Tensor& p : params)
    if (Tensor g = p.grad(); g.defined()) g.mul_(Scalar(1 / scale_));  // (10.6)
  s.bad = first_bad(params);
  s.stage = Stage::unscaled;
}

bool GradScaler::step(Optimizer& optimizer) {
  if (!options_.enabled) {
    optimizer.step();
    return true;
  }
  if (seen(optimizer).stage == Stage::stepped)
    throw GradError("GradScaler: step() was called twice for one optimizer; hint: update() ends an iteration");
  if (seen(optimizer).stage == Stage::ready) unscale_(optimizer);
  Seen& s = seen(optimizer);
  s.stage = Stage::stepped;
  if (!s.bad.empty()) return false;
  optimizer.step();
  return true;
}

bool GradScaler::found_bad(const Optimizer& optimizer) const {
  const Seen* s = find(optimizer);
  if (!s || s->stage == Stage::ready) throw GradError("GradScaler: found_bad() needs unscale_() first");
  return !s->bad.empty();
}
void GradScaler::mark_bad(const Optimizer& optimizer, const std::string& cause) {
  const Seen* s = find(optimizer);
  if (!s || s->stage != Stage::unscaled)
    throw GradError("GradScaler: mark_bad() belongs between unscale_() and step()");
  if (s->bad.empty()) seen(optimizer).bad = cause.empty() ? "a gradient of another process is not finite" : cause;
}

void GradScaler::update() {
  if (!options_.enabled) return;
  std::string bad;
  bool any = false;
  for (const Seen& s : seen_) {
    any |= s.stage != Stage::ready;
    if (bad.empty()) bad = s.bad;
  }
  if (!any) throw GradError("GradScaler: update() found no optimizer that was unscaled; hint: call step(optimizer)");
  const bool finite_loss = !loss_finite_.defined() || loss_finite_.item<bool>();
  seen_.clear();
  loss_finite_ = {};
  if (bad.empty())
    good_step();
  else if (finite_loss)
    bad_step(bad);
  else
    bad_loss();
  ++updates_;
}

void GradScaler::add_event(ScaleEvent::Kind kind, double from, const std::string& cause) {
  log_.push_back({kind, updates_, from, scale_, cause});
}

void GradScaler::good_step() {
  bad_losses_ = 0;
  patience_ = options_.hysteresis;
  if (!options_.dynamic || ++good_ < options_.growth_interval) return;
  good_ = 0;
  const double from = scale_, next = scale_ * options_.growth;
  if (next > options_.ceiling || !is_scale(next) || next == from) return;
  scale_ = next;  // (10.7)
  add_event(ScaleEvent::Kind::grown, from, "");
}

void GradScaler::bad_step(const std::string& cause) {
  ++skipped_;
  good_ = 0;
  bad_losses_ = 0;
  if (!options_.dynamic || --patience_ > 0) return add_event(ScaleEvent::Kind::skipped, scale_, cause);
  patience_ = options_.hysteresis;
  const double from = scale_, next = scale_ * options_.backoff;
  if (next < options_.floor) {
    add_event(ScaleEvent::Kind::skipped, scale_, cause);
    ++updates_;
    throw ValueError(fmt::format(
        "GradScaler: the scale is {} and {}; expected finite gradients at the floor of {}; hint: what is not finite "
        "comes from the data or the model; `Anomaly guard;` names the op",
        from, cause, options_.floor));
  }
  scale_ = next;  // (10.8)
  add_event(ScaleEvent::Kind::backed_off, from, cause);
}

void GradScaler::bad_loss() {
  ++skipped_;
  good_ = 0;
  const std::string cause = "the loss is not finite before it is scaled";
  add_event(ScaleEvent::Kind::bad_loss, scale_, cause);
  if (++bad_losses_ < options_.bad_losses) return;
  bad_losses_ = 0;
  ++updates_;
  throw ValueError(fmt::format(
      "GradScaler: {}, {} steps in a row: no scale cures that; hint: look for NaN in the data and in the parameters; "
      "`Anomaly guard;` names the op",
      cause, options_.bad_losses));
}

// The numbers that a checkpoint holds, in one order for saving and loading.
NamedTensors GradScaler::state_dict() const {
  const std::pair<const char*, double> rows[] = {{"scale", scale_},
                                                 {"growth", options_.growth},
                                                 {"backoff", options_.backoff},
                                                 {"growth_interval", double(options_.growth_interval)},
                                                 {"good_steps", double(good_)},
                                                 {"patience", double(patience_)},
                                                 {"skipped", double(skipped_)},
                                                 {"updates", double(updates_)}};
  NamedTensors state;
  for (auto [name, value] : rows) state.emplace_back(name, raw::full({}, value, {f64, Device::cpu()}));
  return state;
}

void GradScaler::load_state_dict(const NamedTensors& state) {
  if (!seen_.empty())
    throw GradError("GradScaler: load_state_dict() in the middle of an iteration; hint: call update() first");
  constexpr const char* names[] = {"scale",      "growth",   "backoff", "growth_interval",
                                   "good_steps", "patience", "skipped", "updates"};
  double v[8];
  for (int i = 0; i < 8; ++i) {
    auto it = std::find_if(state.begin(), state.end(), [&](auto& s) { return s.first == names[i]; });
    if (it == state.end())
      throw ValueError(
          fmt::format("GradScaler::load_state_dict: no entry '{}'; got {} entries", names[i], state.size()));
    v[i] = it->second.item();
    if (!(v[i] >= 0 && v[i] <= 0x1p+127))
      throw ValueError(
          fmt::format("GradScaler::load_state_dict: '{}' got {}; expected a number that is finite and not "
                      "negative",
                      names[i], v[i]));
  }
  if (state.size() != 8)
    throw ValueError(fmt::format("GradScaler::load_state_dict: got {} entries; expected 8", state.size()));
  GradScalerOptions o = options_;
  o.scale = v[0], o.growth = v[1], o.backoff = v[2];
  o.growth_interval = v[3] < 0x1p62 ? int64_t(v[3]) : 0;
  check_scaler(o);
  if (v[5] < 1 || v[5] > double(o.hysteresis) || std::max({v[4], v[6], v[7]}) >= 0x1p62)
    throw ValueError("GradScaler::load_state_dict: a count is out of range");
  options_.growth = o.growth, options_.backoff = o.backoff, options_.growth_interval = o.growth_interval;
  scale_ = o.scale, good_ = int64_t(v[4]), patience_ = int64_t(v[5]);
  skipped_ = int64_t(v[6]), updates_ = int64_t(v[7]);
}

}  // namespace ink
