// Mamba-2's block.
#include "nn/ssm/mamba2.h"

#include <fmt/format.h>

#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "nn/init.h"

namespace ink {
namespace {

const Mamba2Options& checked_mamba2(const Mamba2Options& o) {
  if (o.dim < 1 || o.state < 1 || o.expand < 1 || o.conv < 1 || o.head < 1 || o.groups < 1 || o.scan.chunk < 1 ||
      !(o.A_low > 0 && o.A_high >= o.A_low))
    throw ValueError(fmt::format(
        "Mamba2: got dim {}, state {}, expand {}, conv {}, head {}, groups {}, chunk {}, A {} to {}; expected positive "
        "numbers",
        o.dim, o.state, o.expand, o.conv, o.head, o.groups, o.scan.chunk, o.A_low, o.A_high));
  const int64_t inner = checked_product("Mamba2", o.expand, o.dim);
  checked_product("Mamba2", 8, checked_sum("Mamba2", inner, checked_product("Mamba2", o.groups, o.state)));
  if (inner % o.head || inner / o.head % o.groups)
    throw ValueError(fmt::format(
        "Mamba2: got an inner width of {}, heads of {}, {} groups; expected a head that divides the width and groups "
        "that divide the heads",
        inner, o.head, o.groups));
  return o;
}

void check_mamba2_state(const Mamba2& m, const Tensor& x, const Mamba2::State& s) {
  const Shape conv{x.size(0), m.options.conv - 1, m.conv1d.weight.size(0)},
      S{x.size(0), m.heads, m.options.state, m.options.head};
  if (s.conv.defined() == s.S.defined() && (!s.S.defined() || (s.conv.shape() == conv && s.S.shape() == S))) return;
  const auto text = [](const Tensor& t) { return t.defined() ? t.shape().str() : std::string("none"); };
  throw ShapeError(fmt::format("Mamba2::step: wrong state; got conv {}, S {}; expected {} and {}, or none of them",
                               text(s.conv), text(s.S), conv.str(), S.str()));
}

}  // namespace

Mamba2::Mamba2(const Mamba2Options& o)
    : options(checked_mamba2(o)),
      inner(o.expand * o.dim),
      heads(inner / o.head),
      in_proj(o.dim, 2 * inner + 2 * o.groups * o.state + heads, {.bias = false}),
      conv1d(inner + 2 * o.groups * o.state, o.conv),
      dt_bias(step_bias(heads, o.dt)),
      A_log(log(init::uniform({heads}, o.A_low, o.A_high))),
      D(ones({heads})),
      norm(inner, 1e-5),
      out_proj(inner, o.dim, {.bias = false}) {}

Tensor Mamba2::forward(const Tensor& x) const {
  State fresh;
  return step(x, fresh);
}

Tensor Mamba2::step(const Tensor& input, State& state) const {
  if (input.dim() != 3 || input.size(2) != options.dim)
    throw ShapeError(
        fmt::format("Mamba2: wrong input; got {}; expected [batch, time, {}]", input.shape().str(), options.dim));
  check_mamba2_state(*this, input, state);
  const int64_t batch = input.size(0), n = input.size(1), shared = options.groups * options.state;
  const std::vector<Tensor> zxd = split(in_proj.forward(input), Shape{inner, inner + 2 * shared, heads}, -1);
  const std::vector<Tensor> xbc = split(silu(conv1d.step(zxd[1], state.conv)), Shape{inner, shared, shared}, -1);
  const auto in_heads = [&](const Tensor& x) { return reshape(widened(x), {batch, n, heads, options.head}); };
  const auto in_groups = [&](const Tensor& x) {
    return reshape(widened(x), {batch, n, options.groups, options.state});
  };
  const Tensor x = in_heads(xbc[0]);
  Tensor y = ssd({.x = x,
                  .delta = softplus(widened(zxd[2]) + widened(dt_bias)),
                  .A = -exp(widened(A_log)),
                  .B = in_groups(xbc[1]),
                  .C = in_groups(xbc[2])},
                 state.S, options.scan);
  y = reshape(y + unsqueeze(widened(D), -1) * x, {batch, n, inner}) * silu(widened(zxd[0]));
  const Tensor normed = rms_norm(reshape(y, {batch, n, options.groups, inner / options.groups}), {}, norm.eps);
  state.time += n;
  return out_proj.forward((reshape(normed, {batch, n, inner}) * widened(norm.weight)).to(xbc[0].dtype()));
}

}  // namespace ink
