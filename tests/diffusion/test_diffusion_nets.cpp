// The nets of diffusion: shapes, what starts at zero, conditions, derivatives.
#include "autograd/graph/mode.h"
#include "include/inkstone/testing.h"
#include "nn/diffusion/nets/dit.h"
#include "nn/diffusion/nets/mlp.h"
#include "nn/diffusion/nets/unet.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"
#include "tests/support/temporary.h"

using namespace ink;
using namespace ink::diffusion;
using namespace ink::test;

namespace {

// Numbers in every parameter, so that nothing is idle because it starts at 0.
template <class Net> Net awake(Net net, double size = 0.3) {
  NoGrad guard;
  unsigned seed = 1;
  for (auto& [name, p] : net.named_parameters())
    p.copy_(random_tensor(p.shape(), seed++).to(p.dtype()) * size + (name.ends_with("norm.weight") ? 1 : 0));
  net.to(f64);
  net.eval();
  return net;
}
UNetOptions small_unet() {
  return {.in = 2,
          .width = 4,
          .multiples = {1, 2},
          .attention = {1},
          .heads = 2,
          .groups = 2,
          .noise = {.features = 4},
          .classes = 3};
}
DiTOptions small_dit() {
  return {.in = 2,
          .height = 4,
          .width = 6,
          .patch = 2,
          .dim = 8,
          .heads = 2,
          .layers = 2,
          .noise = {.features = 4},
          .classes = 3};
}
PointNetOptions small_point_net() {
  return {.width = 6,
          .residual = true,
          .noise = {.features = 4},
          .coordinate_features = 2,
          .coordinate_scale = 2,
          .classes = 3};
}
const Tensor noise() { return from_data({0.3, -1.2, 2}, {3}, f64); }
const Tensor labels() { return tensor({2, -1, 0}, i64); }

// A sample alone, with its own noise and label, gives what it gives within the batch.
template <class Net> void check_alone(const Net& net, const Tensor& x) {
  const Tensor y = net.forward(x, noise(), labels());
  for (int64_t i = 0; i < 3; ++i)
    CHECK(difference(net.forward(x.narrow(0, i, 1), noise().narrow(0, i, 1), labels().narrow(0, i, 1)),
                     y.narrow(0, i, 1)) < 1e-12);
}
// Noise and label each change the output; -1 is no label; a number is everyone's noise.
template <class Net> void check_conditions(const Net& net, const Tensor& x) {
  const Tensor y = net.forward(x, noise(), labels());
  CHECK(difference(net.forward(x, noise() + 1, labels()), y) > 1e-3);
  const Tensor none = net.forward(x, noise());
  CHECK(difference(none.narrow(0, 0, 1), y.narrow(0, 0, 1)) > 1e-3);
  CHECK(difference(none.narrow(0, 1, 1), y.narrow(0, 1, 1)) < 1e-12);
  CHECK(difference(net.forward(x, full({}, 0.3, f64)), net.forward(x, full({3}, 0.3, f64))) < 1e-13);
}
template <class Net> void check_gradients(Net& net, const Tensor& x) {
  auto run = [&](const Tensor& in) {
    return net.forward(in, noise().narrow(0, 0, x.size(0)), labels().narrow(0, 0, x.size(0)));
  };
  CHECK(verify::gradients(net, run, x).message == "");
}

}  // namespace

