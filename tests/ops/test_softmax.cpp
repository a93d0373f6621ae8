#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

TEST_CASE("softmax is e^x over its sum, along any dim and for any layout", "[softmax]") {
  Tensor x = normal({3, 5, 4}, 1);
  for (int64_t dim : {0, 1, 2, -1, -3}) {
    Tensor naive = exp(x) / sum(exp(x), dim, true);
    CHECK(difference(softmax(x, dim), naive) < 1e-14);
    CHECK(difference(log_softmax(x, dim), log(naive)) < 1e-14);
    CHECK(difference(logsumexp(x, dim), log(sum(exp(x), dim))) < 1e-14);
  }
  Tensor t = transpose(x, 0, 2);
  CHECK(difference(softmax(t, 0), transpose(softmax(x, 2), 0, 2)) < 1e-15);
  CHECK(difference(logsumexp(x, {0, 2}), log(sum(exp(x), {0, 2}))) < 1e-14);
  CHECK(difference(logsumexp(x), log(sum(exp(x)))) < 1e-14);
  CHECK(logsumexp(x, {0, 2}, true).shape() == Shape{1, 5, 1});
  CHECK(equal(softmax(full({}, 3.0), 0), ones({})));
  CHECK(softmax(zeros({2, 0}), 1).shape() == Shape{2, 0});
}

TEST_CASE("the softmax family neither overflows nor loses rows of -inf", "[softmax]") {
  Tensor x = tensor({{1000, 1001}, {-1000, -1001}}, f64);
  Tensor gap = tensor({{0, 1}, {0, -1}}, f64);
  CHECK(difference(softmax(x, 1), softmax(gap, 1)) < 1e-15);
  CHECK(difference(logsumexp(x, 1), logsumexp(gap, 1) + tensor({1000, -1000}, f64)) < 1e-15);
  Tensor hidden = full({2, 3}, -INFINITY, f64).requires_grad_();
  Tensor y = logsumexp(hidden, 1);
  CHECK(equal(y, full({2}, -INFINITY, f64)));
  y.sum().backward();
  CHECK(equal(hidden.grad(), zeros({2, 3}, f64)));
  CHECK(logsumexp(tensor({1, INFINITY}, f64)).item() == INFINITY);
  CHECK(equal(logsumexp(zeros({2, 0}), 1), full({2}, -INFINITY)));
}

TEST_CASE("causal_softmax is softmax of the masked scores", "[softmax]") {
  for (auto [queries, keys] : {std::pair<int64_t, int64_t>{5, 5}, {3, 7}, {1, 4}}) {
    Tensor x = normal({2, 3, queries, keys}, 1), seen = tri(queries, keys, keys - queries);
    CHECK(difference(causal_softmax(x), softmax(masked_fill(x, !seen, -INFINITY), -1)) < 1e-15);
  }
  // more queries than keys: the first see nothing
  Tensor y = causal_softmax(normal({4, 2}, 1));
  CHECK(equal(slice(y, 0, 0, 2), zeros({2, 2}, f64)));
  CHECK(difference(sum(slice(y, 0, 2, 4), 1), ones({2}, f64)) < 1e-15);
  CHECK_THROWS_WITH(causal_softmax(zeros({3})), contains("causal_softmax: too few dims; got [3]"));
}

TEST_CASE("halves are computed in f32, integers are cast to f32", "[softmax]") {
  Tensor x = normal({4, 33}, 1, f16);
  CHECK(equal(softmax(x, 1), to(softmax(to(x, f32), 1), f16)));
  CHECK(equal(logsumexp(x, 1), to(logsumexp(to(x, f32), 1), f16)));
  CHECK(softmax(whole({2, 3}, 4, 1), 1).dtype() == f32);
  CHECK_THROWS_AS(softmax(normal({2, 2}, 1, c64), 1), DTypeError);
  CHECK_THROWS_AS(softmax(x, 2), IndexError);
}

TEST_CASE("gradients of the softmax family; the fused backward equals the composition", "[softmax][grad]") {
  Tensor x = normal({2, 3, 4}, 1);
  for (int64_t dim : {0, 1, 2}) {
    CHECK(check_twice([&](const Tensor& x) { return softmax(x, dim); }, x) == "");
    CHECK(check_twice([&](const Tensor& x) { return log_softmax(x, dim); }, x) == "");
    CHECK(check_twice([&](const Tensor& x) { return logsumexp(x, dim); }, x) == "");
    CHECK(paths_differ([&](const TensorList& in) { return softmax(in[0], dim); }, {x}) < 1e-14);
    CHECK(paths_differ([&](const TensorList& in) { return log_softmax(in[0], dim); }, {x}) < 1e-14);
  }
  CHECK(check_twice([](const Tensor& x) { return causal_softmax(x); }, x) == "");
  CHECK(paths_differ([](const TensorList& in) { return causal_softmax(in[0]); }, {normal({2, 9, 9}, 2)}) < 1e-14);
  CHECK(check_twice([](const Tensor& x) { return logsumexp(x, {0, 2}, true); }, x) == "");
}
