// The token shift and the channel mix of RWKV.
#include "nn/ssm/rwkv/shift.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "nn/ssm/linear/heads.h"

namespace ink {

Tensor previous_tokens(const char* layer, const Tensor& x, Tensor& last) {
  const Shape expected{x.size(0), 1, x.size(2)};
  if (last.defined() && !(last.shape() == expected))
    throw ShapeError(
        fmt::format("{}: wrong state; got a last token {}; expected {}", layer, last.shape().str(), expected.str()));
  const Tensor all = cat({last.defined() ? last : zeros(expected, x.options()), x}, 1);
  last = all.narrow(1, x.size(1), 1).clone();  // a view would keep all tokens alive
  return all.narrow(1, 0, x.size(1));
}

Tensor channel_ramp(int64_t dim, double power) {
  std::vector<float> ramp;
  for (int64_t i = 0; i < dim; ++i) ramp.push_back(float(std::pow(double(i) / double(dim), power)));
  return from_data(std::span<const float>(ramp), {dim}).to(default_device());
}

Linear zero_linear(int64_t in, int64_t out) {
  Linear layer(in, out, {.bias = false});
  NoGrad guard;
  layer.weight.zero_();
  return layer;
}

static RwkvChannelMixOptions checked_channel_mix(RwkvChannelMixOptions o) {
  if (o.dim < 1 || o.hidden < 0)
    throw ValueError(fmt::format(
        "RwkvChannelMix: got dim {}, hidden {}; expected positive sizes, or hidden 0 for 4 dim", o.dim, o.hidden));
  if (o.hidden == 0) o.hidden = 4 * o.dim;
  return o;
}

RwkvChannelMix::RwkvChannelMix(const RwkvChannelMixOptions& o)
    : options(checked_channel_mix(o)),
      mix_key(channel_ramp(o.dim, o.depth.to_last())),
      key(o.dim, options.hidden, {.bias = false}),
      value(zero_linear(options.hidden, o.dim)) {
  if (!o.gate) return;
  mix_receptance = channel_ramp(o.dim, o.depth.to_last());
  receptance = zero_linear(o.dim, o.dim);
}
Tensor RwkvChannelMix::step(const Tensor& x, State& state) const {
  check_tokens("RwkvChannelMix", x, options.dim);
  const Tensor before = previous_tokens("RwkvChannelMix", x, state.last);
  state.time += x.size(1);
  const auto shifted = [&](const Tensor& mu) { return mu * x + (1 - mu) * before; };
  const Tensor y = value.forward(square(relu(key.forward(shifted(mix_key)))));
  return receptance ? sigmoid(receptance->forward(shifted(mix_receptance))) * y : y;
}
Tensor RwkvChannelMix::forward(const Tensor& x) const {
  State fresh;
  return step(x, fresh);
}

}  // namespace ink