TEST_CASE("sinusoids of the noise level are those of the formula", "[diffusion]") {
  const Tensor e = sinusoidal_embedding(noise(), {.features = 6, .scale = 3, .period = 100});
  REQUIRE(e.shape() == Shape{3, 6});
  for (int64_t i = 0; i < 3; ++i)
    for (int64_t k = 0; k < 3; ++k) {
      const double angle = noise()[i].item() * 3 * std::pow(100., -double(k) / 3);
      CHECK(std::abs(e[i][k].item() - std::cos(angle)) < 1e-14);
      CHECK(std::abs(e[i][3 + k].item() - std::sin(angle)) < 1e-14);
    }
  CHECK(sinusoidal_embedding(tensor({1, 2}, i64), {.features = 2}).dtype() == f32);
  CHECK(sinusoidal_embedding(noise().to(f16), {.features = 2}).dtype() == f32);
  CHECK(sinusoidal_embedding(zeros({0}), {.features = 2}).shape() == Shape{0, 2});
  FourierEmbedding fourier(8, 2);
  fourier.to(f64);
  const Tensor angles = noise().unsqueeze(1) * fourier.frequencies * (2 * M_PI);
  CHECK(difference(fourier.forward(noise()), cat({cos(angles), sin(angles)}, 1)) < 1e-14);
  CHECK(fourier.parameters().empty());
  manual_seed(1);
  const Tensor drawn = FourierEmbedding(4000, 16).frequencies;
  CHECK(std::abs(std::sqrt(square(drawn).mean().item()) - 16) < 1);
}

TEST_CASE("labels are forgotten while training, as often as asked", "[diffusion]") {
  ClassEmbedding table(4, 3, 0.25);
  manual_seed(2);
  const Tensor label = full({4000}, 2, i64), none = table.table.weight[4], own = table.table.weight[2];
  auto share_of = [&](const Tensor& row) {
    return (abs(table.forward(label, 4000) - row).sum({1}) == 0).to(f64).mean().item();
  };
  CHECK(std::abs(share_of(none) - 0.25) < 0.03);
  CHECK(std::abs(share_of(own) - 0.75) < 0.03);
  table.eval();
  CHECK(share_of(own) == 1);
  CHECK(equal(table.forward({}, 5), none.unsqueeze(0)));
  CHECK_THROWS_AS(table.forward(zeros({2}, i64), 3), ShapeError);
  CHECK_THROWS_AS(table.forward(full({3}, 4, i64), 3), IndexError);
  CHECK_THROWS_AS(table.forward(full({3}, -2, i64), 3), IndexError);
  CHECK_THROWS_WITH(ClassEmbedding(0, 4), contains("got 0 classes"));
  CHECK_THROWS_WITH(ClassEmbedding(3, 4, 1.5), contains("dropout 1.5"));
}

TEST_CASE("the net for points: sizes, start at zero, conditions, derivatives", "[diffusion][grad]") {
  PointNet usual;
  CHECK(usual.num_parameters() == 67 * 128 + 2 * 129 * 128 + 129 * 2);  // 66-128-128-128-2
  CHECK(abs(usual.forward(randn({5, 2}), rand({5}))).max().item() == 0);
  check_covers(usual.forward(randn({5, 2}), rand({5})).sum(), usual);
  PointNet blind({.noise = {.features = 0}});
  CHECK(blind.hidden[0].weight.size(1) == 2);
  CHECK(blind.forward(randn({5, 2})).shape() == Shape{5, 2});
  const Tensor x = normal({3, 2}, 5);
  for (bool residual : {false, true})
    for (PointActivation a : {PointActivation::silu, PointActivation::gelu, PointActivation::softplus}) {
      PointNetOptions o = small_point_net();
      o.residual = residual, o.activation = a, o.hidden = 2, o.width = 3;
      PointNet net = awake(PointNet(o), 0.6);
      check_alone(net, x), check_conditions(net, x), check_gradients(net, normal({1, 2}, 6));
    }
  // by hand: residual, GELU
  PointNet net = awake(PointNet({.dim = 2,
                                 .out = 1,
                                 .width = 3,
                                 .hidden = 2,
                                 .activation = PointActivation::gelu,
                                 .residual = true,
                                 .noise = {.features = 2}}));
  const Tensor in = cat({x, sinusoidal_embedding(noise(), {.features = 2})}, 1), h = gelu(net.hidden[0].forward(in));
  CHECK(difference(net.forward(x, noise()), net.out.forward(h + gelu(net.hidden[1].forward(h)))) < 1e-14);
}

