// The selective state space model: by the fused op, as a scan over all states, and token by token.
#include "nn/ssm/selective.h"

#include <fmt/format.h>

#include <tuple>
#include <vector>

#include "autograd/ops.h"
#include "autograd/ops/halves.h"

namespace ink {
namespace {

// e^{delta A} and delta B x of all steps, [batch, time, channels, states].
struct SelectiveSteps {
  Tensor decay, input;
};
SelectiveSteps selective_steps(const SelectiveInputs& in) {
  const Tensor delta = unsqueeze(in.delta, -1);
  return {exp(delta * in.A), unsqueeze(in.delta * in.x, -1) * unsqueeze(in.B, 2)};  // (9.51)
}

Tensor selective_by_scan(const SelectiveInputs& in, Tensor& h, ScanAlgorithm algorithm) {
  const SelectiveSteps s = selective_steps(in);
  const Tensor all = linear_recurrence(s.decay, s.input, 1, {.start = h, .algorithm = algorithm});
  h = select(all, 1, -1).clone();
  return sum(all * unsqueeze(in.C, 2), -1);  // (9.51)
}

Tensor selective_by_token(const SelectiveInputs& in, Tensor& h) {
  std::vector<Tensor> rows;
  for (int64_t t = 0; t < in.x.size(1); ++t) {
    const auto now = [&](const Tensor& x) { return x.narrow(1, t, 1); };
    const SelectiveSteps s = selective_steps({now(in.x), now(in.delta), in.A, now(in.B), now(in.C)});
    h = select(s.decay, 1, 0) * h + select(s.input, 1, 0);  // (9.51)
    rows.push_back(sum(h * unsqueeze(select(in.C, 1, t), 1), -1));
  }
  return stack(rows, 1);
}

}  // namespace

Tensor selective_ssm(const SelectiveInputs& in, Tensor& h, const SelectiveOptions& options) {
  DType result = in.x.dtype();
  for (const Tensor* x : {&in.delta, &in.A, &in.B, &in.C}) result = promote(result, x->dtype());
  const auto wide = [&](const Tensor& x) { return x.defined() ? to(x, is_half(result) ? f32 : result) : x; };
  const SelectiveInputs w{wide(in.x), wide(in.delta), wide(in.A), wide(in.B), wide(in.C)};
  // The op checks all shapes: of no steps, if another form goes through them.
  const bool fused = options.form == SelectiveForm::fused || in.x.dim() != 3 || in.x.size(1) == 0;
  const auto cut = [&](const Tensor& x) { return fused || x.dim() != 3 || x.size(1) == 0 ? x : x.narrow(1, 0, 0); };
  auto [y, last] = selective_scan(cut(w.x), cut(w.delta), w.A, cut(w.B), cut(w.C), wide(h));
  h = last;
  if (!fused)
    y = options.form == SelectiveForm::recurrent ? selective_by_token(w, h)
                                                 : selective_by_scan(w, h, options.algorithm);
  return to(y, result);
}

}  // namespace ink
