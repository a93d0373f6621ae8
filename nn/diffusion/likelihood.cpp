// x and the integral of the divergence, solved together.
#include "nn/diffusion/likelihood.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "autograd/graph/engine.h"
#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink::diffusion {
namespace {

// v^T (du/dx) for each sample, which sees its own x alone: rows of the Jacobian as v picks them. All [batch, d].
Tensor pulled_back(const Tensor& u, const Tensor& x, const Tensor& v) {
  return grad(sum(u * v), x, {}, {.retain_graph = true});
}

Tensor exact_divergence(const Tensor& u, const Tensor& x) {
  const int64_t d = x.size(1);
  const Tensor unit = eye(d, x.options());
  Tensor trace = zeros({x.size(0)}, x.options());
  for (int64_t i = 0; i < d; ++i) trace = trace + select(pulled_back(u, x, expand(unit[i], x.shape())), 1, i);
  return trace;
}

Tensor hutchinson_divergence(const Tensor& u, const Tensor& x, const std::vector<Tensor>& probes) {
  Tensor trace = zeros({x.size(0)}, x.options());
  for (const Tensor& v : probes) trace = trace + sum(pulled_back(u, x, v) * v, {1});
  return trace / double(probes.size());
}

Tensor log_normal(const Tensor& x, double std) {
  const double d = double(x.size(1));
  return sum(square(x), {1}) / (-2 * std * std) - d / 2 * std::log(2 * std::numbers::pi * std * std);
}

}  // namespace

Likelihood log_likelihood(const Process& process, Denoiser denoiser, const Tensor& x, const LikelihoodOptions& o) {
  const double last = o.last == 0 ? process.end() : o.last;
  const bool sketched = o.divergence == Divergence::hutchinson;
  if (sketched && (o.probes < 1 || !o.noise))
    throw ValueError(
        fmt::format("log_likelihood: Hutchinson's estimate needs probes >= 1 and a source of noise; got {} and {}",
                    o.probes, o.noise ? "one" : "none"));
  if (x.dim() < 1) throw ShapeError("log_likelihood: expected x [batch, ..]; got a tensor without dims");
  const int64_t batch = x.size(0);
  const Tensor flat = reshape(to(x.detach(), f64), {batch, -1});
  const int64_t d = flat.size(1);
  std::vector<Tensor> probes;
  for (int64_t i = 0; sketched && i < o.probes; ++i)
    probes.push_back(where(o.noise->draw_like(flat) < 0, full_like(flat, -1), ones_like(flat)));
  auto slope = [&](const Tensor& state, const Tensor& t) {
    EnableGrad guard;
    Tensor at = state.narrow(1, 0, d).clone().detach().requires_grad_();
    const Tensor u =
        reshape(predict(process, denoiser, Output::velocity, reshape(at, x.shape()), t, o.cond), at.shape());
    const Tensor divergence = sketched ? hutchinson_divergence(u, at, probes) : exact_divergence(u, at);
    return cat({u.detach(), unsqueeze(divergence.detach(), 1)}, 1);
  };
  const Rk45Result solved = rk45(slope, cat({flat, zeros({batch, 1}, flat.options())}, 1), o.first, last, o.solver);
  const Tensor latent = solved.x.narrow(1, 0, d), shaped = reshape(latent, x.shape());
  const Tensor prior = o.log_prior ? (*o.log_prior)(shaped) : log_normal(latent, process.prior_std(last));
  return {prior + solved.x.select(1, d), shaped, solved.evaluations};
}

Tensor bits_per_dim(const Tensor& log_density, int64_t dims, double levels, double width) {
  if (dims < 1 || !(levels > 0 && width > 0))
    throw ValueError(
        fmt::format("bits_per_dim: expected dims, levels and width above 0; got {}, {} and {}", dims, levels, width));
  return log_density / (-double(dims) * std::numbers::ln2) + std::log2(levels / width);
}

}  // namespace ink::diffusion
