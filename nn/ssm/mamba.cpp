// Mamba's block: what is projected from the token, the selective scan, skip and gate.
#include "nn/ssm/mamba.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "nn/init.h"

namespace ink {

Tensor step_bias(int64_t count, const StepRange& r) {
  if (!(r.low > 0 && r.high >= r.low && r.floor > 0 && std::isfinite(r.high) && std::isfinite(r.floor)))
    throw ValueError(fmt::format("step_bias: got steps from {} to {}, floor {}; expected positive ones, low to high",
                                 r.low, r.high, r.floor));
  const Tensor delta = clamp(exp(init::uniform({count}, std::log(r.low), std::log(r.high))), r.floor);
  return delta + log(-expm1(-delta));  // softplus^{-1} without loss for small steps
}

namespace {

const MambaOptions& checked_mamba(const MambaOptions& o) {
  if (o.dim < 1 || o.state < 1 || o.expand < 1 || o.conv < 1 || o.dt_rank < 0)
    throw ValueError(fmt::format(
        "Mamba: got dim {}, state {}, expand {}, conv {}, dt_rank {}; expected positive sizes (dt_rank: or 0)", o.dim,
        o.state, o.expand, o.conv, o.dt_rank));
  return o;
}

// From one to `states`, the same in every channel: S4D-Real (Gu et al. 2022).
Tensor s4d_real(int64_t channels, int64_t states) {
  return log(expand(arange(1, states + 1, 1, f32), {channels, states})).clone();
}

void check_mamba_state(const Mamba& m, const Tensor& x, const Mamba::State& s) {
  const Shape conv{x.size(0), m.options.conv - 1, m.inner}, h{x.size(0), m.inner, m.options.state};
  const bool fits =
      s.conv.defined() == s.h.defined() && (!s.h.defined() || (s.conv.shape() == conv && s.h.shape() == h));
  if (!fits)
    throw ShapeError(fmt::format("Mamba::step: wrong state; got conv {}, h {}; expected {} and {}, or none of them",
                                 s.conv.defined() ? s.conv.shape().str() : "none",
                                 s.h.defined() ? s.h.shape().str() : "none", conv.str(), h.str()));
}

}  // namespace

Mamba::Mamba(const MambaOptions& o)
    : options(checked_mamba(o)),
      inner(o.expand * o.dim),
      rank(o.dt_rank ? o.dt_rank : (o.dim + 15) / 16),
      in_proj(o.dim, 2 * inner, {.bias = false}),
      conv1d(inner, o.conv),
      A_log(s4d_real(inner, o.state)),
      D(ones({inner})),
      out_proj(inner, o.dim, {.bias = false}) {
  const Selection& s = o.selection;
  const int64_t projected = s.delta * rank + (int64_t(s.B) + s.C) * o.state;
  if (projected) x_proj.emplace(inner, projected, LinearOptions{.bias = false});
  if (s.delta) {
    dt_proj.emplace(rank, inner);
    const double bound = 1 / std::sqrt(double(rank));
    dt_proj->weight = init::uniform({inner, rank}, -bound, bound);
    dt_proj->bias = step_bias(inner, o.dt);
  } else {
    dt_bias = step_bias(inner, o.dt);
  }
  if (!s.B) B = ones({o.state});
  if (!s.C) C = init::normal({o.state}, 1);
}

SelectiveInputs Mamba::select_from(const Tensor& x) const {
  const Selection& s = options.selection;
  Shape widths;
  for (auto [selected, width] : {std::pair(s.delta, rank), {s.B, options.state}, {s.C, options.state}})
    if (selected) widths.push_back(width);
  const std::vector<Tensor> parts = x_proj ? split(x_proj->forward(x), widths, -1) : std::vector<Tensor>();
  auto next = parts.begin();
  const auto same = [&](const Tensor& value) {  // at every step
    return expand(widened(value), {x.size(0), x.size(1), value.size(0)});
  };
  SelectiveInputs in{.x = widened(x), .delta = {}, .A = -exp(widened(A_log)), .B = {}, .C = {}};
  in.delta = s.delta ? widened(linear(*next++, dt_proj->weight)) + widened(dt_proj->bias) : same(dt_bias);
  in.delta = softplus(in.delta);  // (9.58)
  in.B = s.B ? widened(*next++) : same(B);
  in.C = s.C ? widened(*next++) : same(C);
  return in;
}

Tensor Mamba::scan_input(const Tensor& x) const {
  return silu(conv1d.forward(in_proj.forward(x).narrow(-1, 0, inner)));
}

Tensor Mamba::forward(const Tensor& x) const {
  State fresh;
  return step(x, fresh);
}

Tensor Mamba::step(const Tensor& input, State& state) const {
  if (input.dim() != 3 || input.size(2) != options.dim)
    throw ShapeError(
        fmt::format("Mamba: wrong input; got {}; expected [batch, time, {}]", input.shape().str(), options.dim));
  check_mamba_state(*this, input, state);
  const std::vector<Tensor> xz = split(in_proj.forward(input), inner, -1);
  const Tensor x = silu(conv1d.step(xz[0], state.conv));
  const SelectiveInputs in = select_from(x);
  const Tensor y = selective_ssm(in, state.h, options.scan) + widened(D) * in.x;  // (9.59)
  state.time += input.size(1);
  return out_proj.forward((y * silu(widened(xz[1]))).to(x.dtype()));
}

void Mamba::fields(Fields& f) {
  f("in_proj", in_proj)("conv1d", conv1d)("x_proj", x_proj)("dt_proj", dt_proj);
  f("dt_bias", dt_bias)("B", B)("C", C)("A_log", A_log)("D", D)("out_proj", out_proj);
}

}  // namespace ink
