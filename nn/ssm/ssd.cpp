// SSD as a matrix state.
#include "nn/ssm/ssd.h"

#include <fmt/format.h>

#include "autograd/ops.h"
#include "autograd/ops/halves.h"

namespace ink {

static void check_ssd(const SsdInputs& in, const Tensor& state) {
  const Shape x = in.x.shape(), b = in.B.shape();
  const bool fits = in.x.dim() == 4 && in.B.dim() == 4 && in.A.shape() == Shape{x[2]} &&
                    in.delta.shape() == Shape{x[0], x[1], x[2]} && in.C.shape() == b && b[0] == x[0] && b[1] == x[1] &&
                    b[2] > 0 && x[2] % b[2] == 0 &&
                    (!state.defined() || state.shape() == Shape{x[0], x[2], b[3], x[3]});
  if (!fits)
    throw ShapeError(fmt::format(
        "ssd: shapes do not fit; got x {}, delta {}, A {}, B {}, C {}, state {}; expected [batch, time, heads, width], "
        "[batch, time, heads], [heads], twice [batch, time, groups, states] with groups that divide the heads, state "
        "[batch, heads, states, width]",
        x.str(), in.delta.shape().str(), in.A.shape().str(), b.str(), in.C.shape().str(),
        state.defined() ? state.shape().str() : "none"));
}

Tensor ssd(const SsdInputs& in, Tensor& state, const MatrixStateOptions& options) {
  check_ssd(in, state);
  DType result = in.x.dtype();
  for (const Tensor* x : {&in.delta, &in.A, &in.B, &in.C}) result = promote(result, x->dtype());
  const auto wide = [&](const Tensor& x) { return to(x, is_half(result) ? f32 : result); };
  const Tensor delta = wide(in.delta);
  const auto heads_first = [](const Tensor& x) { return transpose(x, 1, 2); };  // [batch, heads, time, ..]
  const auto of_heads = [&](const Tensor& x) {
    return heads_first(repeat_interleave(wide(x), in.x.size(2) / in.B.size(2), 2));
  };
  const Tensor y = matrix_state({.q = of_heads(in.C),
                                 .k = of_heads(in.B),
                                 .v = heads_first(unsqueeze(delta, -1) * wide(in.x)),
                                 .log_decay = heads_first(delta * wide(in.A)),
                                 .erase = {},
                                 .read = {}},
                                state, options);  // (9.60)
  return to(heads_first(y), result);
}

}  // namespace ink
