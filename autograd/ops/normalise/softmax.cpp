// softmax and its relatives. Their gradients in public ops, used while a higher derivative is recorded:
//   softmax      dx = y (g - sum g y)
//   log_softmax  dx = g - e^y sum g
//   logsumexp    dx = g e^(x - y)
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "autograd/observe/cost.h"
#include "autograd/ops/halves.h"
#include "autograd/ops/reduce/reduced.h"
#include "tensor/raw/normalise.h"

namespace ink {

using B = const Backward&;
using raw::SoftmaxForm;

static Tensor softmax_rule(B b) {
  const SoftmaxForm& form = b.context<SoftmaxForm>();
  Tensor g = b.grad(), y = b.out();
  if (!grad_enabled()) return raw::softmax_backward("softmax", g, y, form);
  if (form.log) return g - exp(y) * sum(g, form.dim, true);
  return y * (g - sum(g * y, form.dim, true));
}

// For each element: the maximum, the difference from it, exp, the sum, and the division (or the difference from the
// logarithm).
static constexpr Flops softmax_flops = flops_per_input<5>;
// The same over what the queries see.
static double causal_flops(const Call& c) {
  const Tensor& scores = c.in(0);
  const int64_t queries = scores.size(-2), keys = scores.size(-1),
                matrices = scores.numel() / std::max<int64_t>(queries * keys, 1);
  return 5 * double(matrices) * pairs_in_band({0, queries, 0, keys}, -queries, keys - queries);
}

Tensor softmax(const Tensor& x, int64_t dim) {
  static constexpr Op op{
      .name = "softmax", .rules = {{softmax_rule, kOut0}}, .cast = Cast::raise, .flops = softmax_flops};
  SoftmaxForm form{wrap_dim("softmax", dim, x.dim())};
  return call(
      op, form, [&](const Tensor& x) { return raw::softmax("softmax", x, form); }, x);
}

Tensor log_softmax(const Tensor& x, int64_t dim) {
  static constexpr Op op{
      .name = "log_softmax", .rules = {{softmax_rule, kOut0}}, .cast = Cast::raise, .flops = softmax_flops};
  SoftmaxForm form{wrap_dim("log_softmax", dim, x.dim()), true};
  return call(
      op, form, [&](const Tensor& x) { return raw::softmax("log_softmax", x, form); }, x);
}

Tensor causal_softmax(const Tensor& scores) {
  static constexpr Op op{
      .name = "causal_softmax", .rules = {{softmax_rule, kOut0}}, .cast = Cast::raise, .flops = causal_flops};
  if (scores.dim() < 2)
    throw ShapeError(
        fmt::format("causal_softmax: too few dims; got {}; expected [..., queries, keys]", scores.shape().str()));
  SoftmaxForm form{scores.dim() - 1, false, true};
  return call(
      op, form, [&](const Tensor& x) { return raw::softmax("causal_softmax", x, form); }, scores);
}

// log sum e^x = m + log sum e^(x - m) with m = max x, or 0 where that is infinite: then e^(x - m) cannot be inf / inf.
static Tensor stable_logsumexp(const Tensor& x, const Dims& dims, bool keepdim) {
  if (x.numel() == 0) {  // of nothing: log 0
    Tensor y = raw::reduce<fn::Sum>("logsumexp", x, dims, keepdim);
    raw::fill(y, -std::numeric_limits<double>::infinity());
    return y;
  }
  NoGrad guard;
  Tensor m = max(x, dims, true);
  m = where(isinf(m), zeros_like(m), m);
  Tensor y = log(sum(exp(x - m), dims, true)) + m;
  return keepdim ? y : raw::reshape(y, squeezed_shape(reduced("logsumexp", x, dims)));
}

// A row of -inf has y = -inf and gradient 0
static Tensor logsumexp_rule(B b) {
  const Reduced& r = b.context<Reduced>();
  Tensor y = with_kept_dims(b.out(), r);
  Tensor safe = where(y == -std::numeric_limits<double>::infinity(), zeros_like(y), y);
  return with_kept_dims(b.grad(), r) * exp(b.in(0) - safe);
}
Tensor logsumexp(const Tensor& x, const Dims& dims, bool keepdim) {
  static constexpr Op op{.name = "logsumexp",
                         .rules = {{logsumexp_rule, kIn0 | kOut0}},
                         .cast = Cast::raise,
                         .flops = flops_per_input<1>};  // the maximum; the rest are ops of their own
  DType t = raw::computed_in("logsumexp", x.dtype(), kFloat);
  auto forward = [&](const Tensor& x) { return stable_logsumexp(raw::cast(x, compute_type(t)), dims, keepdim); };
  return in_f32_if_half([&](const Tensor& x) { return call(op, reduced("logsumexp", x, dims), forward, x); }, x);
}

}  // namespace ink
