// Master weights, and rounding by chance.
#include "optim/precision/master_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "tensor/raw/raw.h"

namespace ink {

Tensor round_stochastic(const Tensor& x, DType dtype, Generator* generator) {
  if (x.dtype() != f32 || !is_half(dtype))
    throw DTypeError(
        fmt::format("round_stochastic: got {} to {}; expected f32 to f16 or bf16", name_of(x.dtype()), name_of(dtype)));
  NoGrad guard;
  const int fraction_bits = dtype == f16 ? 10 : 7;
  const double smallest = dtype == f16 ? 0x1p-24 : 0x1p-133;
  const Tensor nearest = to(to(x, dtype), f32), rest = x - nearest;  // exact: less than half a spacing
  // The neighbour on x's side: 0.7 to 1.4 spacings beyond `nearest`, rounded again. (Below a power of two spacings are
  // half as wide, and 0.7 of the wide one is still nearer to the first neighbour than to the second.)
  const Tensor beyond = maximum(abs(nearest) * std::ldexp(0.7, -fraction_bits), full({}, 0.7 * smallest, x.options()));
  const Tensor neighbour = to(to(nearest + sign(rest) * beyond, dtype), f32);
  // NaN where x is in the format, or infinite: then `nearest` stays
  const Tensor share = abs(rest) / abs(neighbour - nearest);  // (10.9)
  const Tensor draw = rand(x.shape(), x.options(), generator);
  return to(where(logical_and(draw < share, isfinite(neighbour)), neighbour, nearest), dtype);
}

MasterWeights::MasterWeights(const std::vector<Tensor>& params) : params_(params) {
  if (params_.empty())
    throw ValueError("MasterWeights: got no parameters; hint: does fields() of the module name its parameters?");
  for (const Tensor& p : params_) {
    if (!p.defined() || !is_floating(p.dtype()))
      throw ValueError("MasterWeights: a parameter is undefined or not floating point");
    masters_.push_back(is_half(p.dtype()) ? raw::cast(p, f32).requires_grad_() : p);
  }
}

void MasterWeights::collect() {
  NoGrad guard;
  for (size_t i = 0; i < params_.size(); ++i) {
    const Tensor g = params_[i].grad();
    if (masters_[i].is_same(params_[i]) || !g.defined()) continue;
    const Tensor wide = raw::cast(g, f32), before = masters_[i].grad();
    masters_[i].set_grad(before.defined() ? before + wide : wide);
    params_[i].zero_grad();
  }
}

void MasterWeights::publish(Rounding rounding, Generator* generator) {
  NoGrad guard;
  for (size_t i = 0; i < params_.size(); ++i) {
    Tensor p = params_[i];
    if (masters_[i].is_same(p)) continue;
    p.copy_(rounding == Rounding::stochastic ? round_stochastic(masters_[i].detach(), p.dtype(), generator)
                                             : raw::cast(masters_[i].detach(), p.dtype()));
  }
}

NamedTensors MasterWeights::state_dict() const {
  NamedTensors state;
  for (size_t i = 0; i < masters_.size(); ++i) state.emplace_back(std::to_string(i), masters_[i].detach());
  return state;
}

void MasterWeights::load_state_dict(const NamedTensors& state) {
  std::vector<Tensor> fresh;
  for (size_t i = 0; i < masters_.size(); ++i) {
    auto it = std::find_if(state.begin(), state.end(), [&](auto& s) { return s.first == std::to_string(i); });
    if (it == state.end())
      throw ValueError(fmt::format("MasterWeights::load_state_dict: no entry '{}'; got {} entries", i, state.size()));
    if (!(it->second.shape() == masters_[i].shape()))
      throw ShapeError(fmt::format("MasterWeights::load_state_dict: entry {} has another shape; got {}; expected {}", i,
                                   it->second.shape().str(), masters_[i].shape().str()));
    fresh.push_back(it->second);
  }
  if (state.size() != masters_.size())
    throw ValueError(
        fmt::format("MasterWeights::load_state_dict: got {} entries; expected {}", state.size(), masters_.size()));
  NoGrad guard;
  for (size_t i = 0; i < masters_.size(); ++i) masters_[i].copy_(fresh[i]);
  publish();
}

}  // namespace ink
