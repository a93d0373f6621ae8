// What a network is told beside its input: how much noise there is, and of which class the picture should be.
#pragma once
#include "nn/layers/embedding.h"
#include "nn/layers/linear.h"

namespace ink::diffusion {

// [cos(s f_0 t), ..., cos(s f_{h-1} t), sin(s f_0 t), ...] with f_k = period^{-k / h}, h = features / 2, s = scale:
// noise [...] -> [..., features]. f32 at least, whatever the noise is in. Vaswani et al. 2017, section 3.5; Ho et al.
// 2020, appendix B (scale 1, period 10000, noise = the step 0 .. T-1). ValueError unless features is even and positive
// and scale and period are positive; DTypeError for complex noise.
struct SinusoidalOptions {
  int64_t features = 64;
  double scale = 1, period = 10000;
};
Tensor sinusoidal_embedding(const Tensor& noise, const SinusoidalOptions& options = {});

// [cos(2 pi w_k t), sin(2 pi w_k t)] with frequencies w_k drawn once from N(0, scale^2) and kept: noise [...] -> [...,
// features]. Tancik et al. 2020; Song et al. 2021, appendix C (scale 16). Errors as above.
struct FourierEmbedding : Module {
  Buffer frequencies;  // [features / 2]
  explicit FourierEmbedding(int64_t features, double scale = 16);
  Tensor forward(const Tensor& noise) const;
  void fields(Fields& f) override { f("frequencies", frequencies); }
};

// A vector per class, and one more that means "no class", which classifier-free guidance asks for (Ho & Salimans 2022).
struct ClassEmbedding : Module {
  Embedding table;  // [classes + 1, dim]; the last row is that of no class
  double dropout;   // while training each label is forgotten with this probability
  ClassEmbedding(int64_t classes, int64_t dim, double dropout = 0.1);
  // label: i64 or i32 [batch], -1 for no class, or undefined: none has a class -> [batch, dim], or [1, dim] if
  // undefined. The default generator draws which labels are forgotten. IndexError for a label that is no class,
  // ShapeError unless it is [batch].
  Tensor forward(const Tensor& label, int64_t batch) const;
  void fields(Fields& f) override { f("table", table); }
};

struct ConditionOptions {
  const char* net;  // whose condition it is, for errors
  int64_t width;    // of the condition
  SinusoidalOptions noise;
  int64_t classes = 0;
  double label_dropout = 0.1;
};

// silu(W2 silu(W1 sinusoid(noise) + b1) + b2 + class): noise [batch] and label [batch] -> [batch, width]. What U-Net
// and DiT are conditioned on.
struct ConditionEmbedding : Module {
  ConditionOptions options;
  Linear first, second;
  std::vector<ClassEmbedding> label;  // one or none
  explicit ConditionEmbedding(const ConditionOptions& options);
  // ShapeError unless noise is [batch] or one number for all; ValueError for labels to a net without classes.
  Tensor forward(const Tensor& noise, const Tensor& label, int64_t batch) const;
  void fields(Fields& f) override { f("first", first)("second", second)("label", label); }
};

// noise as [batch]: one number counts for all. ShapeError naming `net` else.
Tensor noise_of_batch(const char* net, const Tensor& noise, int64_t batch);

}  // namespace ink::diffusion
