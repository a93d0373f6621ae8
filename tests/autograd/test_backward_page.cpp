// The code of docs/backward.md.
#include "autograd/graph/engine.h"
#include "autograd/ops.h"
#include "tests/catch.h"

using namespace ink;

TEST_CASE("the worked example of docs/backward.md", "[backward]") {
  Tensor w = tensor({3}).requires_grad_(), x = tensor({2}).requires_grad_(), b = tensor({1}).requires_grad_();
  Tensor y = square(w * x + b);
  y.backward();
  CHECK(y.item() == 49);
  CHECK(w.grad().item() == 28);
  CHECK(x.grad().item() == 42);
  CHECK(b.grad().item() == 14);
}

TEST_CASE("the second derivative of docs/backward.md", "[backward]") {
  Tensor t = tensor({2}).requires_grad_();
  Tensor first = grad(pow(t, 3), t, {}, {.create_graph = true});  // 3 t^2
  Tensor second = grad(first, t);                                 // 6 t
  CHECK(first.item() == 12);
  CHECK(second.item() == 12);
}
