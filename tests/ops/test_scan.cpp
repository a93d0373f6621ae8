#include <cmath>

#include "autograd/graph/engine.h"
#include "autograd/observe/gradcheck.h"
#include "tests/catch.h"
#include "tests/support/tensors.h"

using namespace ink;
using namespace ink::test;

namespace {
template <class F> void check_gradients(F f, const Tensor& x) {
  auto curved = [&](const Tensor& t) { return square(f(t)); };
  auto first = gradcheck1(curved, x), second = gradgradcheck1(curved, x);
  INFO(first.message << second.message);
  CHECK((first && second));
}
const double inf = INFINITY;
}  // namespace

TEST_CASE("cumsum and cumprod along any dim", "[scan]") {
  Tensor x = tensor({{1, 2, 3}, {4, 5, 6}});
  CHECK(values(cumsum(x, 1)) == Values{1, 3, 6, 4, 9, 15});
  CHECK(values(cumsum(x, 0)) == Values{1, 2, 3, 5, 7, 9});
  CHECK(values(cumprod(x, -1)) == Values{1, 2, 6, 4, 20, 120});
  CHECK(values(cumsum(x.t(), 0)) == Values{1, 4, 3, 9, 6, 15});
  CHECK(values(cumsum(strided(x), 0)) == Values{1, 2, 3, 5, 7, 9});
  CHECK(cumsum(zeros({0, 3}), 0).shape() == Shape{0, 3});
  CHECK(cumsum(Tensor(4.), 0).item() == 4);
  CHECK(cumsum(tensor({1, 1}, boolean), 0).dtype() == i64);
  CHECK(values(cumsum(tensor({200, 100}, u8), 0)) == Values{200, 300});
  CHECK(cumsum(ones({3}, f16), 0).dtype() == f16);
  Tensor z = cumprod(complex_of(tensor({0, 0}), tensor({1, 1})), 0);  // i, -1
  CHECK(values(real(z)) == Values{0, -1});
  CHECK_THROWS_AS(cumsum(x, 2), IndexError);
}

TEST_CASE("the gradient of cumprod is right at zeros", "[scan]") {
  for (std::initializer_list<double> v :
       {std::initializer_list<double>{2, 3, 4}, {0, 3, 4}, {2, 0, 4}, {2, 3, 0}, {0, 0, 4}, {0, 0, 0}}) {
    Tensor x = tensor(v, f64).requires_grad_();
    cumprod(x, 0).sum().backward();
    double a = x.detach()[0].item(), b = x.detach()[1].item(), c = x.detach()[2].item();
    CHECK(values(x.grad()) == Values{1 + b + b * c, a + a * c, a * b});
    check_gradients([](const Tensor& t) { return cumprod(t, 0); }, x.detach());
  }
  check_gradients([](const Tensor& t) { return cumprod(t, 1); }, random_tensor({2, 5, 3}, 3));
  check_gradients([](const Tensor& t) { return real(cumprod(complex_of(t, t * 0.3 + 1), 1)); },
                  random_tensor({2, 3}, 4));
}

TEST_CASE("cummax keeps the last of equal maxima and propagates NaN", "[scan]") {
  auto [v, i] = cummax(tensor({1, 3, 3, 2, 4}), 0);
  CHECK(values(v) == Values{1, 3, 3, 3, 4});
  CHECK(values(i) == Values{0, 1, 2, 2, 4});
  auto [w, j] = cummax(tensor({{1, NAN}, {5, 2}, {3, 7}}), 0);
  CHECK(values(w.select(1, 0)) == Values{1, 5, 5});
  CHECK(all(isnan(w.select(1, 1))).item<bool>());
  CHECK(values(j.select(1, 1)) == Values{0, 0, 0});
  CHECK(values(std::get<0>(cummax(tensor({3, 1, 9}, i64), 0))) == Values{3, 3, 9});
  CHECK(std::get<1>(cummax(zeros({2, 0}), 1)).shape() == Shape{2, 0});
}

