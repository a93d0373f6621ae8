// DiT (Peebles & Xie 2023): a transformer over the patches of a picture, whose norms are scaled and shifted by the
// condition.
#pragma once
#include "nn/attention/multihead.h"
#include "nn/diffusion/nets/noise_embedding.h"
#include "nn/layers/norm.h"

namespace ink::diffusion {

struct DiTOptions {
  int64_t in = 1, out = 0;        // channels of the picture, and of the output; 0: in
  int64_t height = 8, width = 8;  // of the picture
  int64_t patch = 2;              // side of a patch, which divides both
  int64_t dim = 64, heads = 4, layers = 4;
  SinusoidalOptions noise = {.features = 64};
  int64_t classes = 0;
  double label_dropout = 0.1;
};

// adaLN-zero: (shift, scale, gate) for attention and for the feed-forward layer are linear in the condition c and start
// at 0, so that a fresh block is the identity.
//   x <- x + gate1 attention((1 + scale1) norm(x) + shift1),   x <- x + gate2 ffn((1 + scale2) norm(x) + shift2)
struct DiTBlock : Module {
  MultiHeadAttention attention;
  Linear up, down, modulation;  // modulation: [dim] -> [6 dim]
  DiTBlock(int64_t dim, int64_t heads);
  Tensor forward(const Tensor& x, const Tensor& c) const;  // x [batch, patches, dim], c [batch, dim]
  void fields(Fields& f) override { f("attention", attention)("up", up)("down", down)("modulation", modulation); }
};

// x [batch, in, height, width], noise [batch] or a number, label [batch] or undefined -> [batch, out, height, width].
// Positions are fixed sinusoids of row and column. The output layer starts at 0. ValueError for sizes below 1, a patch
// that does not divide the picture, or a dim that is not a multiple of 4 and of heads; ShapeError for other pictures.
struct DiT : Module {
  DiTOptions options;
  ConditionEmbedding condition;
  Linear patches, modulation, last;  // patches: in patch^2 -> dim; last: dim -> out patch^2
  Buffer positions;                  // [patches, dim]
  std::vector<DiTBlock> blocks;
  explicit DiT(const DiTOptions& options = {});
  Tensor forward(const Tensor& x, const Tensor& noise, const Tensor& label = {}) const;
  void fields(Fields& f) override;
};

// Squares of side p as rows of numbers, and back: [batch, c, h, w] <-> [batch, (h / p)(w / p), c p p]. ShapeError
// unless p divides h and w.
Tensor patchify(const Tensor& x, int64_t p);
Tensor unpatchify(const Tensor& rows, int64_t p, int64_t height, int64_t width);

}  // namespace ink::diffusion
