#include <cmath>

#include "autograd/graph/engine.h"
#include "autograd/graph/mode.h"
#include "autograd/observe/gradcheck.h"
#include "tensor/parallel.h"
#include "tests/catch.h"
#include "tests/support/tensors.h"

using namespace ink;
using namespace ink::test;

namespace {
// Within five standard deviations of what is expected of n draws: all seeds are fixed, so a failure is no accident.
bool near(double got, double mean, double deviation, int64_t n) {
  return std::abs(got - mean) < 5 * deviation / std::sqrt(double(n));
}
double mean_of(const Tensor& x) { return mean(to(x, f64)).item(); }
}  // namespace

TEST_CASE("the same seed gives the same numbers, a new call gives others", "[random]") {
  Generator a(1), b(1), c(2);
  Tensor x = rand({100}, f32, &a);
  CHECK(equal(x, rand({100}, f32, &b)));
  CHECK(!equal(x, rand({100}, f32, &a)));
  CHECK(!equal(x, rand({100}, f32, &c)));
  Generator::State state = a.state;
  Tensor next = randn({7}, f64, &a);
  a.state = state;
  CHECK(equal(next, randn({7}, f64, &a)));
  manual_seed(3);
  Tensor y = rand_like(x);
  manual_seed(3);
  CHECK(equal(y, rand({100})));
}

TEST_CASE("numbers do not depend on the number of threads", "[random]") {
  int before = num_threads();
  auto draw = [](int threads) {
    set_num_threads(threads);
    Generator g(5);
    return std::vector<Tensor>{rand({100003}, f32, &g), randn({100003}, f32, &g), randperm(5000, &g)};
  };
  auto one = draw(1), two = draw(2);
  set_num_threads(before);
  for (size_t i = 0; i < one.size(); ++i) CHECK(equal(one[i], two[i]));
}

TEST_CASE("rand and randn have the moments and ranges they promise, in every dtype", "[random]") {
  Generator g(7);
  int64_t n = 20000;
  for (DType t : {f32, f64, f16, bf16}) {
    INFO(name_of(t));
    Tensor u = rand({n}, t, &g), z = randn({n}, t, &g);
    CHECK(u.dtype() == t);
    CHECK(min(u).item() >= 0);
    CHECK(max(u).item() < 1);
    CHECK(near(mean_of(u), 0.5, 0.2887, n));
    CHECK(near(mean_of(z), 0, 1, n));
    CHECK(near(mean_of(square(to(z, f64))), 1, 1.4143, n));
  }
  Tensor w = randn({n}, c64, &g);
  CHECK(near(mean_of(square(abs(w))), 1, 1, n));
  CHECK(near(mean_of(real(w) * imag(w)), 0, 0.5, n));
  CHECK(rand({0, 3}).shape() == Shape{0, 3});
  CHECK(rand({}).dim() == 0);
  CHECK_THROWS_WITH(rand({2}, i64), contains("rand: dtype not supported; got i64"));
}

TEST_CASE("randint covers its range evenly, randperm is a permutation", "[random]") {
  Generator g(11);
  Tensor x = randint(-2, 3, {5000}, i64, &g);
  for (int64_t v = -2; v < 3; ++v) CHECK(near(mean_of(eq(x, v)), 0.2, 0.4, 5000));
  CHECK(sum(logical_or(x<-2, x> 2)).item() == 0);
  CHECK(randint(0, 9, {3}, u8, &g).dtype() == u8);
  CHECK_THROWS_WITH(randint(3, 3, {1}), contains("got [3, 3)"));
  Tensor p = randperm(1000, &g);
  CHECK(equal(std::get<0>(sort(p)), arange(1000)));
  CHECK(!equal(p, arange(1000)));
  CHECK(randperm(0).shape() == Shape{0});
  CHECK_THROWS_AS(randperm(-1), ValueError);
  double first = 0;  // the first of three is each with probability 1/3
  for (int i = 0; i < 600; ++i) first += randperm(3, &g)[0].item();
  CHECK(near(first / 600, 1, 0.8165, 600));
}

TEST_CASE("bernoulli", "[random]") {
  Generator g(13);
  Tensor p = expand(tensor({0, 0.25, 1}), {8000, 3}), x = bernoulli(p, &g);
  CHECK(x.dtype() == f32);
  CHECK(mean_of(x.select(1, 0)) == 0);
  CHECK(near(mean_of(x.select(1, 1)), 0.25, 0.433, 8000));
  CHECK(mean_of(x.select(1, 2)) == 1);
  CHECK_THROWS_AS(bernoulli(tensor({1.5})), ValueError);
  CHECK_THROWS_AS(bernoulli(tensor({NAN})), ValueError);
  CHECK_THROWS_AS(bernoulli(tensor({1}, i64)), DTypeError);
}

