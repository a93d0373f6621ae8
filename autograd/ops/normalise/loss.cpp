// Losses. All but cross entropy are compositions; each gives one value per element (or row), then reduces it.
#include <fmt/format.h>

#include "autograd/observe/cost.h"
#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "tensor/raw/index.h"
#include "tensor/raw/normalise.h"

namespace ink {

using B = const Backward&;

namespace {

Tensor reduce(const Tensor& losses, Reduction reduction) {
  if (reduction == Reduction::none) return losses;
  return reduction == Reduction::sum ? sum(losses) : mean(losses);
}

void check_pair(const char* op, const Tensor& x, const Tensor& target) {
  if (!(x.shape() == target.shape()))
    throw ShapeError(fmt::format("{}: input and target differ in shape; got {} and {}; hint: expand one on purpose", op,
                                 x.shape().str(), target.shape().str()));
}

// Class targets i64 [n] of scores [n, classes], and which of them count.
struct Targets {
  Tensor index;   // i64 [n]
  Tensor counts;  // bool [n]
};
Targets check_targets(const char* op, const Tensor& scores, const Tensor& target, int64_t ignore_index) {
  NoGrad guard;
  if (scores.dim() != 2 || !(target.shape() == Shape{scores.size(0)}))
    throw ShapeError(
        fmt::format("{}: got {} and target {}; expected [n, classes] and [n]; hint: flatten the leading dims", op,
                    scores.shape().str(), target.shape().str()));
  raw::check_domain(op, target.dtype(), kInt);
  Tensor index = raw::checked_index({op, scores.size(1), false, true, ignore_index}, to(target, i64));
  return {index, index != ignore_index};
}

// The mean runs over the targets that count; it is NaN if none does, as in torch.
Tensor reduce(const Tensor& losses, Reduction reduction, const Targets& targets) {
  return reduction == Reduction::mean ? sum(losses) / to(count_nonzero(targets.counts), losses.dtype())
                                      : reduce(losses, reduction);
}

// dz = g (softmax(z) - q), where q holds 1 - s at the target and s / classes everywhere (Szegedy et al. 2016, sec. 7).
Tensor cross_entropy_rule(B b) {
  const CrossEntropyArgs& a = b.context<CrossEntropyArgs>();
  Tensor g = b.grad(), z = b.in(0), target = b.in(1);
  if (!grad_enabled()) return raw::cross_entropy_backward("cross_entropy", a, g, z, b.out(1), target);
  Tensor counts = target != a.ignore_index;
  Tensor labels = to(one_hot(where(counts, target, zeros_like(target)), a.classes), z.dtype());
  Tensor q = labels * (1 - a.label_smoothing) + a.label_smoothing / double(a.classes);
  return unsqueeze(where(counts, g, zeros_like(g)), 1) * (softmax(z, 1) - q);  // (0.6)
}

// For each logit: the maximum, the difference from it, exp and the sum; with label smoothing the sum of the logits too.
double cross_entropy_flops(const Call& c) {
  return double(c.in(0).numel()) * (c.context<CrossEntropyArgs>().label_smoothing > 0 ? 5 : 4);
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Tensor& target, const CrossEntropyOptions& options) {
  static constexpr Op op{.name = "cross_entropy",
                         .rules = {{cross_entropy_rule, kIn0 | kIn1 | kOut1}},
                         .cast = Cast::raise,
                         .flops = cross_entropy_flops};
  Targets targets = check_targets("cross_entropy", logits, target, options.ignore_index);
  if (!(options.label_smoothing >= 0 && options.label_smoothing <= 1))
    throw ValueError(fmt::format("cross_entropy: label_smoothing got {}; expected 0 .. 1", options.label_smoothing));
  CrossEntropyArgs args{f32, logits.size(0), logits.size(1), options.ignore_index, options.label_smoothing};
  auto forward = [&](const Tensor& z, const Tensor& t) { return raw::cross_entropy("cross_entropy", args, z, t); };
  auto loss = [&](const Tensor& logits) {
    return reduce(call(op, args, forward, logits, targets.index)[0], options.reduction, targets);
  };
  return in_f32_if_half(loss, logits);
}

Tensor nll_loss(const Tensor& log_probs, const Tensor& target, Reduction reduction) {
  const int64_t ignore_index = CrossEntropyOptions{}.ignore_index;
  Targets targets = check_targets("nll_loss", log_probs, target, ignore_index);
  Tensor index = where(targets.counts, targets.index, zeros_like(targets.index));
  auto loss = [&](const Tensor& log_probs) {
    Tensor losses = -squeeze(gather(log_probs, 1, unsqueeze(index, 1)), 1);
    return reduce(where(targets.counts, losses, zeros_like(losses)), reduction, targets);
  };
  return in_f32_if_half(loss, log_probs);
}

Tensor mse_loss(const Tensor& x, const Tensor& target, Reduction reduction) {
  check_pair("mse_loss", x, target);
  return in_f32_if_half([&](const Tensor& x, const Tensor& t) { return reduce(square(x - t), reduction); }, x, target);
}

Tensor l1_loss(const Tensor& x, const Tensor& target, Reduction reduction) {
  check_pair("l1_loss", x, target);
  return in_f32_if_half([&](const Tensor& x, const Tensor& t) { return reduce(abs(x - t), reduction); }, x, target);
}

// d^2 / 2 up to |d| = delta, from there the tangent line delta (|d| - delta / 2) (Huber 1964).
Tensor huber_loss(const Tensor& x, const Tensor& target, double delta, Reduction reduction) {
  check_pair("huber_loss", x, target);
  if (!(delta > 0)) throw ValueError(fmt::format("huber_loss: delta got {}; expected a positive number", delta));
  auto loss = [&](const Tensor& x, const Tensor& t) {
    Tensor d = abs(x - t), near = clamp(d, {}, delta);  // near (d - near / 2) is both
    return reduce(near * (d - near * 0.5), reduction);
  };
  return in_f32_if_half(loss, x, target);
}

Tensor binary_cross_entropy(const Tensor& p, const Tensor& target, Reduction reduction) {
  check_pair("binary_cross_entropy", p, target);
  if (mode().observers & kAutocast)
    throw NotSupported(
        "binary_cross_entropy: probabilities in halves are 0 or 1 too early, so autocast refuses it; "
        "hint: binary_cross_entropy_with_logits, without the sigmoid");
  // log x, at least -100; without an infinite slope at 0
  auto bounded = [](const Tensor& at_zero, const Tensor& log_x) {
    return where(at_zero, full({}, -100, log_x.options()), clamp(log_x, -100, {}));
  };
  auto loss = [&](const Tensor& p, const Tensor& t) {
    const Tensor never = p == 0, always = p == 1;
    const Tensor log_p = bounded(never, log(masked_fill(p, never, 1))),
                 log_q = bounded(always, log1p(-masked_fill(p, always, 0)));
    return reduce(-(t * log_p + (1 - t) * log_q), reduction);
  };
  return in_f32_if_half(loss, p, target);
}

// -t log sigmoid(x) - (1 - t) log(1 - sigmoid(x)) = softplus(x) - t x
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target, Reduction reduction) {
  check_pair("binary_cross_entropy_with_logits", logits, target);
  return in_f32_if_half([&](const Tensor& z, const Tensor& t) { return reduce(softplus(z) - t * z, reduction); },
                        logits, target);
}

// p (log p - log q), which is 0 where p is 0.
Tensor kl_div(const Tensor& log_q, const Tensor& p, Reduction reduction) {
  check_pair("kl_div", log_q, p);
  auto loss = [&](const Tensor& log_q, const Tensor& p) {
    Tensor positive = p > 0, zero = zeros_like(p);
    Tensor log_ratio = log(where(positive, p, ones_like(p))) - where(positive, log_q, zero);
    return reduce(p * log_ratio, reduction);
  };
  return in_f32_if_half(loss, log_q, p);
}

}  // namespace ink
