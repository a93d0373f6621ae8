// The U-Net of diffusion models (Ho et al. 2020; Dhariwal & Nichol 2021): convolutions on pictures that become smaller
// and wider, then larger and narrower again, with the pictures of the way down beside those of the way up.
#pragma once
#include "nn/diffusion/nets/noise_embedding.h"
#include "nn/layers/activation.h"
#include "nn/layers/conv.h"
#include "nn/layers/norm.h"

namespace ink::diffusion {

struct UNetOptions {
  int64_t in = 1, out = 0;                     // channels of the picture, and of the output; 0: in
  int64_t width = 32;                          // channels at full size
  std::vector<int64_t> multiples = {1, 2};     // channels of each level over width; every level halves the picture
  int64_t blocks = 1;                          // residual blocks a level, on the way down; one more on the way up
  std::vector<int64_t> attention = {};         // levels with attention over pixels, 0 the largest; the middle has it
  int64_t heads = 1, groups = 8;               // of attention, and of GroupNorm
  SinusoidalOptions noise = {.features = 32};  // of the noise level
  int64_t classes = 0;                         // of labels
  double label_dropout = 0.1, dropout = 0;     // of labels (ClassEmbedding), and inside the blocks
};

// conv(drop(silu(norm(conv(silu(norm(x))) + W c)))) + x; the last convolution starts at 0, and x goes through a 1 x 1
// convolution where channels change. c: the condition [batch, width of the condition].
struct UNetBlock : Module {
  GroupNorm norm1, norm2;
  Conv2d conv1, conv2;
  Linear condition;
  Dropout drop;
  std::vector<Conv2d> shortcut;  // one or none
  UNetBlock(int64_t in, int64_t out, int64_t condition, int64_t groups, double dropout);
  Tensor forward(const Tensor& x, const Tensor& c) const;  // [batch, in, h, w] -> [batch, out, h, w]
  void fields(Fields& f) override;
};

// x + W softmax(q k^T / sqrt(d)) v over the pixels of norm(x); W starts at 0.
struct PixelAttention : Module {
  int64_t heads;
  GroupNorm norm;
  Linear qkv, out;
  PixelAttention(int64_t channels, int64_t heads, int64_t groups);
  Tensor forward(const Tensor& x) const;
  void fields(Fields& f) override { f("norm", norm)("qkv", qkv)("out", out); }
};

// x [batch, in, h, w], noise [batch] or a number, label [batch] or undefined -> [batch, out, h, w]. Any h and w: an odd
// size is rounded up when halved, and cut again on the way up. The output layer starts at 0. ValueError for sizes below
// 1, groups or heads that do not divide the channels of a level, or a level of attention that is not there; ShapeError
// for other pictures.
struct UNet : Module {
  struct Level : Module {
    std::vector<UNetBlock> blocks;
    std::vector<PixelAttention> attention;  // as many as blocks, or none
    std::vector<Conv2d> resize;             // one, but none at the last level of each way
    Tensor forward_block(size_t i, const Tensor& x, const Tensor& c) const;
    void fields(Fields& f) override { f("blocks", blocks)("attention", attention)("resize", resize); }
  };
  UNetOptions options;
  ConditionEmbedding condition;
  Conv2d first;
  std::vector<Level> down, up;  // up[0] is the smallest
  UNetBlock middle1, middle2;
  PixelAttention middle;
  GroupNorm norm;
  Conv2d last;
  explicit UNet(const UNetOptions& options = {});
  Tensor forward(const Tensor& x, const Tensor& noise, const Tensor& label = {}) const;
  void fields(Fields& f) override;
};

}  // namespace ink::diffusion
