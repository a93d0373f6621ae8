// From processes to EDM's frame, and denoisers in closed form.
#include "nn/diffusion/denoiser.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink::diffusion {

Tensor predict(const Process& process, Denoiser denoiser, Output output, const Tensor& x, const Tensor& t,
               const Tensor& cond) {
  auto a = [&](double s) { return std::fmax(process.a(s), 1e-8); };
  const Tensor scale = per_sample(a, t, x), sigma = per_sample([&](double s) { return process.b(s) / a(s); }, t, x);
  const Tensor denoised = to(denoiser(to(x / scale, x.dtype()), to(reshape(sigma, {-1}), x.dtype()), cond), x.dtype());
  return output == Output::denoised ? denoised : convert(process, denoised, Output::denoised, output, x, t);
}

namespace {

void check_mixture_input(const Mixture& law, const Tensor& x, const Tensor& sigma) {
  Shape event = law.means.shape(), one = x.shape();
  if (x.dim() > 0) event[0] = one[0];
  if (x.dim() == 0 || !(event == one) || !(sigma.shape() == Shape{one[0]}))
    throw ShapeError(
        fmt::format("Mixture: expected x [batch, ..] and sigma [batch] with means of shape {}; got {} and {}",
                    law.means.shape().str(), x.shape().str(), sigma.shape().str()));
}

// What all functions of a mixture share, components along dim 1.
struct Posterior {
  Tensor offset;    // [batch, k, d]: m_k - x
  Tensor variance;  // [batch, k]: v_k
  Tensor noise;     // [batch, 1]: sigma^2
  Tensor logits;    // [batch, k]: ln w_k N(x; m_k, v_k)
};

Tensor log_class_weights(const Mixture& law, const Tensor& cond, const Tensor& x) {
  const Tensor weights = law.log_weights.to(x.options());
  if (!cond.defined()) return unsqueeze(weights - logsumexp(weights), 0);
  if (!law.labels.defined()) throw ValueError("Mixture: a class was asked for, and the components have no labels");
  const Tensor wanted = unsqueeze(cond.to(x.device()), 1), label = unsqueeze(law.labels.to(x.device()), 0);
  const Tensor counts = (wanted == label) | (wanted < 0);
  if (!all(any(counts, {1})).item<bool>()) throw ValueError("Mixture: no component is of a class that was asked for");
  const Tensor w = where(counts, weights, full({}, -std::numeric_limits<double>::infinity(), x.options()));
  return w - logsumexp(w, {1}, true);
}

Posterior posterior(const Mixture& law, const Tensor& x, const Tensor& sigma, const Tensor& cond) {
  check_mixture_input(law, x, sigma);
  Posterior p;
  const int64_t k = law.means.size(0), batch = x.size(0);
  const Tensor means = reshape(law.means.to(x.options()), {1, k, -1});
  p.offset = means - reshape(x, {batch, 1, means.size(2)});
  p.noise = unsqueeze(clamp(square(sigma.to(x.options())), 1e-300), 1);  // at sigma = 0 the nearest point is left
  p.variance = unsqueeze(square(law.stds.to(x.options())), 0) + p.noise;
  p.logits = log_class_weights(law, cond, x) - sum(square(p.offset), {2}) / (2 * p.variance) -
             log(2 * std::numbers::pi * p.variance) * (double(means.size(2)) / 2);
  return p;
}

}  // namespace

Tensor Mixture::operator()(const Tensor& x, const Tensor& sigma, const Tensor& cond) const {
  const Posterior p = posterior(*this, x, sigma, cond);
  // D = x + sum_k r_k (sigma^2 / v_k) (m_k - x)
  const Tensor r = softmax(p.logits, 1) * (p.noise / p.variance);  // (2.22)
  return x + reshape(sum(unsqueeze(r, 2) * p.offset, {1}), x.shape());
}

Tensor Mixture::score(const Tensor& x, const Tensor& sigma, const Tensor& cond) const {
  const Posterior p = posterior(*this, x, sigma, cond);
  return reshape(sum(unsqueeze(softmax(p.logits, 1) / p.variance, 2) * p.offset, {1}), x.shape());
}

Tensor Mixture::log_density(const Tensor& x, const Tensor& sigma, const Tensor& cond) const {
  return logsumexp(posterior(*this, x, sigma, cond).logits, {1});
}

Tensor Mixture::sample(int64_t n, Generator* generator) const {
  NoGrad guard;
  const Tensor which = multinomial(exp(log_weights - max(log_weights)), n, true, generator);
  Shape shape = means.shape(), ones = Shape::filled(means.dim(), 1);
  shape[0] = ones[0] = n;
  const Tensor z = randn(shape, Options(f64, means.device()), generator);
  return index_select(means, 0, which) + reshape(index_select(stds, 0, which), ones) * z;
}

Mixture gaussian(const Tensor& mean, double std) {
  if (!(std >= 0)) throw ValueError(fmt::format("gaussian: expected a standard deviation >= 0; got {}", std));
  return gaussian_mixture(unsqueeze(mean, 0), full({1}, std, f64), ones({1}, f64));
}

Mixture gaussian_mixture(const Tensor& means, const Tensor& stds, const Tensor& weights) {
  const Shape k{means.dim() ? means.size(0) : 0};
  if (k[0] == 0 || !(stds.shape() == k) || !(weights.shape() == k))
    throw ShapeError(fmt::format("gaussian_mixture: expected means [k, ..], stds [k], weights [k]; got {}, {} and {}",
                                 means.shape().str(), stds.shape().str(), weights.shape().str()));
  if (!all(logical_and(stds >= 0, weights >= 0)).item<bool>() || !(sum(weights).item() > 0))
    throw ValueError("gaussian_mixture: a standard deviation or weight is negative or NaN, or all weights are 0");
  return {means.to(f64), stds.to(f64), log(weights.to(f64)), {}};
}

Mixture finite_set(const Tensor& points) {
  const int64_t n = points.dim() ? points.size(0) : 0;
  return gaussian_mixture(points, zeros({n}, Options(f64, points.device())), ones({n}, Options(f64, points.device())));
}

}  // namespace ink::diffusion
