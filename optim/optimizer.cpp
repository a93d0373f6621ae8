// What optimizers share: parameter groups, steps, states that can be saved.
#include "optim/optimizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "tensor/capture.h"
#include "tensor/raw/raw.h"

namespace ink {

void check_option(const char* optimizer, const char* option, double value, double below) {
  if (value >= 0 && value < below) return;
  std::string range = below < INFINITY ? fmt::format("0 <= {} < {}", option, below) : "at least 0";
  throw ValueError(fmt::format("{}: {} got {}; expected {}", optimizer, option, value, range));
}

Optimizer::Optimizer(std::vector<std::string> slot_names) : slot_names_(std::move(slot_names)) {}
Optimizer::~Optimizer() = default;

int64_t Optimizer::num_groups() const { return int64_t(groups_.size()); }
std::vector<Optimizer::Slots>& Optimizer::group(int64_t i) { return groups_[index(i)]; }

size_t Optimizer::index(int64_t group) const {
  if (group < 0 || group >= num_groups())
    throw IndexError(fmt::format("Optimizer: group {} does not exist; expected 0 .. {}", group, num_groups() - 1));
  return size_t(group);
}

void Optimizer::add_group(const std::vector<Tensor>& params) {
  std::vector<Slots> list;
  for (const Tensor& p : params) {
    if (!p.defined() || !is_floating(p.dtype()))
      throw ValueError("Optimizer: a parameter is undefined or not floating point");
    auto same = [&](const Slots& s) { return s.param.is_same(p); };
    bool known = std::any_of(list.begin(), list.end(), same);
    for (auto& g : groups_) known |= std::any_of(g.begin(), g.end(), same);
    if (known) throw ValueError(fmt::format("Optimizer: a parameter of shape {} is listed twice", p.shape().str()));
    list.push_back({p, std::vector<Tensor>(slot_names_.size())});
  }
  groups_.push_back(std::move(list));
}

void Optimizer::check_not_empty() const {
  if (std::all_of(groups_.begin(), groups_.end(), [](auto& g) { return g.empty(); }))
    throw ValueError(
        "Optimizer: got no parameters; expected at least one; hint: does fields() of the module name its parameters?");
}

std::vector<Tensor> Optimizer::parameters() const {
  std::vector<Tensor> params;
  for (auto& g : groups_)
    for (const Slots& s : g) params.push_back(s.param);
  return params;
}

void Optimizer::zero_grad() {
  for (auto& g : groups_)
    for (Slots& s : g) s.param.zero_grad();
}

Tensor Optimizer::begin(Slots& s) {
  Tensor g = s.param.grad();
  if (!g.defined()) return {};
  const DType type = compute_type(s.param.dtype());
  for (Tensor& t : s.state) {
    if (!t.defined() && capture::active())
      throw CudaError("Optimizer: no state yet: every replay would set it to zero; hint: do one step before capturing");
    if (!t.defined()) t = raw::zeros(s.param.shape(), {type, s.param.device()});
    if (!(t.shape() == s.param.shape()))
      throw ShapeError(
          fmt::format("Optimizer: a parameter has another shape than at its first step; got {}; expected {}; hint: "
                      "make a new optimizer",
                      s.param.shape().str(), t.shape().str()));
    t = raw::cast(raw::to_device(t, s.param.device()), type);
  }
  ++s.steps;
  return raw::contiguous(raw::cast(g, type));
}

template <class F> void Optimizer::each(F f) const {
  int64_t i = 0;
  for (auto& g : groups_)
    for (auto& s : g) f(i++, s);
}

NamedTensors Optimizer::state_dict() const {
  NamedTensors state;
  each([&](int64_t i, const Slots& s) {
    state.emplace_back(fmt::format("{}.steps", i), raw::full({}, s.steps, i64));
    for (size_t k = 0; k < slot_names_.size(); ++k)
      if (s.state[k].defined()) state.emplace_back(fmt::format("{}.{}", i, slot_names_[k]), s.state[k]);
  });
  return state;
}

static Tensor find_state(const NamedTensors& state, const std::string& name) {
  auto it = std::find_if(state.begin(), state.end(), [&](auto& s) { return s.first == name; });
  return it == state.end() ? Tensor() : it->second;
}

// A copy of what the state holds for slot `name` of parameter i, as begin() wants it; undefined if there is none.
Tensor Optimizer::checked_slot(const NamedTensors& state, int64_t i, const std::string& name, const Slots& s) const {
  Tensor t = find_state(state, fmt::format("{}.{}", i, name));
  if (!t.defined()) return t;
  if (!(t.shape() == s.param.shape()))
    throw ShapeError(fmt::format("Optimizer::load_state_dict: {}.{} has another shape; got {}; expected {}", i, name,
                                 t.shape().str(), s.param.shape().str()));
  if (!is_floating(t.dtype()))
    throw DTypeError(fmt::format("Optimizer::load_state_dict: {}.{} has another dtype; got {}; expected floating point",
                                 i, name, name_of(t.dtype())));
  t = raw::clone(raw::cast(raw::to_device(t, s.param.device()), compute_type(s.param.dtype())));
  NoGrad guard;
  if (name == "v" && any(t < 0).item<bool>())
    throw ValueError(fmt::format("Optimizer::load_state_dict: {}.v, a mean of squares, has negative elements", i));
  return t;
}

PreparedState Optimizer::prepare_state(const NamedTensors& state) {
  std::vector<Slots> fresh;
  size_t used = 0;
  each([&](int64_t i, const Slots& s) {
    const std::string steps = fmt::format("{}.steps", i);
    if (!find_state(state, steps).defined())
      throw ValueError(
          fmt::format("Optimizer::load_state_dict: no state of parameter {}; got {} entries", i, state.size()));
    Slots next{s.param, {}, state_steps(state, steps)};
    size_t slots = 0;
    for (const std::string& name : slot_names_) {
      next.state.push_back(checked_slot(state, i, name, s));
      slots += next.state.back().defined();
    }
    if (slots < slot_names_.size() && (slots > 0 || next.steps > 0))
      throw ValueError(fmt::format("Optimizer::load_state_dict: parameter {} has made {} steps; got {} of {} entries",
                                   i, next.steps, slots, slot_names_.size()));
    used += 1 + slots;
    fresh.push_back(std::move(next));
  });
  if (used != state.size())
    throw ValueError(
        fmt::format("Optimizer::load_state_dict: {} entries do not belong to this optimizer", state.size() - used));
  return prepared_state([this, fresh = std::move(fresh)]() mutable {
    size_t i = 0;
    for (auto& g : groups_)
      for (Slots& s : g) s = std::move(fresh[i++]);
  });
}

}  // namespace ink
