// Checks and starts that the time-invariant layers share.
#include "nn/ssm/s4/lti_layer.h"
#include "autograd/ops.h"
#include "autograd/ops/halves.h"

#include <fmt/format.h>

#include <cmath>

#include "nn/init.h"

namespace ink {

void check_lti_sizes(const char* layer, int64_t dim, int64_t state, double step_min, double step_max) {
  if (dim < 1 || state < 1)
    throw ValueError(fmt::format("{}: got dim {}, state {}; expected positive sizes", layer, dim, state));
  if (!(step_min > 0) || !(step_max >= step_min) || !std::isfinite(step_max))
    throw ValueError(fmt::format("{}: got step sizes from {} to {}; expected 0 < step_min <= step_max, finite", layer,
                                 step_min, step_max));
}
void check_rate(const char* layer, double rate) {
  if (!(rate > 0) || !std::isfinite(rate))
    throw ValueError(
        fmt::format("{}: got a rate of {}; expected a positive, finite factor on the step size", layer, rate));
}
void check_length(const char* layer, int64_t length) {
  if (length < 0) throw ValueError(fmt::format("{}::kernel: got a length of {}; expected at least 0", layer, length));
}
void check_lti_input(const char* layer, const Tensor& x, int64_t dim) {
  if (x.dim() != 3 || x.size(2) != dim)
    throw ShapeError(fmt::format("{}: wrong input; got {}; expected [batch, time, {}]", layer, x.shape().str(), dim));
  if (!is_floating(x.dtype()))
    throw DTypeError(fmt::format("{}: got {}; expected a real floating point dtype", layer, name_of(x.dtype())));
}
void check_lti_state(const char* layer, const Tensor& x, const Shape& expected, const Options& options) {
  if (!x.defined()) return;
  if (x.shape() != expected)
    throw ShapeError(
        fmt::format("{}: wrong state; got {}; expected {}; hint: a state belongs to one layer and one batch", layer,
                    x.shape().str(), expected.str()));
  if (x.dtype() != options.dtype)
    throw DTypeError(fmt::format("{}: wrong state; got {}; expected {}; hint: a state belongs to one layer", layer,
                                 name_of(x.dtype()), name_of(options.dtype)));
}

Tensor starting_log_steps(int64_t dim, double step_min, double step_max) {
  return init::uniform({dim}, std::log(step_min), std::log(step_max));
}

Tensor pairs_as_complex(const Tensor& parts) { return view_as_complex(widened(parts)); }

Tensor with_skip(const Tensor& x, const Tensor& D, FunctionRef<Tensor(const Tensor&)> f) {
  if (x.size(1) == 0) return x;
  const Tensor u = widened(x);
  return to(f(u) + widened(D) * u, x.dtype());
}

}  // namespace ink
