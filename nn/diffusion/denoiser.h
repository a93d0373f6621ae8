// Denoisers: any callable D(x, sigma, cond) that estimates the data x_0 behind x = x_0 + sigma eps.
//
// This is EDM's frame, in which all processes look alike: x_t = a x_0 + b eps is x_t / a = x_0 + (b / a) eps, so
// D(x_t / a, b / a) denoises x_t. A network becomes a denoiser by a preconditioner (nn/diffusion/precondition.h); laws
// whose denoiser is known stand here.
#pragma once
#include "nn/diffusion/output.h"
#include "tensor/random.h"

namespace ink::diffusion {

// x [batch, ..] and sigma [batch] (of x's dtype and device) -> E[x_0 | x], of x's shape and dtype. cond is what the
// denoiser understands, or undefined. Two pointers: what they refer to must outlive it.
using Denoiser = FunctionRef<Tensor(const Tensor& x, const Tensor& sigma, const Tensor& cond)>;

// The denoiser's answer at x_t and times t [batch], as whichever output is asked for: in x_t's shape and dtype. Where
// a(t) is 0, 1e-8 stands for it, so that x_t / a is finite.
Tensor predict(const Process& process, Denoiser denoiser, Output output, const Tensor& x, const Tensor& t,
               const Tensor& cond = {});

// A mixture of isotropic Gaussians sum_k w_k N(m_k, s_k^2 I), which covers one Gaussian (k = 1) and a finite set of
// points (s = 0) as well: its law under noise, its denoiser and its score in closed form. With v_k = s_k^2 + sigma^2
// and r_k = softmax_k(ln w_k - d/2 ln v_k - |x - m_k|^2 / (2 v_k)), which is P(component k | x):
//   D(x) = sum_k r_k (s_k^2 x + sigma^2 m_k) / v_k,   grad log p(x) = sum_k r_k (m_k - x) / v_k = (D(x) - x) / sigma^2
// All in x's dtype; differentiable in x and sigma any number of times. A sample does not depend on its batch mates.
struct Mixture {
  Tensor means;        // [k, ..] f64
  Tensor stds;         // [k] f64, 0 for points
  Tensor log_weights;  // [k] f64
  Tensor labels;       // [k] i64 or undefined: the class of each component

  // D(x). cond: undefined, or a class for each sample [batch] i64, of which alone the components then count; a negative
  // number is no class. ValueError for a class without components.
  Tensor operator()(const Tensor& x, const Tensor& sigma, const Tensor& cond = {}) const;
  Tensor score(const Tensor& x, const Tensor& sigma, const Tensor& cond = {}) const;        // of x's shape
  Tensor log_density(const Tensor& x, const Tensor& sigma, const Tensor& cond = {}) const;  // [batch]
  Tensor sample(int64_t n, Generator* generator = nullptr) const;                           // [n, ..] f64
};
// N(mean, std^2 I), mean of any shape [..]. ValueError unless std >= 0.
Mixture gaussian(const Tensor& mean, double std);
// means [k, ..], stds and weights [k] (weights need not sum to 1). ShapeError if they do not fit, ValueError for a
// negative number among them.
Mixture gaussian_mixture(const Tensor& means, const Tensor& stds, const Tensor& weights);
// n points [n, ..], each as likely. D is the mean of the points weighted by softmax(-|x - y|^2 / (2 sigma^2)), so a
// sampler that ends at sigma = 0 ends on one of them.
Mixture finite_set(const Tensor& points);

}  // namespace ink::diffusion