TEST_CASE("multinomial draws classes by their weights", "[random]") {
  Generator g(17);
  Tensor w = tensor({{1, 0, 3, 0}, {0, 5, 0, 0}});
  Tensor x = multinomial(w, 8000, true, &g);
  CHECK(x.shape() == Shape{2, 8000});
  CHECK(x.dtype() == i64);
  CHECK(near(mean_of(eq(x[0], 0)), 0.25, 0.433, 8000));
  CHECK(near(mean_of(eq(x[0], 2)), 0.75, 0.433, 8000));
  CHECK(all(eq(x[1], 1)).item<bool>());

  Tensor rows = expand(tensor({1, 0, 3, 4}), {4000, 4}), pair = multinomial(rows, 2, false, &g);
  CHECK(all(pair.select(1, 0) != pair.select(1, 1)).item<bool>());
  CHECK(all(ne(pair, 1)).item<bool>());
  CHECK(near(mean_of(eq(pair.select(1, 0), 3)), 0.5, 0.5, 4000));
  // second is 0: after 2 with 3/8 * 1/5, after 3 with 1/2 * 1/4
  CHECK(near(mean_of(eq(pair.select(1, 1), 0)), 0.2, 0.4, 4000));
  CHECK(multinomial(w, 0).shape() == Shape{2, 0});
  CHECK_THROWS_WITH(multinomial(w, 2), contains("expected at least 2"));
  CHECK_THROWS_AS(multinomial(zeros({3}), 1, true), ValueError);
  CHECK_THROWS_AS(multinomial(tensor({1, -1}), 1), ValueError);
  CHECK_THROWS_AS(multinomial(tensor({1, INFINITY}), 1), ValueError);
  CHECK_THROWS_AS(multinomial(Tensor(1.), 1), ShapeError);
}

TEST_CASE("uniform_ and normal_ fill in place, views too", "[random]") {
  manual_seed(19);
  Tensor x = zeros({100, 100});
  x.slice(1, 0, 50).uniform_(2, 3);
  CHECK(sum(x.slice(1, 50, 100)).item() == 0);
  CHECK(min(x.slice(1, 0, 50)).item() >= 2);
  CHECK(max(x).item() < 3);
  x.normal_(5, 0.1);
  CHECK(near(mean_of(x), 5, 0.1, 10000));
  Tensor h = zeros({5000}, bf16).uniform_(-1, 1);
  CHECK(max(h).item() < 1);
  CHECK(min(h).item() >= -1);
  Tensor w = zeros({2}).requires_grad_();
  CHECK_THROWS_AS(w.normal_(), GradError);
  {
    NoGrad guard;
    w.normal_();
  }
  Tensor y = w * 2;
  y.uniform_();
  CHECK(!y.requires_grad());  // nothing of w is left in y
}

TEST_CASE("dropout keeps 1 - p of the elements and scales them", "[random]") {
  Generator g(23);
  Tensor x = ones({20000}), y = dropout(x, 0.25, true, &g);
  Tensor kept = ne(y, 0);
  CHECK(near(mean_of(kept), 0.75, 0.433, 20000));
  CHECK(allclose(masked_select(y, kept), full({1}, 4. / 3)));
  CHECK(dropout(x, 0.5, false).is_same(x));
  CHECK(dropout(x, 0).is_same(x));
  CHECK(count_nonzero(dropout(full({10}, INFINITY), 1)).item() == 0);
  CHECK(dropout(ones({4}, f16), 0.5).dtype() == f16);
  CHECK(dropout(zeros({0}), 0.5).shape() == Shape{0});
  CHECK_THROWS_WITH(dropout(x, 1.5), contains("p must lie in [0, 1]; got 1.5"));
  CHECK_THROWS_AS(dropout(ones({2}, i64), 0.5), DTypeError);
}

TEST_CASE("the backward pass of dropout draws the same mask again", "[random]") {
  Generator g(29);
  Tensor x = ones({1000}, f64).requires_grad_(), y = dropout(x, 0.5, true, &g);
  y.sum().backward();
  CHECK(equal(x.grad(), y.detach()));
  x.zero_grad();
  dropout(x, 1).sum().backward();
  CHECK(count_nonzero(x.grad()).item() == 0);
  auto f = [](const Tensor& t) {
    Generator same(31);
    return square(dropout(t.t(), 0.3, true, &same));
  };
  Tensor in = random_tensor({4, 5}, 1);
  auto first = gradcheck1(f, in), second = gradgradcheck1(f, in);
  INFO(first.message << second.message);
  CHECK((first && second));
}
