// Blocks, the two ways through the levels, and what joins them.
#include "nn/diffusion/nets/unet.h"

#include <fmt/format.h>

#include <algorithm>

#include "autograd/attention.h"
#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink::diffusion {
namespace {

Conv2d conv3(int64_t in, int64_t out, int64_t stride = 1) {
  return Conv2d({.in = in, .out = out, .kernel = 3, .stride = stride, .padding = 1});
}
void start_at_zero(Param& weight, Param& bias) {
  NoGrad guard;
  weight.zero_(), bias.zero_();
}
int64_t channels_at(const UNetOptions& o, size_t level) { return o.width * o.multiples[level]; }
int64_t deepest(const UNetOptions& o) { return channels_at(o, o.multiples.size() - 1); }
int64_t unet_condition(const UNetOptions& o) { return 4 * o.width; }
bool attends(const UNetOptions& o, size_t level) {
  return std::find(o.attention.begin(), o.attention.end(), int64_t(level)) != o.attention.end();
}

const UNetOptions& checked_unet(const UNetOptions& o) {
  constexpr int64_t kMost = int64_t(1) << 20;  // of each size: their products fit
  auto size = [&](const char* name, int64_t value, int64_t least = 1) {
    if (value < least || value > kMost)
      throw ValueError(fmt::format("UNet: got {} {}; expected {} to {}", name, value, least, kMost));
  };
  size("in", o.in), size("out", o.out, 0), size("width", o.width), size("blocks", o.blocks), size("heads", o.heads);
  size("groups", o.groups), size("classes", o.classes, 0);
  if (o.multiples.empty() || o.multiples.size() > 16)
    throw ValueError(fmt::format("UNet: got {} levels; expected 1 to 16; hint: options.multiples", o.multiples.size()));
  for (size_t i = 0; i < o.multiples.size(); ++i) {
    size("a multiple of", o.multiples[i]);
    const int64_t channels = channels_at(o, i);
    const bool last = i + 1 == o.multiples.size();
    if (channels % o.groups)
      throw ValueError(fmt::format("UNet: groups must divide the channels; got {} channels at level {}, {} groups",
                                   channels, i, o.groups));
    if ((last || attends(o, i)) && channels % o.heads)
      throw ValueError(fmt::format("UNet: heads must divide the channels; got {} channels at level {}, {} heads",
                                   channels, i, o.heads));
  }
  for (int64_t level : o.attention)
    if (level < 0 || level >= int64_t(o.multiples.size()))
      throw ValueError(
          fmt::format("UNet: got attention at level {}; expected 0 to {}", level, int64_t(o.multiples.size()) - 1));
  return o;
}

// The pixels of a picture as tokens: [batch, c, h, w] -> [batch, h w, c].
Tensor pixels_of(const Tensor& x) { return transpose(flatten(x, 2, 3), 1, 2); }

}  // namespace

UNetBlock::UNetBlock(int64_t in, int64_t out, int64_t condition_width, int64_t groups, double dropout)
    : norm1(groups, in),
      norm2(groups, out),
      conv1(conv3(in, out)),
      conv2(conv3(out, out)),
      condition(condition_width, out),
      drop(dropout) {
  if (in != out) shortcut.push_back(Conv2d({.in = in, .out = out, .kernel = 1}));
  start_at_zero(conv2.weight, conv2.bias);
}
Tensor UNetBlock::forward(const Tensor& x, const Tensor& c) const {
  Tensor h = conv1.forward(silu(norm1.forward(x)));
  h = h + unsqueeze(unsqueeze(condition.forward(c), -1), -1);
  h = conv2.forward(drop.forward(silu(norm2.forward(h))));
  return h + (shortcut.empty() ? x : shortcut[0].forward(x));
}
void UNetBlock::fields(Fields& f) {
  f("norm1", norm1)("conv1", conv1)("condition", condition)("norm2", norm2)("drop", drop)("conv2", conv2)("shortcut",
                                                                                                          shortcut);
}

