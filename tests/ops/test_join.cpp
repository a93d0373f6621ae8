#include "autograd/graph/engine.h"
#include "autograd/observe/gradcheck.h"
#include "tests/catch.h"
#include "tests/support/tensors.h"

using namespace ink;
using namespace ink::test;

namespace {
Tensor grid(const Shape& shape) { return reshape(arange(0, shape.numel(), 1, f64), shape); }
template <class F> void check_gradients(F f, const Tensor& x) {
  auto curved = [&](const Tensor& t) { return square(f(t)); };
  auto first = gradcheck1(curved, x), second = gradgradcheck1(curved, x);
  INFO(first.message << second.message);
  CHECK((first && second));
}
}  // namespace

TEST_CASE("cat joins along any dim, promotes, and takes strided and empty parts", "[join]") {
  Tensor a = grid({2, 2}), b = grid({1, 2}) + 10;
  CHECK(values(cat({a, b})) == Values{0, 1, 2, 3, 10, 11});
  CHECK(values(cat({a, a.t()}, -1)) == Values{0, 1, 0, 2, 2, 3, 1, 3});
  CHECK(values(cat({strided(a), zeros({0, 2}, f64), b})) == Values{0, 1, 2, 3, 10, 11});
  CHECK(cat({zeros({2, 0}), zeros({2, 0})}, 1).shape() == Shape{2, 0});
  CHECK(cat({zeros({1}, i64), zeros({1}, f16)}).dtype() == f16);
  CHECK(cat({zeros({1}, i32), zeros({1}, c64)}).dtype() == c64);
  CHECK_THROWS_WITH(cat({a, zeros({2, 3})}), contains("got [2, 3] after [2, 2]; expected equal sizes except in dim 0"));
  CHECK_THROWS_AS(cat({a, zeros({2})}), ShapeError);
  CHECK_THROWS_AS(cat({Tensor(1.)}), ShapeError);
  CHECK_THROWS_AS(cat({}), ValueError);
  CHECK_THROWS_AS(cat({a}, 2), IndexError);
}

TEST_CASE("stack makes a new dim", "[join]") {
  Tensor a = tensor({1, 2}), b = tensor({3, 4});
  CHECK(values(stack({a, b})) == Values{1, 2, 3, 4});
  CHECK(values(stack({a, b}, 1)) == Values{1, 3, 2, 4});
  CHECK(values(stack({a, b}, -1)) == Values{1, 3, 2, 4});
  CHECK(stack({Tensor(1.), Tensor(2.)}).shape() == Shape{2});
  CHECK_THROWS_WITH(stack({a, zeros({3})}), contains("got [2] and [3]"));
}

TEST_CASE("cat gives each of many inputs its own part of the gradient", "[join]") {
  std::vector<Tensor> leaves, parts;
  for (int i = 0; i < 70; ++i) {
    Tensor x = full({1 + i % 3}, double(i), f64);
    if (i % 2) leaves.push_back(x.requires_grad_());
    parts.push_back(x);
  }
  square(cat(parts)).sum().backward();
  for (const Tensor& x : leaves) REQUIRE(values(x.grad()) == values(x.detach() * 2));
}

TEST_CASE("pad in four modes", "[join]") {
  Tensor x = tensor({1, 2, 3});
  CHECK(values(pad(x, {2, 1})) == Values{0, 0, 1, 2, 3, 0});
  CHECK(values(pad(x, {1, 0}, PadMode::constant, 9)) == Values{9, 1, 2, 3});
  CHECK(values(pad(x, {-1, 1})) == Values{2, 3, 0});
  CHECK(values(pad(x, {0, -2})) == Values{1});
  CHECK(values(pad(x, {-4, 3})) == Values{0, 0});
  CHECK(values(pad(x, {2, -4}, PadMode::constant, 7)) == Values{7});
  CHECK(values(pad(x, {2, 2}, PadMode::reflect)) == Values{3, 2, 1, 2, 3, 2, 1});
  CHECK(values(pad(x, {2, 1}, PadMode::replicate)) == Values{1, 1, 1, 2, 3, 3});
  CHECK(values(pad(x, {2, 3}, PadMode::circular)) == Values{2, 3, 1, 2, 3, 1, 2, 3});
  CHECK(values(pad(tensor({{1, 2}, {3, 4}}), {0, 1, 1, 0})) == Values{0, 0, 0, 1, 2, 0, 3, 4, 0});
  CHECK(values(pad(tensor({{1, 2}, {3, 4}}).t(), {1, 0}, PadMode::reflect)) == Values{3, 1, 3, 4, 2, 4});
  CHECK(pad(zeros({0, 2}), {1, 1, 2, 0}).shape() == Shape{2, 4});
  CHECK_THROWS_WITH(pad(x, {3, 0}, PadMode::reflect), contains("expected 0 to 2"));
  CHECK_THROWS_WITH(pad(x, {4, 0}, PadMode::circular), contains("expected 0 to 3"));
  CHECK_THROWS_AS(pad(x, {-1, 0}, PadMode::replicate), ShapeError);
  CHECK_THROWS_AS(pad(x, {1}), ShapeError);
  CHECK_THROWS_AS(pad(x, {1, 1, 1, 1}), ShapeError);
  CHECK_THROWS_WITH(pad(x, {-2, -2}), contains("crops more than there is"));
}

