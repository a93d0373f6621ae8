#include <optional>

#include "nn/layers/activation.h"
#include "nn/layers/conv.h"
#include "nn/layers/embedding.h"
#include "nn/layers/linear.h"
#include "nn/layers/norm.h"
#include "tests/catch.h"
#include "tests/support/golden.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

const Golden& layers() {
  static const Golden golden("layers.npz");
  return golden;
}
// For layers of one input.
template <class L> std::string differs_from_golden(const std::string& name, L layer) {
  return layer_differs(layers(), name, layer, [&](const std::vector<Tensor>& in) { return layer.forward(in[0]); });
}
// f(x) and its gradient in f64, batch by batch and by central differences.
template <class L> std::string probes_fail(L layer, const Tensor& x) {
  layer.to(f64);
  auto forward = [&](const Tensor& x) { return layer.forward(x); };
  auto batch = verify::batch(forward, x), gradients = verify::gradients(layer, forward, x);
  return batch.message + gradients.message;
}

}  // namespace

TEST_CASE("linear, convolution and embedding layers equal PyTorch's", "[nn][golden]") {
  CHECK(differs_from_golden("linear", Linear(5, 3)) == "");
  CHECK(differs_from_golden("linear_no_bias", Linear(5, 3, {.bias = false})) == "");
  ConvOptions strided{.in = 4, .out = 6, .kernel = 3, .stride = 2, .padding = 2, .dilation = 2, .groups = 2};
  CHECK(differs_from_golden("conv1d", Conv1d(strided)) == "");
  strided.padding = 1;
  CHECK(differs_from_golden("conv2d", Conv2d(strided)) == "");
  CHECK(differs_from_golden("conv2d_3x3", Conv2d({.in = 3, .out = 4, .kernel = 3, .padding = 1})) == "");
  ConvOptions up{
      .in = 4, .out = 6, .kernel = 3, .stride = 3, .padding = 1, .dilation = 2, .groups = 2, .output_padding = 2};
  CHECK(differs_from_golden("conv_transpose1d", ConvTranspose1d(up)) == "");
  CHECK(differs_from_golden("conv_transpose2d", ConvTranspose2d(up)) == "");
  CHECK(differs_from_golden("embedding", Embedding(7, 4)) == "");
}

TEST_CASE("layer and group norm equal PyTorch's", "[nn][golden]") {
  CHECK(differs_from_golden("layer_norm", LayerNorm(6)) == "");
  CHECK(differs_from_golden("group_norm", GroupNorm(3, 6)) == "");
}

TEST_CASE("batch norm equals PyTorch's in training, in its running statistics and in evaluation", "[nn][golden]") {
  auto check = [](const std::string& name, auto layer) {
    auto forward = [&](const std::vector<Tensor>& in) { return layer.forward(in[0]); };
    for (const char* step : {".train0", ".train1", ".train2"})
      CHECK(layer_differs(layers(), name + step, layer, forward) == "");
    CHECK(differs("running mean", layer.running_mean, layers()(name + ".running_mean")) == "");
    CHECK(differs("running var", layer.running_var, layers()(name + ".running_var")) == "");
    layer.eval();
    CHECK(layer_differs(layers(), name + ".eval", layer, forward) == "");
    CHECK(differs("running mean", layer.running_mean, layers()(name + ".running_mean")) == "");
  };
  check("batch_norm1d", BatchNorm1d(3));
  check("batch_norm2d", BatchNorm2d(3));
}

