// Clipping gradients by their common norm or by value.
#include "optim/clip.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "tensor/raw/raw.h"

namespace ink {
namespace {
// Says in the gradients' storage who wrote last, also where nothing had to be changed: a loss scaler then knows that
// they were looked at.
struct MarkClipped {
  const std::vector<Tensor>& params;
  const char* op;
  ~MarkClipped() {
    for (const Tensor& p : params)
      if (Tensor g = p.grad(); g.defined()) raw::bump_version(g, op);
  }
};
}  // namespace

double clip_grad_norm_(const std::vector<Tensor>& params, double max_norm, bool strict) {
  if (!(max_norm >= 0))
    throw ValueError(fmt::format("clip_grad_norm_: max_norm got {}; expected at least 0", max_norm));
  NoGrad guard;
  const MarkClipped mark{params, "clip_grad_norm_"};
  double total = 0;
  for (const Tensor& p : params)  // a norm of halves may be too large for one
    if (Tensor g = p.grad(); g.defined()) total = std::hypot(total, norm(to(g, compute_type(g.dtype()))).item());
  if (!std::isfinite(total)) {
    if (strict) throw ValueError(fmt::format("clip_grad_norm_: the norm of the gradients is {}", total));
    return total;
  }
  if (total > max_norm)
    for (const Tensor& p : params)
      if (Tensor g = p.grad(); g.defined()) g.mul_(Scalar(max_norm / (total + 1e-6)));  // (0.18)
  return total;
}

void clip_grad_value_(const std::vector<Tensor>& params, double limit) {
  if (!(limit >= 0)) throw ValueError(fmt::format("clip_grad_value_: the limit must not be negative; got {}", limit));
  NoGrad guard;
  const MarkClipped mark{params, "clip_grad_value_"};
  for (const Tensor& p : params)
    if (Tensor g = p.grad(); g.defined()) g.copy_(clamp(g, -limit, limit));
}

}  // namespace ink