TEST_CASE("roll and flip", "[join]") {
  Tensor x = grid({2, 3});
  CHECK(values(roll(x, 1, 1)) == Values{2, 0, 1, 5, 3, 4});
  CHECK(values(roll(x, -4, -1)) == Values{1, 2, 0, 4, 5, 3});
  CHECK(values(roll(x, 3, 1)) == values(x));
  CHECK(values(roll(x, 1, 0)) == Values{3, 4, 5, 0, 1, 2});
  CHECK(roll(zeros({0, 3}), 1, 0).shape() == Shape{0, 3});
  CHECK(values(flip(x, 1)) == Values{2, 1, 0, 5, 4, 3});
  CHECK(values(flip(x, {0, 1})) == Values{5, 4, 3, 2, 1, 0});
  CHECK(values(flip(x.t(), 0)) == Values{2, 5, 1, 4, 0, 3});
  CHECK(values(flip(strided(grid({3, 4})), {0, -1})) == Values{11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0});
  CHECK(flip(zeros({2, 0}), 0).shape() == Shape{2, 0});
  CHECK_THROWS_AS(flip(x, {0, 0}), ValueError);
  CHECK_THROWS_AS(flip(x, 2), IndexError);
  Tensor long_line = grid({1000});
  CHECK(equal(flip(long_line, 0), 999 - long_line));
}

TEST_CASE("tril, triu and diag", "[join]") {
  Tensor x = grid({3, 3}) + 1;
  CHECK(values(tril(x)) == Values{1, 0, 0, 4, 5, 0, 7, 8, 9});
  CHECK(values(tril(x, -1)) == Values{0, 0, 0, 4, 0, 0, 7, 8, 0});
  CHECK(values(triu(x)) == Values{1, 2, 3, 0, 5, 6, 0, 0, 9});
  CHECK(values(triu(x, 1)) == Values{0, 2, 3, 0, 0, 6, 0, 0, 0});
  CHECK(equal(tril(x, 1) + triu(x, 2), x));
  CHECK(values(triu(full({2, 2}, NAN))).at(2) == 0);
  CHECK(tril(zeros({4, 2, 3}, i64)).shape() == Shape{4, 2, 3});
  CHECK_THROWS_WITH(tril(zeros({3})), contains("needs at least 2 dims; got shape [3]"));
  CHECK(values(diag(tensor({1, 2, 3}))) == Values{1, 0, 0, 0, 2, 0, 0, 0, 3});
  CHECK(diag(zeros({0})).shape() == Shape{0, 0});
  CHECK_THROWS_WITH(diag(x), contains("hint: diagonal()"));
}

TEST_CASE("repeat tiles, repeat_interleave repeats in place", "[join]") {
  Tensor x = tensor({{1, 2}, {3, 4}});
  CHECK(values(repeat(x, {1, 2})) == Values{1, 2, 1, 2, 3, 4, 3, 4});
  CHECK(values(repeat(x, {2, 1})) == Values{1, 2, 3, 4, 1, 2, 3, 4});
  CHECK(repeat(x, {3, 1, 2}).shape() == Shape{3, 2, 4});
  CHECK(repeat(x, {0, 1}).shape() == Shape{0, 2});
  CHECK(repeat(zeros({1, 1, 1, 1, 1, 1, 1, 2}), {1, 2, 1, 1, 1, 1, 1, 2}).numel() == 8);
  CHECK(!repeat(x, {1, 1}).shares_storage(x));
  CHECK_THROWS_WITH(repeat(x, {2}), contains("got [2] for shape [2, 2]"));
  CHECK_THROWS_AS(repeat(x, {1, -1}), ValueError);
  CHECK(values(repeat_interleave(x, 2, 1)) == Values{1, 1, 2, 2, 3, 3, 4, 4});
  CHECK(values(repeat_interleave(x, 2, 0)) == Values{1, 2, 1, 2, 3, 4, 3, 4});
  CHECK(values(repeat_interleave(x.t(), 2, -1)) == Values{1, 1, 3, 3, 2, 2, 4, 4});
  CHECK(repeat_interleave(x, 0, 0).shape() == Shape{0, 2});
  CHECK(!repeat_interleave(x, 1, 0).shares_storage(x));
}

TEST_CASE("one_hot", "[join]") {
  Tensor y = one_hot(tensor({2, 0}, i64), 3);
  CHECK(y.dtype() == f32);
  CHECK(values(y) == Values{0, 0, 1, 1, 0, 0});
  CHECK(one_hot(zeros({2, 0}, i32), 3).shape() == Shape{2, 0, 3});
  CHECK_THROWS_WITH(one_hot(tensor({3}, i64), 3), contains("got 3; expected 0 to 2"));
  CHECK_THROWS_WITH(one_hot(tensor({-1}, i64), 3), contains("got -1"));
  CHECK_THROWS_AS(one_hot(tensor({1.}), 3), DTypeError);
}

TEST_CASE("gradients of joins and copies, to second order", "[join]") {
  Tensor x = random_tensor({3, 4}, 1);
  check_gradients([](const Tensor& t) { return cat({t, t.slice(0, 0, 1) * 2, ones({2, 4}, f64)}); }, x);
  check_gradients([](const Tensor& t) { return stack({t, t * 3}, 1); }, x);
  check_gradients([](const Tensor& t) { return pad(t, {1, 2, -1, 1}, PadMode::constant, 3); }, x);
  for (PadMode m : {PadMode::reflect, PadMode::replicate, PadMode::circular})
    check_gradients([m](const Tensor& t) { return pad(t, {2, 1, 1, 2}, m); }, x);
  check_gradients([](const Tensor& t) { return roll(t, 2, 1); }, x);
  check_gradients([](const Tensor& t) { return flip(t, {0, 1}) * t; }, x);
  check_gradients([](const Tensor& t) { return tril(t) * triu(t, 1) + tril(t, -1); }, x);
  check_gradients([](const Tensor& t) { return repeat(t, {2, 1, 3}); }, x);
  check_gradients([](const Tensor& t) { return repeat_interleave(t, 3, 0); }, x);
  check_gradients([](const Tensor& t) { return diag(t); }, random_tensor({3}, 2));
}
