// Patches, positions, and blocks that the condition modulates.
#include "nn/diffusion/nets/dit.h"

#include <fmt/format.h>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink::diffusion {
namespace {

const DiTOptions& checked_dit(const DiTOptions& o) {
  constexpr int64_t kMost = int64_t(1) << 16;  // of each size: their products fit
  auto size = [&](const char* name, int64_t value, int64_t least = 1) {
    if (value < least || value > kMost)
      throw ValueError(fmt::format("DiT: got {} {}; expected {} to {}", name, value, least, kMost));
  };
  size("in", o.in), size("out", o.out, 0), size("height", o.height), size("width", o.width), size("patch", o.patch);
  size("dim", o.dim), size("heads", o.heads), size("layers", o.layers), size("classes", o.classes, 0);
  if (o.height % o.patch || o.width % o.patch)
    throw ValueError(
        fmt::format("DiT: the patch must divide the picture; got {} x {}, patch {}", o.height, o.width, o.patch));
  if (o.dim % 4 || o.dim % o.heads)
    throw ValueError(
        fmt::format("DiT: dim must be a multiple of 4 and of heads; got dim {}, heads {}", o.dim, o.heads));
  return o;
}
void zero_layer(Linear& layer) {
  NoGrad guard;
  layer.weight.zero_(), layer.bias.zero_();
}
// Half of the features tell the row, half the column: [rows columns, dim].
Tensor grid_positions(int64_t rows, int64_t columns, int64_t dim) {
  const SinusoidalOptions half{.features = dim / 2};
  const Tensor r = sinusoidal_embedding(arange(rows).to(f64), half),
               c = sinusoidal_embedding(arange(columns).to(f64), half);
  return reshape(cat({repeat_interleave(r, columns, 0), repeat(c, {rows, 1})}, 1), {rows * columns, dim}).to(f32);
}
// (1 + scale) norm(x) + shift for shift, scale [batch, dim].
Tensor modulated(const Tensor& x, const Tensor& shift, const Tensor& scale) {
  return layer_norm(x, {}, {}, 1e-6) * (1 + unsqueeze(scale, 1)) + unsqueeze(shift, 1);
}

}  // namespace

Tensor patchify(const Tensor& x, int64_t p) {
  if (x.dim() != 4 || p < 1 || x.size(2) % p || x.size(3) % p)
    throw ShapeError(
        fmt::format("patchify: got {} and patches of {}; expected [batch, channels, height, width] of whole patches",
                    x.shape().str(), p));
  const int64_t b = x.size(0), c = x.size(1), h = x.size(2) / p, w = x.size(3) / p;
  return reshape(permute(reshape(x, {b, c, h, p, w, p}), {0, 2, 4, 1, 3, 5}), {b, h * w, c * p * p});
}
Tensor unpatchify(const Tensor& rows, int64_t p, int64_t height, int64_t width) {
  if (rows.dim() != 3 || p < 1 || height % p || width % p || rows.size(1) != (height / p) * (width / p) ||
      rows.size(2) % (p * p))
    throw ShapeError(fmt::format("unpatchify: got {}, patches of {} and a picture of {} x {}", rows.shape().str(), p,
                                 height, width));
  const int64_t b = rows.size(0), c = rows.size(2) / (p * p), h = height / p, w = width / p;
  return reshape(permute(reshape(rows, {b, h, w, c, p, p}), {0, 3, 1, 4, 2, 5}), {b, c, height, width});
}

DiTBlock::DiTBlock(int64_t dim, int64_t heads)
    : attention({.dim = dim, .heads = heads}), up(dim, 4 * dim), down(4 * dim, dim), modulation(dim, 6 * dim) {
  zero_layer(modulation);
}
Tensor DiTBlock::forward(const Tensor& x, const Tensor& c) const {
  const std::vector<Tensor> m = chunk(modulation.forward(c), 6, -1);  // shift, scale, gate; twice
  Tensor y = x + unsqueeze(m[2], 1) * attention.forward(modulated(x, m[0], m[1]));
  return y + unsqueeze(m[5], 1) * down.forward(gelu(up.forward(modulated(y, m[3], m[4])), GeluForm::tanh));
}

DiT::DiT(const DiTOptions& o)
    : options(checked_dit(o)),
      condition({"DiT", o.dim, o.noise, o.classes, o.label_dropout}),
      patches(o.in * o.patch * o.patch, o.dim),
      modulation(o.dim, 2 * o.dim),
      last(o.dim, (o.out > 0 ? o.out : o.in) * o.patch * o.patch),
      positions(grid_positions(o.height / o.patch, o.width / o.patch, o.dim)) {
  for (int64_t i = 0; i < o.layers; ++i) blocks.emplace_back(o.dim, o.heads);
  zero_layer(modulation), zero_layer(last);
}
Tensor DiT::forward(const Tensor& x, const Tensor& noise, const Tensor& label) const {
  if (x.dim() != 4 || x.size(1) != options.in || x.size(2) != options.height || x.size(3) != options.width)
    throw ShapeError(fmt::format("DiT: wrong input; got {}; expected [batch, {}, {}, {}]", x.shape().str(), options.in,
                                 options.height, options.width));
  const Tensor c = condition.forward(noise, label, x.size(0));
  Tensor y = patches.forward(patchify(x, options.patch)) + positions;
  for (const DiTBlock& b : blocks) y = b.forward(y, c);
  const std::vector<Tensor> m = chunk(modulation.forward(c), 2, -1);
  return unpatchify(last.forward(modulated(y, m[0], m[1])), options.patch, options.height, options.width);
}
void DiT::fields(Fields& f) {
  f("condition", condition)("patches", patches)("positions", positions)("blocks", blocks)("modulation",
                                                                                          modulation)("last", last);
}

}  // namespace ink::diffusion
