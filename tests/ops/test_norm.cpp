#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

Tensor standardised(const Tensor& x, const Dims& dims, double eps) {
  return (x - mean(x, dims, true)) / sqrt(var(x, dims, 0, true) + eps);
}

}  // namespace

TEST_CASE("layer_norm, rms_norm and group_norm follow their formulas", "[norm]") {
  Tensor x = normal({2, 3, 6}, 1) * 2 + 5, w = normal({6}, 2), b = normal({6}, 3);
  CHECK(difference(layer_norm(x), standardised(x, -1, 1e-5)) < 1e-13);
  CHECK(difference(layer_norm(x, w, b), standardised(x, -1, 1e-5) * w + b) < 1e-13);
  CHECK(difference(layer_norm(x, {}, b, 0.1), standardised(x, -1, 0.1) + b) < 1e-13);
  CHECK(difference(rms_norm(x, w), x * rsqrt(mean(square(x), -1, true) + 1e-6) * w) < 1e-13);
  Tensor image = normal({2, 6, 3, 2}, 4) + 1;
  Tensor grouped = reshape(standardised(reshape(image, {2, 3, 2, 3, 2}), {2, 3, 4}, 1e-5), {2, 6, 3, 2});
  CHECK(difference(group_norm(image, 3), grouped) < 1e-13);
  CHECK(difference(group_norm(image, 3, w, b), grouped * reshape(w, {6, 1, 1}) + reshape(b, {6, 1, 1})) < 1e-13);
  CHECK(difference(layer_norm(transpose(x, 0, 1), w, b), transpose(layer_norm(x, w, b), 0, 1)) < 1e-15);
}

TEST_CASE("a large mean does not drown the variance", "[norm]") {
  Tensor x = normal({4, 64}, 1, f32) + 3000.0;
  const double ulp =
      1.0 / 4096;  // of numbers near 3000: the mean is rounded that finely. E[x^2] - E[x]^2 would be off by 1
  CHECK(difference(layer_norm(x), layer_norm(to(x, f64))) < 2 * ulp);
  CHECK(difference(var(x, 1), var(to(x, f64), 1)) < ulp * ulp + 1e-6);
}

TEST_CASE("normalisation rounds halves once and takes empty tensors", "[norm]") {
  Tensor x = normal({3, 40}, 1, bf16), w = normal({40}, 2, bf16);
  CHECK(equal(layer_norm(x, w), to(layer_norm(to(x, f32), to(w, f32)), bf16)));
  CHECK(layer_norm(zeros({0, 4}), ones({4})).shape() == Shape{0, 4});
  Tensor w2 = ones({4}).requires_grad_();
  group_norm(zeros({2, 4, 0}), 2, w2).sum().backward();
  CHECK(equal(w2.grad(), zeros({4})));
}

TEST_CASE("gradients of norms; the fused backward equals the composition", "[norm][grad]") {
  Tensor x = normal({2, 2, 4}, 1), w = normal({4}, 2), b = normal({4}, 3), image = normal({2, 4, 3}, 4);
  auto layer = [](const TensorList& in) { return layer_norm(in[0], in[1], in[2]); };
  auto rms = [](const TensorList& in) { return rms_norm(in[0], in[1]); };
  auto group = [](const TensorList& in) { return group_norm(in[0], 2, in[1], in[2]); };
  auto plain = [](const TensorList& in) { return layer_norm(in[0]); };
  CHECK(check_twice([&](const TensorList& in) { return TensorList{layer(in)}; }, {x, w, b}) == "");
  CHECK(check_twice([&](const TensorList& in) { return TensorList{rms(in)}; }, {x, w}) == "");
  CHECK(check_twice([&](const TensorList& in) { return TensorList{group(in)}; }, {image, w, b}) == "");
  CHECK(check_twice([&](const TensorList& in) { return TensorList{plain(in)}; }, {x}) == "");
  CHECK(paths_differ(layer, {normal({7, 33}, 1), normal({33}, 2), normal({33}, 3)}) < 1e-12);
  CHECK(paths_differ(rms, {normal({7, 33}, 1), normal({33}, 2)}) < 1e-12);
  CHECK(paths_differ(group, {normal({3, 8, 5}, 1), normal({8}, 2), normal({8}, 3)}) < 1e-12);
  CHECK(paths_differ(plain, {normal({7, 33}, 1)}) < 1e-12);
}

TEST_CASE("var, std and var_mean over any dims", "[norm]") {
  Tensor x = normal({3, 4, 5}, 1);
  for (const Dims& dims : {Dims{}, Dims{0}, Dims{1}, Dims{2}, Dims{0, 2}, Dims{1, 2}}) {
    Tensor m = mean(x, dims, true), squares = sum(square(x - m), dims, true);
    const double n = double(x.numel()) / double(m.numel());
    auto [v, mu] = var_mean(x, dims, 1, true);
    CHECK(difference(v, squares / (n - 1)) < 1e-14);
    CHECK(difference(mu, m) < 1e-14);
    CHECK(difference(var(x, dims, 0, true), squares / n) < 1e-14);
    CHECK(difference(ink::std(x, dims), sqrt(var(x, dims))) < 1e-15);
  }
  CHECK(std::isnan(var(ones({1}, f64)).item()));
  CHECK(var(zeros({0, 3}), 0).shape() == Shape{3});
  auto both = [](const TensorList& in) {
    auto [v, m] = var_mean(in[0], {0, 2});
    return TensorList{v, m};
  };
  CHECK(check_twice(both, {normal({2, 3, 2}, 2)}) == "");
  CHECK(check_twice([](const Tensor& x) { return ink::std(x, 1, 0, true); }, normal({2, 3, 2}, 3)) == "");
}

TEST_CASE("errors of norms name the op and the shapes", "[norm][errors]") {
  CHECK_THROWS_WITH(layer_norm(zeros({2, 4}), ones({3})),
                    contains("layer_norm: weight has the wrong shape; got [3]; expected [4]"));
  CHECK_THROWS_WITH(layer_norm(zeros({})), contains("layer_norm: the input has no dims"));
  CHECK_THROWS_WITH(group_norm(zeros({2, 4, 3}), 3), contains("group_norm: the channels cannot be cut into 3 groups"));
  CHECK_THROWS_AS(var(whole({3}, 4, 1)), DTypeError);
  CHECK_THROWS_AS(rms_norm(normal({2, 2}, 1, c64)), DTypeError);
}