TEST_CASE("losses equal PyTorch's with every reduction", "[nn][loss][golden]") {
  Golden golden("losses.npz");
  using Loss = std::function<Tensor(const Tensor&, const Tensor&, Reduction)>;
  auto entropy = [](double smoothing, int64_t ignored) -> Loss {
    return [=](const Tensor& x, const Tensor& t, Reduction r) {
      return cross_entropy(x, t, {.reduction = r, .label_smoothing = smoothing, .ignore_index = ignored});
    };
  };
  const std::pair<const char*, Loss> losses[] = {
      {"cross_entropy_plain_all", entropy(0, -100)},
      {"cross_entropy_plain_ignore", entropy(0, 1)},
      {"cross_entropy_smooth_all", entropy(0.2, -100)},
      {"cross_entropy_smooth_ignore", entropy(0.2, 1)},
      {"nll", nll_loss},
      {"mse", mse_loss},
      {"l1", l1_loss},
      {"huber", [](const Tensor& x, const Tensor& t, Reduction r) { return huber_loss(x, t, 0.7, r); }},
      {"bce", binary_cross_entropy_with_logits},
      {"kl", kl_div},
  };
  const std::pair<const char*, Reduction> reductions[] = {{".mean", Reduction::mean},
                                                          {".sum", Reduction::sum},
                                                          {".none", Reduction::none}};
  for (const auto& [name, loss] : losses)
    for (const auto& [ending, reduction] : reductions) {
      std::string at = name + std::string(ending);
      Tensor x = golden(std::string(name) + ".x").clone().requires_grad_();
      Tensor value = loss(x, golden(std::string(name) + ".target"), reduction);
      value.backward(golden(at + ".g"));
      CHECK(differs(at, value, golden(at + ".value")) == "");
      CHECK(differs(at + ".dx", x.grad(), golden(at + ".dx")) == "");
    }
}

TEST_CASE("samples do not meet, and derivatives agree with differences", "[nn][grad]") {
  CHECK(probes_fail(Linear(3, 2), normal({3, 3}, 1)) == "");
  CHECK(probes_fail(Conv1d({.in = 2, .out = 2, .kernel = 3, .padding = 1}), normal({2, 2, 4}, 2)) == "");
  CHECK(probes_fail(Conv2d({.in = 2, .out = 2, .kernel = 2, .stride = 2}), normal({2, 2, 4, 4}, 3)) == "");
  CHECK(probes_fail(ConvTranspose1d({.in = 2, .out = 2, .kernel = 3, .stride = 2}), normal({2, 2, 3}, 4)) == "");
  CHECK(probes_fail(ConvTranspose2d({.in = 1, .out = 2, .kernel = 2, .stride = 2}), normal({2, 1, 2, 2}, 5)) == "");
  CHECK(probes_fail(LayerNorm(4), normal({3, 4}, 6)) == "");
  CHECK(probes_fail(RMSNorm(4), normal({3, 4}, 7)) == "");
  CHECK(probes_fail(GroupNorm(2, 4), normal({2, 4, 3}, 8)) == "");
  BatchNorm1d norm(2);
  norm.to(f64);
  auto forward = [&](const Tensor& x) { return norm.forward(x); };
  Tensor x = normal({4, 2, 2}, 9);
  CHECK(verify::gradients(norm, forward, x).message == "");
  CHECK_FALSE(verify::batch(forward, x));  // training mixes the samples
  norm.eval();
  CHECK(verify::batch(forward, x).message == "");
  CHECK(verify::gradients(norm, forward, x).message == "");
}

TEST_CASE("activation layers call the op of their name", "[nn]") {
  Tensor x = normal({2, 3}, 1);
  CHECK(equal(Relu().forward(x), relu(x)));
  CHECK(equal(LeakyRelu(0.3).forward(x), leaky_relu(x, 0.3)));
  CHECK(equal(Elu(2).forward(x), elu(x, 2)));
  CHECK(equal(Gelu().forward(x), gelu(x)));
  CHECK(equal(Gelu(GeluForm::tanh).forward(x), gelu(x, GeluForm::tanh)));
  CHECK(equal(Silu().forward(x), silu(x)));
  CHECK(equal(Tanh().forward(x), tanh(x)));
  CHECK(equal(Sigmoid().forward(x), sigmoid(x)));
  CHECK(equal(Softplus().forward(x), softplus(x)));
  Tensor image = normal({2, 3, 4, 4}, 2);
  CHECK(Flatten().forward(image).shape() == Shape{2, 48});
  CHECK(equal(MaxPool2d({.kernel = 2}).forward(image), max_pool2d(image, {.kernel = 2})));
  CHECK(equal(AvgPool2d({.kernel = 3, .stride = 1}).forward(image), avg_pool2d(image, {.kernel = 3, .stride = 1})));
}