PixelAttention::PixelAttention(int64_t channels, int64_t heads, int64_t groups)
    : heads(heads), norm(groups, channels), qkv(channels, 3 * channels), out(channels, channels) {
  start_at_zero(out.weight, out.bias);
}
Tensor PixelAttention::forward(const Tensor& x) const {
  const int64_t batch = x.size(0), channels = x.size(1), pixels = x.size(2) * x.size(3);
  Tensor all = reshape(qkv.forward(pixels_of(norm.forward(x))), {batch, pixels, 3 * heads, channels / heads});
  auto part = [&](int64_t i) {
    return transpose(narrow(all, 2, i * heads, heads), 1, 2);
  };  // [batch, heads, pixels, d]
  Tensor y = scaled_dot_product_attention(part(0), part(1), part(2));
  y = out.forward(reshape(transpose(y, 1, 2), {batch, pixels, channels}));
  return x + reshape(transpose(y, 1, 2), x.shape());
}

Tensor UNet::Level::forward_block(size_t i, const Tensor& x, const Tensor& c) const {
  Tensor y = blocks[i].forward(x, c);
  return attention.empty() ? y : attention[i].forward(y);
}

UNet::UNet(const UNetOptions& o)
    : options(checked_unet(o)),
      condition({"UNet", unet_condition(o), o.noise, o.classes, o.label_dropout}),
      first(conv3(o.in, o.width)),
      middle1(deepest(o), deepest(o), unet_condition(o), o.groups, o.dropout),
      middle2(deepest(o), deepest(o), unet_condition(o), o.groups, o.dropout),
      middle(deepest(o), o.heads, o.groups),
      norm(o.groups, o.width * o.multiples[0]),
      last(conv3(o.width * o.multiples[0], o.out > 0 ? o.out : o.in)) {
  std::vector<int64_t> kept{o.width};  // channels of the pictures that wait for the way up
  int64_t channels = o.width;
  auto add_block = [&](Level& level, size_t number, int64_t in) {
    channels = channels_at(o, number);
    level.blocks.emplace_back(in, channels, unet_condition(o), o.groups, o.dropout);
    if (attends(o, number)) level.attention.emplace_back(channels, o.heads, o.groups);
  };
  for (size_t i = 0; i < o.multiples.size(); ++i) {
    Level& level = down.emplace_back();
    for (int64_t b = 0; b < o.blocks; ++b) add_block(level, i, channels), kept.push_back(channels);
    if (i + 1 == o.multiples.size()) continue;
    level.resize.push_back(conv3(channels, channels, 2)), kept.push_back(channels);
  }
  for (size_t i = o.multiples.size(); i-- > 0;) {
    Level& level = up.emplace_back();
    for (int64_t b = 0; b <= o.blocks; ++b) {
      add_block(level, i, channels + kept.back());
      kept.pop_back();
    }
    if (i > 0) level.resize.push_back(conv3(channels, channels));
  }
  start_at_zero(last.weight, last.bias);
}

Tensor UNet::forward(const Tensor& x, const Tensor& noise, const Tensor& label) const {
  if (x.dim() != 4 || x.size(1) != options.in || x.size(2) < 1 || x.size(3) < 1)
    throw ShapeError(
        fmt::format("UNet: wrong input; got {}; expected [batch, {}, height, width]", x.shape().str(), options.in));
  const Tensor c = condition.forward(noise, label, x.size(0));
  Tensor y = first.forward(x);
  std::vector<Tensor> kept{y};
  for (const Level& level : down) {
    for (size_t b = 0; b < level.blocks.size(); ++b) kept.push_back(y = level.forward_block(b, y, c));
    if (!level.resize.empty()) kept.push_back(y = level.resize[0].forward(y));
  }
  y = middle2.forward(middle.forward(middle1.forward(y, c)), c);
  for (const Level& level : up) {
    for (size_t b = 0; b < level.blocks.size(); ++b) {
      y = level.forward_block(b, cat({y, kept.back()}, 1), c);
      kept.pop_back();
    }
    if (level.resize.empty()) continue;
    const Tensor& next = kept.back();  // twice as large, or one less where the size is odd
    y = upsample_nearest2d(y, 2);
    y = level.resize[0].forward(narrow(narrow(y, 2, 0, next.size(2)), 3, 0, next.size(3)));
  }
  return last.forward(silu(norm.forward(y)));
}
void UNet::fields(Fields& f) {
  f("condition", condition)("first", first)("down", down)("middle1", middle1)("middle", middle)("middle2", middle2);
  f("up", up)("norm", norm)("last", last);
}

}  // namespace ink::diffusion