TEST_CASE("logcumsumexp neither overflows nor loses -inf", "[scan]") {
  CHECK(allclose(logcumsumexp(tensor({0, 0, 0}, f64), 0), log(tensor({1, 2, 3}, f64)), 1e-14));
  Tensor high = logcumsumexp(tensor({1000, 1000, -1000}, f64), 0);
  CHECK(allclose(high, tensor({1000, 1000 + std::log(2), 1000 + std::log(2)}, f64), 1e-14));
  Tensor x = tensor({-inf, -inf, 2, 1}, f64).requires_grad_();
  Tensor y = logcumsumexp(x, 0);
  CHECK(values(y.slice(0, 0, 3)) == Values{-inf, -inf, 2});
  y.select(0, 3).sum().backward();
  double p = 1 / (1 + std::exp(-1.));
  CHECK(allclose(x.grad(), tensor({0, 0, p, 1 - p}, f64), 1e-14));
  CHECK(logcumsumexp(tensor({1, 2}, i64), 0).dtype() == f32);
  CHECK(logcumsumexp(zeros({3, 0}), 1).shape() == Shape{3, 0});
}

TEST_CASE("sliding_window_max against the definition", "[scan]") {
  CHECK(values(sliding_window_max(tensor({1, 3, -1, -3, 5, 3, 6, 7}), 3)) == Values{3, 3, 5, 5, 6, 7});
  CHECK(sliding_window_max(tensor({1, 3, -1}, i32), 2).dtype() == i32);
  CHECK(values(sliding_window_max(tensor({1, 3, -1}, i32), 2)) == Values{3, 3});
  Tensor x = random_tensor({3, 20, 2}, 5);
  for (int64_t w : {1, 2, 5, 19, 20}) {
    Tensor expected = max(unfold(x, 1, w, 1), -1);
    REQUIRE(equal(sliding_window_max(x, w, 1), expected));
    REQUIRE(equal(sliding_window_max(strided(x), w, -2), expected));
    REQUIRE(allclose(sliding_window_max(to(x, bf16), w, 1), to(expected, bf16)));
  }
  Tensor tie = tensor({2, 2, 1}, f64).requires_grad_();
  sliding_window_max(tie, 2).sum().backward();
  CHECK(values(tie.grad()) == Values{1, 1, 0});  // windows (2, 2) and (2, 1): each to its first maximum
  CHECK_THROWS_WITH(sliding_window_max(x, 21, 1), contains("got 21; expected 1 to 20"));
  CHECK_THROWS_AS(sliding_window_max(x, 0), ValueError);
  CHECK(values(sliding_window_max(tensor({-9, 4, 5, 1}, i64), 2)) == Values{4, 5, 5});
  CHECK_THROWS_WITH(sliding_window_max(full({3}, int64_t(1) << 60, i64), 2), contains("beyond 2^53"));
  CHECK(sliding_window_max(zeros({0, 4}), 2).shape() == Shape{0, 3});
}

TEST_CASE("gradients of running reductions, to second order", "[scan]") {
  Tensor x = random_tensor({3, 7}, 6);
  for (int64_t dim : {0, 1}) {
    check_gradients([=](const Tensor& t) { return cumsum(t, dim); }, x);
    check_gradients([=](const Tensor& t) { return std::get<0>(cummax(t, dim)); }, x);
    check_gradients([=](const Tensor& t) { return logcumsumexp(t * 3, dim); }, x);
    check_gradients([=](const Tensor& t) { return sliding_window_max(t, 3, dim); }, x);
  }
  Tensor half = to(x, f16).requires_grad_(), single = to(to(x, f16), f32).requires_grad_();
  cumprod(half, 1).sum().backward();
  cumprod(single, 1).sum().backward();
  CHECK(allclose(to(half.grad(), f32), single.grad(), 1e-3, 1e-3));
}
