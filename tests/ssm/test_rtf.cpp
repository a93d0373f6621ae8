// RTF: the quotient of two FFTs is the kernel of the companion matrix; and the block around any of these layers.
#include "nn/ssm/s4/rtf.h"

#include "autograd/ops.h"
#include "include/inkstone/testing.h"
#include "nn/ssm/poles.h"
#include "nn/ssm/s4/roots.h"
#include "nn/ssm/s4/s4.h"
#include "nn/ssm/s4/s4_block.h"
#include "nn/ssm/s4/s4d.h"
#include "nn/warning.h"
#include "tests/catch.h"
#include "tests/support/layers.h"

using namespace ink;

namespace {

double largest(const Tensor& x) { return x.numel() ? max(abs(x)).item() : 0; }
double error(const Tensor& a, const Tensor& b) { return largest(a - b) / std::max(1e-300, largest(b)); }

// With poles somewhere inside the unit circle, and a numerator of its own.
RTF layer_of(const RtfOptions& o, DType t = f64) {
  manual_seed(2);
  RTF layer(o);
  layer.to(t);
  NoGrad guard;
  layer.a = randn(layer.a.shape(), layer.a.options()) * (0.7 / double(o.state));
  layer.b = randn(layer.b.shape(), layer.b.options());
  return layer;
}
std::string warned(const std::function<void()>& f) {
  Warnings said;
  f();
  return said.texts.empty() ? "" : said.texts.back();
}

}  // namespace

TEST_CASE("RTF: C, solved for as a row, gives the kernel of the quotient by powers, tap 0 included", "[ssm]") {
  for (auto [d, length] : {std::pair<int64_t, int64_t>{1, 2}, {1, 5}, {3, 4}, {4, 8}, {4, 33}, {7, 64}}) {
    const RTF layer = layer_of({.dim = 2, .length = length, .state = d});
    const Tensor kernel = layer.kernel(length), C = layer.output(), A = layer.companion();
    Tensor x = zeros({2, d}, f64);
    x.select(1, 0).fill_(1);  // B_bar
    for (int64_t t = 0; t < length; ++t) {
      const Tensor tap = sum(C * x, {-1});
      CHECK(largest(tap - kernel.select(1, t)) < 1e-10 * largest(kernel));
      x = squeeze(matmul(A, unsqueeze(x, -1)), -1);
    }
    // solved for as a column it is another vector
    const Tensor wrong = squeeze(solve(eye(d, f64) - matrix_power(A, length), unsqueeze(layer.b.detach(), -1)), -1);
    if (d > 1 && length < 32) CHECK(error(wrong, C) > 1e-3);
  }
}

TEST_CASE("RTF: starts as a shift register whose kernel is its numerator", "[ssm]") {
  RTF layer({.dim = 2, .length = 9, .state = 4});
  CHECK(largest(layer.kernel(9)) == 0);
  NoGrad guard;
  layer.b = randn({2, 4});
  CHECK(error(layer.kernel(4), layer.b) < 1e-6);
  CHECK(largest(slice(layer.kernel(9), 1, 4, 9)) < 1e-6);
  CHECK(largest(layer.poles()) == 0);
  RTF::State state;
  const Tensor x = randn({1, 6, 2});
  layer.step(x, state);
  CHECK(equal(state.x, flip(slice(x, 1, 2, 6), {1}).transpose(1, 2)));
}

TEST_CASE("RTF: convolution and recurrence agree, stopped anywhere and resumed", "[ssm]") {
  for (DType t : {f64, f32})
    for (bool constrained : {false, true})
      for (int64_t n : {1, 6, 15, 16}) {
        RTF layer = layer_of({.dim = 3, .length = n == 15 ? 15 : 16, .state = 5, .constrained = constrained}, t);
        const double tolerance = t == f64 ? 1e-10 : 1e-5;
        const Tensor x = randn({2, n, 3}, {t, default_device()}), y = layer.forward(x);
        layer.options.form = SsmForm::recurrent;
        CHECK(error(layer.forward(x), y) < tolerance);
        RTF::State state;
        std::vector<Tensor> parts;
        NoGrad guard;
        for (auto [from, to] : {std::pair<int64_t, int64_t>{0, n / 3}, {n / 3, n - 1}, {n - 1, n}})
          parts.push_back(layer.step(x.slice(1, from, to), state));
        CHECK(error(cat(parts, 1), y) < tolerance);
      }
}

TEST_CASE("RTF: longer sequences are refused; extend() keeps the kernel", "[ssm]") {
  RTF layer = layer_of({.dim = 2, .length = 6, .state = 3});
  const Tensor before = layer.kernel(6).detach(), C = layer.output();
  CHECK_THROWS_AS(layer.forward(ones({1, 7, 2}, f64)), ValueError);
  layer.extend(20);
  CHECK(layer.length() == 24);
  CHECK(error(layer.kernel(6), before) < 1e-10);
  CHECK(error(layer.output(), C) < 1e-10);
  RTF other = layer_of({.dim = 2, .length = 6, .state = 3});
  CHECK_THROWS_AS(other.load_state_dict(layer.state_dict()), ShapeError);
}

