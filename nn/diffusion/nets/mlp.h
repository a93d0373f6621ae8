// A net for points: what the two-dimensional examples of diffusion are learnt with.
#pragma once
#include "nn/diffusion/nets/noise_embedding.h"

namespace ink::diffusion {

enum class PointActivation {
  silu,      // x sigmoid(x)
  gelu,      // x Phi(x)
  softplus,  // log(1 + e^x): smooth, for losses with second derivatives
};

struct PointNetOptions {
  int64_t dim = 2, out = 0;         // numbers of a point, and of the output; 0: dim
  int64_t width = 128, hidden = 3;  // units of a hidden layer, and how many such layers
  PointActivation activation = PointActivation::silu;
  bool residual = false;  // hidden layers but the first add to their input
  // Of the noise level; features = 0: the net is not told it.
  SinusoidalOptions noise = {.features = 64, .scale = 16};
  // Each coordinate goes in as it is, or as so many sinusoids of scale 25 (period 10000), which resolve what is small.
  int64_t coordinate_features = 0;
  double coordinate_scale = 25;
  int64_t classes = 0;  // of labels; their vector of `width` numbers is added to the first layer
  double label_dropout = 0.1;
};

// x [batch, dim], noise [batch] (or one number; ignored without features), label [batch] or undefined -> [batch, out].
// With the usual options its layers are 66-128-128-128-2. The last layer starts at 0: so does a score, and a denoiser
// starts as what its preconditioning is without a net. ValueError for sizes below 1 or an odd number of features.
struct PointNet : Module {
  PointNetOptions options;
  std::vector<Linear> hidden;
  Linear out;
  std::vector<ClassEmbedding> classes;  // one or none
  explicit PointNet(const PointNetOptions& options = {});
  Tensor forward(const Tensor& x, const Tensor& noise = {}, const Tensor& label = {}) const;
  void fields(Fields& f) override { f("hidden", hidden)("classes", classes)("out", out); }
};

}  // namespace ink::diffusion