TEST_CASE("the U-Net: any size, start at zero, conditions, derivatives", "[diffusion][grad]") {
  manual_seed(1);
  UNet fresh(small_unet());
  fresh.train(false);
  CHECK(abs(fresh.forward(randn({1, 2, 4, 6}), rand({1}), tensor({1}, i64))).max().item() == 0);
  UNet net = awake(UNet(small_unet()));
  check_covers(net.forward(normal({1, 2, 4, 4}, 1), noise().narrow(0, 0, 1), tensor({1}, i64)).sum(), net);
  for (auto [h, w] : {std::pair<int64_t, int64_t>{4, 6}, {5, 3}, {1, 1}, {2, 2}})
    CHECK(net.forward(normal({1, 2, h, w}, 4), noise().narrow(0, 0, 1)).shape() == Shape{1, 2, h, w});
  const Tensor x = normal({3, 2, 4, 4}, 5);
  check_alone(net, x), check_conditions(net, x);
  UNetOptions deep{.width = 2, .multiples = {1, 1, 2}, .blocks = 2, .groups = 1, .noise = {.features = 2}};
  CHECK(awake(UNet(deep)).forward(normal({1, 1, 14, 10}, 4), noise().narrow(0, 0, 1)).shape() == Shape{1, 1, 14, 10});
  UNetOptions tiny{.out = 2, .width = 1, .multiples = {1, 1}, .groups = 1, .noise = {.features = 2}, .classes = 2};
  if (default_device().is_cuda()) return;  // simulated: its blocks are differentiated below
  UNet least = awake(UNet(tiny));
  auto run = [&](const Tensor& in) { return least.forward(in, noise().narrow(0, 0, 1), tensor({1}, i64)); };
  CHECK(verify::gradients(least, run, normal({1, 1, 2, 2}, 6)).message == "");
}

TEST_CASE("a block of the U-Net and attention over pixels are their formulas", "[diffusion]") {
  UNetBlock block = awake(UNetBlock(2, 4, 3, 2, 0));
  const Tensor x = normal({2, 2, 3, 3}, 7), c = normal({2, 3}, 8);
  Tensor h = conv2d(silu(group_norm(x, 2, block.norm1.weight, block.norm1.bias)), block.conv1.weight, block.conv1.bias,
                    {.padding = 1});
  h = h + linear(c, block.condition.weight, block.condition.bias).reshape({2, 4, 1, 1});
  h = conv2d(silu(group_norm(h, 2, block.norm2.weight, block.norm2.bias)), block.conv2.weight, block.conv2.bias,
             {.padding = 1});
  CHECK(difference(block.forward(x, c), h + conv2d(x, block.shortcut[0].weight, block.shortcut[0].bias)) < 1e-13);
  UNetBlock same(4, 4, 3, 2, 0);
  CHECK(same.shortcut.empty());
  CHECK(equal(same.forward(h.to(f32), c.to(f32)), h.to(f32)));  // starts as the identity

  PixelAttention attention = awake(PixelAttention(4, 2, 2));
  Tensor n = attention.norm.forward(h).flatten(2, 3).transpose(1, 2);  // [2, 9, 4]
  Tensor all = linear(n, attention.qkv.weight, attention.qkv.bias);
  std::vector<Tensor> heads;
  for (int64_t i = 0; i < 2; ++i) {
    Tensor q = all.narrow(2, 2 * i, 2), k = all.narrow(2, 4 + 2 * i, 2), v = all.narrow(2, 8 + 2 * i, 2);
    heads.push_back(matmul(softmax(matmul(q, k.transpose(1, 2)) / std::sqrt(2.), -1), v));
  }
  Tensor y = linear(cat(heads, 2), attention.out.weight, attention.out.bias).transpose(1, 2).reshape(h.shape());
  CHECK(difference(attention.forward(h), h + y) < 1e-13);

  UNetBlock narrow_block = awake(UNetBlock(1, 2, 2, 1, 0));
  auto run = [&](const Tensor& in) { return narrow_block.forward(in, normal({1, 2}, 8)); };
  CHECK(verify::gradients(narrow_block, run, normal({1, 1, 2, 3}, 9)).message == "");
  PixelAttention two = awake(PixelAttention(2, 2, 1), 0.6);
  auto attend = [&](const Tensor& in) { return two.forward(in); };
  CHECK(verify::gradients(two, attend, normal({1, 2, 2, 2}, 9)).message == "");
}

