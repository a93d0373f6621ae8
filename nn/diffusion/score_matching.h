// Ways to learn the score grad log p of a law from samples of it. Each returns the loss of every sample, [batch],
// summed over the elements of the sample as the papers write it. Hyvarinen 2005, Vincent 2011, Song et al. 2019, Song &
// Ermon 2019.
#pragma once
#include "tensor/function_ref.h"
#include "tensor/tensor.h"

namespace ink::diffusion {

// x [batch, ..] -> s(x), of the same shape; a sample's score depends on that sample alone.
using ScoreFn = FunctionRef<Tensor(const Tensor& x)>;
// The same of x under noise sigma [batch].
using NoisyScoreFn = FunctionRef<Tensor(const Tensor& x, const Tensor& sigma)>;

// |s(x) - S|^2 / 2 for the true score S, of x's shape: what all others stand for, and which needs to be known.
Tensor explicit_score_matching(ScoreFn s, const Tensor& x, const Tensor& true_score);

// |s(x)|^2 / 2 + tr(ds / dx), the same in the mean up to a number that does not depend on s (integration by parts; the
// density must vanish at infinity). The trace is exact, a backward pass for each element of a sample, and is recorded:
// the loss has a gradient, by double backward.
Tensor implicit_score_matching(ScoreFn s, const Tensor& x);

enum class SlicedForm {
  plain,             // v^T (ds / dx) v + (v . s)^2 / 2
  variance_reduced,  // v^T (ds / dx) v + |s|^2 / 2: equal in the mean where E v v^T = 1
};
// The trace by directions: v [batch, ..] of x's shape, random with E v v^T = 1 (normal, or signs; random_signs draws
// such). One backward pass, whatever the dimension. Several directions: the mean of several calls.
Tensor sliced_score_matching(ScoreFn s, const Tensor& x, const Tensor& v,
                             SlicedForm form = SlicedForm::variance_reduced);
// +1 or -1, each as likely, in x's shape, dtype and device (Rademacher).
Tensor random_signs(const Tensor& x);

// |s(x_0 + sigma eps) + eps / sigma|^2 / 2: learns the score of the law under noise sigma, without derivatives of s.
// ValueError unless sigma > 0.
Tensor denoising_score_matching(ScoreFn s, const Tensor& x0, const Tensor& eps, double sigma);

// NCSN: denoising score matching at many levels sigma [batch] at once, each weighted by sigma^2, so that all count
// alike: |sigma s(x_0 + sigma eps, sigma) + eps|^2 / 2.
Tensor ncsn_loss(NoisyScoreFn s, const Tensor& x0, const Tensor& eps, const Tensor& sigma);

}  // namespace ink::diffusion
