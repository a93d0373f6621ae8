// The causal convolution: what came before is put in front, and one group for each channel.
#include "nn/ssm/causal_conv.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/ops.h"
#include "nn/init.h"

namespace ink {
namespace {

void check_causal_conv(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& tail) {
  const bool dims = x.dim() == 3 && weight.dim() == 3 && weight.size(1) == 1 && weight.size(0) == x.size(2);
  if (!dims || weight.size(2) < 1 || (bias.defined() && !(bias.shape() == Shape{x.size(2)})))
    throw ShapeError(
        fmt::format("causal_conv: shapes do not fit; got x {}, weight {}, bias {}; expected [batch, time, channels], "
                    "[channels, 1, width], [channels]",
                    x.shape().str(), weight.shape().str(), bias.defined() ? bias.shape().str() : "none"));
  const Shape expected{x.size(0), weight.size(2) - 1, x.size(2)};
  if (tail.defined() && !(tail.shape() == expected))
    throw ShapeError(
        fmt::format("causal_conv: wrong state; got a tail {}; expected {}", tail.shape().str(), expected.str()));
}

}  // namespace

Tensor causal_conv(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& tail) {
  check_causal_conv(x, weight, bias, tail);
  const int64_t n = x.size(1), width = weight.size(2);
  const Tensor before = tail.defined() ? tail : zeros({x.size(0), width - 1, x.size(2)}, x.options());
  const Tensor all = cat({before, x}, 1);
  tail = all.narrow(1, n, width - 1).clone();  // a view would keep all inputs alive
  if (n == 0) return x;
  const auto channels_first = [](const Tensor& x) { return transpose(x, 1, 2); };
  return channels_first(conv1d(channels_first(all), weight, bias, {.groups = x.size(2)}));  // (9.52)
}

static Tensor starting_taps(int64_t channels, int64_t width) {
  if (channels < 1 || width < 1)
    throw ValueError(fmt::format("CausalConv: got {} channels, width {}; expected positive sizes", channels, width));
  return init::kaiming_uniform({channels, 1, width});
}
CausalConv::CausalConv(int64_t channels, int64_t width, bool with_bias) : weight(starting_taps(channels, width)) {
  const double bound = 1 / std::sqrt(double(width));
  if (with_bias) bias = init::uniform({channels}, -bound, bound);
}
Tensor CausalConv::forward(const Tensor& x) const {
  Tensor tail;
  return causal_conv(x, weight, bias, tail);
}
Tensor CausalConv::step(const Tensor& x, State& state) const {
  Tensor y = causal_conv(x, weight, bias, state.tail);
  state.time += x.size(1);
  return y;
}

}  // namespace ink