TEST_CASE("RTF: causal, samples apart, gradients of all parameters to second order", "[ssm]") {
  for (bool constrained : {false, true})
    for (SsmForm form : {SsmForm::convolution, SsmForm::recurrent}) {
      RTF layer = layer_of({.dim = 2, .length = 5, .state = 3, .form = form, .constrained = constrained}, f32);
      test::check_causal_to_second_order(layer, randn({2, 5, 2}));
    }
}

TEST_CASE("roots of polynomials, far out, close in and at 0; poles that grow are named", "[ssm]") {
  // (z - 2)(z - 3)(z + 0.1) z = z^4 - 4.9 z^3 + 5.5 z^2 + 0.6 z
  const Tensor roots = polynomial_roots(tensor({{-4.9, 5.5, 0.6, 0}}, f64))[0];
  CHECK(largest(std::get<0>(sort(real(roots))) - tensor({-0.1, 0, 2, 3}, f64)) < 1e-12);
  CHECK(largest(imag(roots)) < 1e-12);
  CHECK(largest(abs(polynomial_roots(tensor({{0, 0, 0, 0, 0, 0, 0, -1}}, f64))) - 1) < 1e-12);
  CHECK(polynomial_roots(zeros({2, 3}, f64)).shape() == Shape{2, 3});
  RTF layer({.dim = 2, .length = 8, .state = 2});
  NoGrad guard;
  layer.a = tensor({{0, 0}, {-1.5, 0}});
  RTF::State state;
  const std::string text = warned([&] { layer.step(ones({1, 1, 2}), state); });
  CHECK(text.find("1 of 4 poles lie outside the unit circle") != std::string::npos);
  CHECK(text.find("the worst 1.5 + 0i of modulus 1.5") != std::string::npos);
  CHECK(warned([&] { layer.step(ones({1, 1, 2}), state); }).empty());
  // the pair 0.99 e^{+-0.3 i}: stable, although the coefficients' sum is far above 1; constrained it cannot be had
  layer.a = tensor({{-2 * 0.99 * std::cos(0.3), 0.99 * 0.99}, {0, 0}});
  CHECK_FALSE(warn_if_unstable("test", layer.poles()));
  CHECK(sum(abs(layer.a)).item() > 2.8);
  RTF bound({.dim = 2, .length = 8, .state = 2, .constrained = true});
  bound.a = layer.a;
  CHECK(max(abs(bound.poles())).item() < 1);
}

TEST_CASE("RTF: bad sizes, inputs and states are refused", "[ssm]") {
  CHECK_THROWS_AS(RTF({.dim = 0, .length = 4, .state = 2}), ValueError);
  CHECK_THROWS_AS(RTF({.dim = 2, .length = 4, .state = 4}), ValueError);
  CHECK_THROWS_AS(RTF({.dim = 2, .length = 4, .state = 2, .form = SsmForm::scan}), ValueError);
  RTF layer({.dim = 2, .length = 4, .state = 2});
  CHECK(layer.forward(zeros({1, 0, 2})).shape() == Shape{1, 0, 2});
  CHECK_THROWS_AS(layer.forward(ones({2, 3, 4})), ShapeError);
  RTF::State state;
  layer.step(ones({2, 3, 2}), state);
  CHECK_THROWS_AS(layer.step(ones({1, 3, 2}), state), ShapeError);
  CHECK_THROWS_AS(RTF({.dim = 2, .length = 4, .state = 3}).step(ones({2, 3, 2}), state), ShapeError);
}

TEST_CASE("the block around S4D, S4 and RTF: residual, steps as the whole, saved and loaded", "[ssm]") {
  const auto check = [](AnyMixer ssm) {
    TransformerBlock block = s4_block(4, std::move(ssm));
    const Tensor x = randn({2, 7, 4}), y = block.forward(x);
    CHECK(y.shape() == x.shape());
    check_covers(y.sum(), block);
    BlockState state;
    const Tensor first = block.step(x.slice(1, 0, 3), state), rest = block.step(x.slice(1, 3, 7), state);
    CHECK(error(cat({first, rest}, 1), y) < 1e-4);
    CHECK(state.time() == 7);
    CHECK(verify::causality([&](const Tensor& in) { return block.forward(in); }, x, 1));
  };
  manual_seed(4);
  check(mixer("s4d", S4D({.dim = 4, .state = 4})));
  check(mixer("s4", S4({.dim = 4, .length = 7, .state = 4})));
  check(mixer("rtf", RTF({.dim = 4, .length = 7, .state = 4})));
  CHECK_THROWS_AS(SsmGlu(4, AnyMixer()), ValueError);
}
