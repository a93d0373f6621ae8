#include "autograd/ops.h"
#include "nn/layers/linear.h"
#include "tests/catch.h"

using namespace ink;

TEST_CASE("an absent parameter that is given values is trained", "[param]") {
  Param p;
  p = ones({2});
  CHECK(p.requires_grad());
  Linear layer(3, 2);
  CHECK(layer.weight.requires_grad());
  CHECK(layer.bias.requires_grad());
  layer.forward(ones({1, 3})).sum().backward();
  CHECK(equal(layer.bias.grad(), ones({2})));
}

TEST_CASE("a parameter that is given new values stays trained or frozen", "[param]") {
  Param trained = ones({2}), frozen = ones({2});
  frozen.requires_grad_(false);
  trained = zeros({3}), frozen = zeros({3});
  CHECK(trained.requires_grad());
  CHECK_FALSE(frozen.requires_grad());
  Param copy;
  copy = frozen;
  CHECK_FALSE(copy.requires_grad());
}
