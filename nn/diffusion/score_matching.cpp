// Explicit, implicit, sliced and denoising score matching.
#include "nn/diffusion/score_matching.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/graph/engine.h"
#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "autograd/ops/halves.h"

namespace ink::diffusion {
namespace {

// Halves are summed in f32, and the loss stays f32.
Tensor sum_of_sample(const Tensor& x) { return sum(flatten(widened(x), 1), {1}); }

void check_alike(const char* loss, const char* name, const Tensor& x, const Tensor& other) {
  if (x.dim() < 2 || !(x.shape() == other.shape()))
    throw ShapeError(fmt::format("{}: got x {} and {} {}; expected [batch, ..] twice", loss, x.shape().str(), name,
                                 other.shape().str()));
}
Tensor score_at(const char* loss, ScoreFn s, const Tensor& x) {
  const Tensor score = s(x);
  check_alike(loss, "a score of shape", x, score);
  return score;
}
// A leaf of x's elements that the score is differentiated by; x itself if it takes part in a graph already.
Tensor watched(const Tensor& x) {
  if (x.requires_grad()) return x;
  Tensor leaf = x.detach();
  leaf.requires_grad_();
  return leaf;
}
// (ds / dx)^T v, recorded.
Tensor transposed_product(const Tensor& score, const Tensor& x, const Tensor& v) {
  GradOptions options;
  options.create_graph = true, options.allow_unused = true;
  const Tensor product = score.requires_grad() ? grad(score, x, v, options) : Tensor();
  return product.defined() ? product : zeros_like(x);  // a score that does not depend on x
}

}  // namespace

Tensor explicit_score_matching(ScoreFn s, const Tensor& x, const Tensor& true_score) {
  check_alike("explicit_score_matching", "a true score", x, true_score);
  const Tensor off = widened(score_at("explicit_score_matching", s, x)) - widened(true_score);
  return sum_of_sample(square(off)) / 2;  // (5.3)
}

Tensor implicit_score_matching(ScoreFn s, const Tensor& x) {
  const bool record = grad_enabled();
  EnableGrad on;  // the trace is a derivative, also where the loss is only looked at
  const Tensor at = watched(x), score = score_at("implicit_score_matching", s, at);
  const int64_t d = x.size(0) > 0 ? x.numel() / x.size(0) : 0;
  Tensor loss = sum_of_sample(square(widened(score))) / 2;
  for (int64_t i = 0; i < d; ++i) {  // tr(ds / dx) = sum_i ds_i / dx_i
    const Tensor unit = reshape(one_hot(full({1}, i, {i64, x.device()}), d).to(x.dtype()), {1, d});
    const Tensor e = reshape(expand(unit, {x.size(0), d}), x.shape());
    loss = loss + sum_of_sample(widened(transposed_product(score, at, e)) * e);  // (5.4)
  }
  return record ? loss : loss.detach();
}

Tensor sliced_score_matching(ScoreFn s, const Tensor& x, const Tensor& v, SlicedForm form) {
  check_alike("sliced_score_matching", "directions", x, v);
  const bool record = grad_enabled();
  EnableGrad on;
  const Tensor at = watched(x), score = score_at("sliced_score_matching", s, at);
  const Tensor along = sum_of_sample(widened(transposed_product(score, at, v)) * v);  // v^T (ds / dx) v
  const Tensor size =
      form == SlicedForm::plain ? square(sum_of_sample(widened(score) * v)) : sum_of_sample(square(widened(score)));
  const Tensor loss = along + size / 2;  // (5.5)
  return record ? loss : loss.detach();
}
Tensor random_signs(const Tensor& x) {
  NoGrad guard;
  return where(rand_like(x) < 0.5, full({}, -1, x.options()), full({}, 1, x.options()));
}

Tensor denoising_score_matching(ScoreFn s, const Tensor& x0, const Tensor& eps, double sigma) {
  check_alike("denoising_score_matching", "noise", x0, eps);
  if (!(sigma > 0))
    throw ValueError(fmt::format("denoising_score_matching: got sigma {}; expected a positive number", sigma));
  const Tensor score = widened(score_at("denoising_score_matching", s, x0 + sigma * eps));
  return sum_of_sample(square(score + widened(eps) / sigma)) / 2;  // (5.7)
}

Tensor ncsn_loss(NoisyScoreFn s, const Tensor& x0, const Tensor& eps, const Tensor& sigma) {
  check_alike("ncsn_loss", "noise", x0, eps);
  if (sigma.dim() != 1 || sigma.size(0) != x0.size(0))
    throw ShapeError(fmt::format("ncsn_loss: got noise levels {}; expected [{}], one for each sample",
                                 sigma.shape().str(), x0.size(0)));
  const Tensor level = sigma.to(x0.device()).to(promote(x0.dtype(), f32));
  Shape beside = Shape::filled(x0.dim(), 1);
  beside[0] = x0.size(0);
  const Tensor factor = reshape(level, beside), score = s((widened(x0) + factor * widened(eps)).to(x0.dtype()), level);
  check_alike("ncsn_loss", "a score of shape", x0, score);
  return sum_of_sample(square(factor * widened(score) + widened(eps))) / 2;  // (5.11)
}

}  // namespace ink::diffusion