TEST_CASE("dropout keeps the mean while training and is the identity in evaluation", "[nn]") {
  manual_seed(5);
  Dropout drop(0.25);
  Tensor x = ones({100, 100}), y = drop.forward(x);
  double kept = count_nonzero(y).item() / 10000;
  CHECK(std::abs(kept - 0.75) < 5 * std::sqrt(0.75 * 0.25 / 10000));  // five standard deviations
  CHECK(equal(y * (y != 0).to(f32), where(y != 0, full({100, 100}, 1 / 0.75), zeros({100, 100}))));
  CHECK_FALSE(equal(drop.forward(x), y));
  drop.eval();
  CHECK(equal(drop.forward(x), x));
  CHECK_THROWS_WITH(dropout(x, 1.5), contains("dropout"));
}

TEST_CASE("errors of layers name the layer and the sizes", "[nn][errors]") {
  CHECK_THROWS_WITH(Conv2d({.in = 3, .out = 4, .kernel = 3, .groups = 2}),
                    contains("got in 3, out 4, kernel 3, groups 2"));
  CHECK_THROWS_WITH(Conv1d({.in = 3, .out = 4, .kernel = 0}), contains("kernel 0"));
  CHECK_THROWS_AS(GroupNorm(3, 4), ValueError);
  CHECK_THROWS_WITH(GroupNorm(0, 4), contains("GroupNorm: channels must divide into groups; got 4 channels, 0 groups"));
  CHECK_THROWS_AS(Conv2d({.in = 1, .out = 1, .kernel = 3, .stride = 0}).forward(zeros({1, 1, 4, 4})), ValueError);
  CHECK_THROWS_AS(Conv1d({.in = 1, .out = 1, .kernel = 3, .dilation = 0}).forward(zeros({1, 1, 4})), ValueError);
  CHECK_THROWS_AS(ConvTranspose1d({.in = 1, .out = 1, .kernel = 3, .output_padding = 1}).forward(zeros({1, 1, 4})),
                  ValueError);
  BatchNorm2d norm(3);
  CHECK_THROWS_WITH(norm.forward(zeros({2, 3})), contains("BatchNorm2d: wrong input; got [2, 3]"));
  CHECK_THROWS_WITH(norm.forward(zeros({2, 4, 5, 5})), contains("with 3 channels in dim 1"));
  CHECK_THROWS_WITH(BatchNorm1d(3).forward(zeros({1, 3})),
                    contains("training needs more than one value per channel; got [1, 3]"));
  CHECK_THROWS_WITH(BatchNorm1d(3).forward(zeros({3})), contains("BatchNorm1d: wrong input; got [3]"));
  CHECK_THROWS_AS(Linear(3, 2).forward(zeros({2, 4})), ShapeError);
  CHECK_THROWS_WITH(Linear(0, 2), contains("Linear: got in 0, out 2; expected positive sizes"));
  CHECK_THROWS_AS(Embedding(3, 2).forward(tensor({3}, i64)), IndexError);
  CHECK_THROWS_AS(Embedding(3, 2).forward(zeros({2})), DTypeError);
  CHECK_THROWS_AS(Embedding(-1, 2), Error);
  CHECK_THROWS_AS(LayerNorm(4).forward(zeros({2, 3})), ShapeError);
  CHECK_THROWS_AS(Conv2d({.in = 3, .out = 4, .kernel = 3}).forward(zeros({1, 2, 8, 8})), ShapeError);
}
