#include <cmath>

#include "autograd/graph/engine.h"
#include "autograd/observe/gradcheck.h"
#include "tests/catch.h"
#include "tests/support/tensors.h"

using namespace ink;
using namespace ink::test;

TEST_CASE("sort is stable, NaN counts as the largest", "[sort]") {
  auto [v, i] = sort(tensor({3, 1, 3, NAN, 2}));
  CHECK(values(v.slice(0, 0, 4)) == Values{1, 2, 3, 3});
  CHECK(std::isnan(v[4].item()));
  CHECK(values(i) == Values{1, 4, 0, 2, 3});
  CHECK(values(argsort(tensor({3, 1, 3, NAN, 2}), 0, true)) == Values{3, 0, 2, 4, 1});
  CHECK(values(argsort(tensor({0, -0., 0}))) == Values{0, 1, 2});
  CHECK(values(std::get<0>(sort(tensor({3, -1, 200}, i32)))) == Values{-1, 3, 200});
  CHECK(std::get<0>(sort(tensor({3, -1}, bf16))).dtype() == bf16);
  CHECK(std::get<1>(sort(Tensor(2.))).item() == 0);
  CHECK(std::get<0>(sort(zeros({2, 0}))).shape() == Shape{2, 0});
  CHECK_THROWS_AS(sort(zeros({2}, c64)), DTypeError);
}

TEST_CASE("sort and topk along any dim and layout", "[sort]") {
  Tensor x = random_tensor({3, 5, 4}, 1);
  for (int64_t dim : {0, 1, 2}) {
    auto [v, i] = sort(strided(x), dim);
    REQUIRE(equal(v, gather(x, dim, i)));
    int64_t n = x.size(dim);
    REQUIRE(all(v.slice(dim, 1, n) >= v.slice(dim, 0, n - 1)).item<bool>());
    for (bool largest : {false, true}) {
      auto [best, at] = topk(strided(x), 2, dim, largest);
      auto [sorted, order] = sort(x, dim, largest);
      REQUIRE(equal(best, sorted.slice(dim, 0, 2)));
      REQUIRE(equal(at, order.slice(dim, 0, 2)));
    }
  }
  CHECK(std::get<0>(topk(x, 0, 1)).shape() == Shape{3, 0, 4});
  CHECK_THROWS_WITH(topk(x, 6, 1), contains("got 6; expected at most 5, the size of dim 1"));
  CHECK_THROWS_AS(topk(x, -1), ValueError);
}

TEST_CASE("extremes: NaN wins, ties go to the first", "[sort]") {
  Tensor x = tensor({{1, 5, 5}, {7, NAN, 9}});
  CHECK(values(argmax(x, -1)) == Values{1, 1});
  CHECK(values(argmin(x, 1)) == Values{0, 1});
  CHECK(values(argmax(x, 0, true)) == Values{1, 1, 1});
  CHECK(argmax(x, 0, true).shape() == Shape{1, 3});
  auto [v, i] = max_with_indices(x, 1, true);
  CHECK(v.shape() == Shape{2, 1});
  CHECK(v.index({0, 0}).item() == 5);
  CHECK(std::isnan(v.index({1, 0}).item()));
  auto [low, at] = min_with_indices(x.slice(0, 0, 1), -1);
  CHECK(low.shape() == Shape{1});
  CHECK(low.item() == 1);
  CHECK(at.item() == 0);
  CHECK(argmax(Tensor(3.)).item() == 0);
  CHECK(values(argmax(tensor({3, 1, 4}, f16).reshape({3, 1}), 0)) == Values{2});
  CHECK(argmax(zeros({0, 3}), -1).shape() == Shape{0});
  CHECK_THROWS_WITH(argmax(zeros({2, 0}), -1), contains("argmax: nothing to reduce in dim 1; got shape [2, 0]"));
  // Without a dim: among all elements, in row-major order whatever the strides are.
  CHECK(argmax(x).shape() == Shape{});
  CHECK(argmax(x).dtype() == i64);
  CHECK(argmax(x).item() == 4);
  CHECK(argmax(x.t()).item() == 3);
  CHECK(x.argmin().item() == 4);
  CHECK(argmin(tensor({{3, 1}, {1, 2}})).item() == 1);
  CHECK(x.argmax({}, true).shape() == Shape{1, 1});
  CHECK(!argmax(clone(x).requires_grad_()).requires_grad());
  CHECK_THROWS_WITH(argmax(zeros({0, 3})), contains("argmax: nothing to reduce"));
  CHECK_THROWS_AS(argmax(x, 2), IndexError);
  CHECK_THROWS_AS(argmax(zeros({2}, c64)), DTypeError);
}

TEST_CASE("gradients go back to where values came from, to second order", "[sort]") {
  Tensor x = random_tensor({3, 6}, 2);
  auto check = [&](auto f) {
    auto curved = [&](const Tensor& t) { return f(t) * f(square(t)); };
    auto first = gradcheck1(curved, x), second = gradgradcheck1(curved, x);
    INFO(first.message << second.message);
    CHECK((first && second));
  };
  for (int64_t dim : {0, 1}) {
    check([=](const Tensor& t) { return std::get<0>(sort(t, dim)); });
    check([=](const Tensor& t) { return std::get<0>(sort(t, dim, true)); });
    check([=](const Tensor& t) { return std::get<0>(topk(t, 2, dim)); });
    check([=](const Tensor& t) { return std::get<0>(max_with_indices(t, dim)); });
    check([=](const Tensor& t) { return std::get<0>(min_with_indices(t, dim, true)); });
  }
  CHECK(!argmax(clone(x).requires_grad_()).requires_grad());
  CHECK(!argsort(clone(x).requires_grad_()).requires_grad());
  CHECK(!std::get<1>(sort(clone(x).requires_grad_())).requires_grad());
}