TEST_CASE("DiT: patches, start at zero, conditions, derivatives", "[diffusion][grad]") {
  const Tensor picture = arange(0, 24, 1, f64).reshape({1, 1, 4, 6});
  CHECK(equal(patchify(picture, 2)[0][1], from_data({2, 3, 8, 9}, {4}, f64)));
  CHECK(equal(unpatchify(patchify(picture, 2), 2, 4, 6), picture));
  const Tensor two = normal({2, 3, 4, 6}, 3);
  CHECK(equal(unpatchify(patchify(two, 2), 2, 4, 6), two));
  CHECK_THROWS_AS(patchify(picture, 5), ShapeError);
  CHECK_THROWS_AS(unpatchify(patchify(picture, 2), 2, 4, 8), ShapeError);

  manual_seed(1);
  DiT fresh(small_dit());
  CHECK(abs(fresh.forward(randn({1, 2, 4, 6}), rand({1}))).max().item() == 0);
  DiT net = awake(DiT(small_dit()));
  check_covers(net.forward(normal({1, 2, 4, 6}, 1), noise().narrow(0, 0, 1), tensor({1}, i64)).sum(), net);
  const Tensor x = normal({3, 2, 4, 6}, 5);
  check_alone(net, x), check_conditions(net, x);
  CHECK(difference(net.positions[0], net.positions[1]) > 1e-3);  // next column
  CHECK(difference(net.positions[0], net.positions[3]) > 1e-3);  // next row
  DiTBlock block(8, 2);
  const Tensor tokens = randn({2, 3, 8});
  CHECK(equal(block.forward(tokens, randn({2, 8})), tokens));  // adaLN-zero: the identity
  if (default_device().is_cuda()) return;                      // simulated: its block is differentiated below
  DiT least = awake(DiT({.height = 2,
                         .width = 2,
                         .patch = 1,
                         .dim = 4,
                         .heads = 1,
                         .layers = 1,
                         .noise = {.features = 2},
                         .classes = 3}));
  check_gradients(least, normal({1, 1, 2, 2}, 6));
}

TEST_CASE("a block of DiT is its formula", "[diffusion]") {
  DiTBlock b = awake(DiTBlock(4, 2));
  const Tensor x = normal({2, 3, 4}, 3), c = normal({2, 4}, 4), m = b.modulation.forward(c).unsqueeze(1);
  auto part = [&](int64_t i) { return m.narrow(2, 4 * i, 4); };
  Tensor y = x + part(2) * b.attention.forward(layer_norm(x, {}, {}, 1e-6) * (1 + part(1)) + part(0));
  Tensor f = b.up.forward(layer_norm(y, {}, {}, 1e-6) * (1 + part(4)) + part(3));
  CHECK(difference(b.forward(x, c), y + part(5) * b.down.forward(gelu(f, GeluForm::tanh))) < 1e-13);
  DiTBlock small = awake(DiTBlock(2, 1), 0.6);
  auto run = [&](const Tensor& in) { return small.forward(in, normal({1, 2}, 4)); };
  CHECK(verify::gradients(small, run, normal({1, 2, 2}, 5)).message == "");
}

TEST_CASE("nets run in f32 and in halves whatever the noise's dtype, and are saved", "[diffusion]") {
  manual_seed(3);
  UNet unet({.width = 8, .classes = 2});
  DiT dit;
  PointNet points;
  const Tensor picture = randn({2, 1, 8, 8}), t = from_data({0.5, 80}, {2}, f64);
  CHECK(unet.forward(picture, t).dtype() == f32);
  CHECK(dit.forward(picture, t).dtype() == f32);
  CHECK(points.forward(randn({2, 2}), t).dtype() == f32);
  unet.to(bf16), points.to(bf16);
  CHECK(unet.forward(picture.to(bf16), t).dtype() == bf16);
  CHECK(points.forward(randn({2, 2}).to(bf16), t).dtype() == bf16);
  TemporaryFolder folder;
  UNet a = awake(UNet(small_unet())), b = awake(UNet(small_unet()), 0.7);
  const Tensor x = normal({1, 2, 2, 2}, 1), n = noise().narrow(0, 0, 1);
  a.save(folder / "unet.safetensors"), b.load(folder / "unet.safetensors");
  CHECK(equal(a.forward(x, n), b.forward(x, n)));
}

TEST_CASE("errors of the nets of diffusion", "[diffusion][errors]") {
  CHECK_THROWS_WITH(sinusoidal_embedding(zeros({1}), {.features = 3}),
                    contains("got 3 features; expected an even number"));
  CHECK_THROWS_WITH(sinusoidal_embedding(zeros({1}), {.scale = 0}), contains("got scale 0"));
  CHECK_THROWS_WITH(sinusoidal_embedding(zeros({1}), {.period = NAN}), contains("got period nan"));
  CHECK_THROWS_AS(sinusoidal_embedding(zeros({1}, c64)), DTypeError);
  CHECK_THROWS_WITH(FourierEmbedding(0), contains("got 0 features"));
  CHECK_THROWS_WITH(PointNet({.width = 0}), contains("width 0"));
  CHECK_THROWS_WITH(PointNet({.hidden = 0}), contains("hidden 0"));
  CHECK_THROWS_WITH(PointNet({.noise = {.features = 3}}), contains("got 3 features of the noise"));
  CHECK_THROWS_WITH(PointNet({.dim = INT64_MAX}), contains("PointNet: bad sizes"));
  PointNet points;
  CHECK_THROWS_WITH(points.forward(zeros({2, 3}), zeros({2})), contains("got [2, 3]; expected [batch, 2]"));
  CHECK_THROWS_WITH(points.forward(zeros({2, 2})), contains("got no noise level"));
  CHECK_THROWS_WITH(points.forward(zeros({2, 2}), zeros({3})), contains("got [3]; expected [2]"));
  CHECK_THROWS_WITH(points.forward(zeros({2, 2}), zeros({2}), zeros({2}, i64)), contains("knows no classes"));
  CHECK_THROWS_WITH(UNet({.width = 0}), contains("UNet: got width 0"));
  CHECK_THROWS_WITH(UNet({.width = 12}),
                    contains("groups must divide the channels; got 12 channels at level 0, 8 groups"));
  CHECK_THROWS_WITH(UNet({.multiples = {}}), contains("got 0 levels"));
  CHECK_THROWS_WITH(UNet({.heads = 3}),
                    contains("heads must divide the channels; got 64 channels at level 1, 3 heads"));
  CHECK_THROWS_WITH(UNet({.attention = {2}}), contains("got attention at level 2; expected 0 to 1"));
  CHECK_THROWS_WITH(UNet({.noise = {.features = 0}}), contains("got"));
  CHECK_THROWS_WITH(UNet({.classes = -1}), contains("got classes -1"));
  UNet unet({.width = 8});
  CHECK_THROWS_WITH(unet.forward(zeros({1, 2, 8, 8}), zeros({1})),
                    contains("got [1, 2, 8, 8]; expected [batch, 1, height, width]"));
  CHECK_THROWS_AS(unet.forward(zeros({1, 1, 8, 8}), zeros({2})), ShapeError);
  CHECK_THROWS_WITH(unet.forward(zeros({1, 1, 8, 8}), zeros({1}), zeros({1}, i64)), contains("UNet: got labels"));
  CHECK_THROWS_WITH(DiT({.patch = 3}), contains("the patch must divide the picture; got 8 x 8, patch 3"));
  CHECK_THROWS_WITH(DiT({.dim = 6, .heads = 1}), contains("multiple of 4"));
  CHECK_THROWS_WITH(DiT({.heads = 5}), contains("multiple of 4 and of heads; got dim 64, heads 5"));
  CHECK_THROWS_WITH(DiT().forward(zeros({1, 1, 8, 4}), zeros({1})), contains("expected [batch, 1, 8, 8]"));
}
