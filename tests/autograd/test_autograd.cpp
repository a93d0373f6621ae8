#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/graph/checkpoint.h"
#include "autograd/graph/engine.h"
#include "autograd/graph/function.h"
#include "autograd/graph/functional.h"
#include "autograd/graph/mode.h"
#include "autograd/observe/graphviz.h"
#include "autograd/observe/profile.h"
#include "autograd/ops.h"
#include "tests/catch.h"

using namespace ink;

static Tensor leaf(std::initializer_list<double> v) {
  Tensor t = tensor(v, f64);
  t.requires_grad_();
  return t;
}

TEST_CASE("a gradient by hand", "[autograd]") {
  Tensor x = leaf({1, 2, 3}), w = leaf({4, 5, 6});
  Tensor y = (x * w + exp(x)).sum();
  y.backward();
  REQUIRE(allclose(x.grad(), w.detach() + exp(x.detach())));
  REQUIRE(allclose(w.grad(), x.detach()));
}

TEST_CASE("broadcast and promotion are undone", "[autograd]") {
  Tensor a = ones({2, 3});
  a.requires_grad_();
  Tensor b = leaf({2});
  (a * b).sum().backward();
  REQUIRE(a.grad().dtype() == f32);
  REQUIRE(a.grad().shape() == Shape{2, 3});
  REQUIRE(b.grad().shape() == Shape{1});
  REQUIRE(b.grad().item() == 6);
}

TEST_CASE("gradients add up over uses and over passes", "[autograd]") {
  Tensor x = leaf({3});
  Tensor y = x * x + x;
  y.backward({}, true);
  REQUIRE(x.grad().item() == 7);
  y.backward();
  REQUIRE(x.grad().item() == 14);
  REQUIRE_THROWS_WITH(y.backward(), contains("freed") && contains("retain_graph"));
}

TEST_CASE("leaves never share the memory of their gradients", "[autograd]") {
  Tensor a = leaf({1, 2}), b = leaf({3, 4});
  (a + b).sum().backward();
  a.grad().mul_(Scalar(10));
  REQUIRE(b.grad().sum().item() == 2);
}

TEST_CASE("derivatives of any order", "[autograd]") {
  Tensor x = leaf({2});
  Tensor g = pow(x, 5);
  for (double expected : {5 * 16., 20 * 8., 60 * 4., 120 * 2., 120.}) {
    g = grad(g, x, {}, {.create_graph = true});
    REQUIRE(std::abs(g.item() - expected) < 1e-9);
  }
}

TEST_CASE("jacobian, hessian, vjp and jvp agree with the closed form", "[autograd]") {
  Tensor a = tensor({{1, 2}, {3, 4}}, f64), x = tensor({0.5, -1.5}, f64), v = tensor({2, 3}, f64);
  auto f = [&](const Tensor& x) { return matmul(a, x); };
  REQUIRE(allclose(jacobian(f, x), a));
  REQUIRE(allclose(vjp(f, x, v), matmul(a.t(), v)));
  REQUIRE(allclose(jvp(f, x, v), matmul(a, v)));
  auto quadratic = [&](const Tensor& x) { return dot(x, matmul(a, x)); };
  REQUIRE(allclose(hessian(quadratic, x), a + a.t()));
}

TEST_CASE("an in-place write to a saved value names the culprit", "[autograd]") {
  Tensor x = leaf({1, 2});
  Tensor y = exp(x);
  Tensor z = y.sum();
  y.add_(Scalar(1));
  REQUIRE_THROWS_WITH(z.backward(), contains("exp") && contains("overwritten in place by add_") && contains("[2]"));
}

TEST_CASE("in-place writes that could give a wrong gradient are refused", "[autograd]") {
  Tensor x = leaf({1, 2});
  REQUIRE_THROWS_WITH(x.mul_(Scalar(2)), contains("leaf") && contains("NoGrad"));
  Tensor y = x * 1;
  Tensor row = y[0];
  REQUIRE_THROWS_WITH(row.add_(Scalar(1)), contains("view") && contains("index_put"));
  y.mul_(Scalar(3));
  REQUIRE_THROWS_WITH(row + 1, contains("another view"));
  grad(y.sum(), x);
}

TEST_CASE("an in-place write is part of the graph", "[autograd]") {
  Tensor x = leaf({1, 2});
  Tensor y = x * 2;
  y.add_(x);
  y.mul_(Scalar(5));
  y.sum().backward();
  REQUIRE(x.grad().sum().item() == 2 * 5 * 3);
}

TEST_CASE("a million-node chain builds, runs backward and dies on the default stack", "[autograd]") {
  Tensor x = leaf({1});
  Tensor y = x;
  for (int i = 0; i < 1'000'000; ++i) y = y + 1;
  y.backward();
  REQUIRE(x.grad().item() == 1);
}

TEST_CASE("NoGrad records nothing", "[autograd]") {
  Tensor x = leaf({1});
  NoGrad guard;
  REQUIRE_FALSE((x * 2).requires_grad());
}

TEST_CASE("hooks see and may replace a gradient", "[autograd]") {
  Tensor x = leaf({1, 2});
  Tensor y = x * 3;
  int calls = 0;
  register_hook(y, [&](const Tensor& g) {
    ++calls;
    return g * 2;
  });
  y.retain_grad();
  y.sum().backward();
  REQUIRE(calls == 1);
  REQUIRE(x.grad().sum().item() == 12);
  REQUIRE(y.grad().sum().item() == 4);
}

struct Cube : Function<Cube> {
  Tensor forward(const TensorList& in) {
    save(in[0]);
    return in[0] * in[0] * in[0];
  }
  TensorList backward(const Tensor& g) override { return {g * 3 * square(saved(0))}; }
};
TEST_CASE("a user's Function has gradients of any order", "[autograd]") {
  auto f = [](const TensorList& in) { return TensorList{Cube::apply({in[0]})}; };
  auto first = gradcheck(f, {tensor({0.5, -1.2}, f64)}), second = gradgradcheck(f, {tensor({0.5, -1.2}, f64)});
  INFO(first.message << " " << second.message);
  REQUIRE(first.ok);
  REQUIRE(second.ok);
}

TEST_CASE("gradcheck finds a wrong gradient", "[autograd]") {
  struct Wrong : Function<Wrong> {
    Tensor forward(const TensorList& in) { return in[0] * 2; }
    TensorList backward(const Tensor& g) override { return {g * 2.001}; }
  };
  auto f = [](const TensorList& in) { return TensorList{Wrong::apply({in[0]})}; };
  auto r = gradcheck(f, {tensor({1., 2.}, f64)});
  REQUIRE_FALSE(r.ok);
  REQUIRE_THAT(r.message, contains("input 0, element 0"));
}

TEST_CASE("checkpoint gives the same gradients, to second order, with less kept", "[autograd]") {
  Tensor w = leaf({0.3, -0.7});
  auto part = [&](const TensorList& in) { return tanh(in[0] * w) * dropout(sin(in[0]), 0.5); };
  Tensor x = leaf({1, 2});
  manual_seed(3);
  Tensor plain = part({x});
  auto expected = grad(plain.sum(), x, {}, {.create_graph = true});
  Tensor second = grad(expected.sum(), w);
  manual_seed(3);
  Tensor y = checkpoint(part, {x});
  auto got = grad(y.sum(), x, {}, {.create_graph = true});
  REQUIRE(equal(got.detach(), expected.detach()));
  REQUIRE(allclose(grad(got.sum(), w), second));
}

TEST_CASE("anomaly mode names the first op whose value is not finite", "[autograd]") {
  Tensor x = leaf({0});
  Anomaly guard;
  REQUIRE_THROWS_WITH(log(x), contains("log") && contains("not finite"));
  Tensor y = sqrt(x);
  REQUIRE_THROWS_WITH(y.backward(), contains("sqrt") && contains("gradient"));
}

// One formula serves the fused derivative and the one that is differentiated again.
TEST_CASE("activations far out: fused and recorded derivatives agree, second ones are numbers", "[autograd]") {
  const double inf = std::numeric_limits<double>::infinity();
  using Activation = Tensor (*)(const Tensor&);
  for (Activation f :
       std::initializer_list<Activation>{tanh, sigmoid, relu, silu, [](const Tensor& x) { return gelu(x); },
                                         [](const Tensor& x) { return gelu(x, GeluForm::tanh); }})
    for (DType t : {f16, f32, f64})
      for (double at : {-inf, -60000., -88., -30., -1.5, -0., 0., 0.7, 20., 60000., inf}) {
        Tensor x = full({}, at, t).requires_grad_();
        Tensor fused = grad(f(x), x), recorded = grad(f(x), x, {}, {.create_graph = true});
        INFO(name_of(t) << " at " << at << ": " << fused.item() << " and " << recorded.item());
        REQUIRE(std::abs(fused.item() - recorded.item()) <= (t == f16 ? 4e-3 : t == f32 ? 1e-6 : 1e-14));
        if (recorded.requires_grad()) REQUIRE(std::isfinite(grad(recorded, x).item()));
      }
}

TEST_CASE("profile counts calls, dot draws the graph", "[autograd]") {
  Tensor x = leaf({1, 2});
  Profile p;
  Tensor y = (exp(x) + exp(x)).sum();
  auto rows = p.rows();
  auto it = std::find_if(rows.begin(), rows.end(), [](auto& r) { return r.op == "exp"; });
  REQUIRE(it != rows.end());
  REQUIRE(it->calls == 2);
  REQUIRE(it->bytes == 32);
  REQUIRE_THAT(graphviz(y), contains("digraph") && contains("exp") && contains("leaf [2] f64"));
}

TEST_CASE("errors of grad say what is wrong", "[autograd]") {
  Tensor x = leaf({1, 2}), other = leaf({1});
  REQUIRE_THROWS_WITH((x * 2).backward(), contains("only one element"));
  REQUIRE_THROWS_WITH(tensor({1.}).backward(), contains("does not require a gradient"));
  REQUIRE_THROWS_WITH(grad(x.sum(), other), contains("do not depend"));
  REQUIRE_THROWS_WITH(arange(3).requires_grad_(), contains("i64") && contains("floating point"));
}

TEST_CASE("nothing stays allocated", "[autograd]") {
  int64_t before = memory_stats().live;
  {
    Tensor x = rand({100, 100});
    x.requires_grad_();
    Tensor y = matmul(x, x).sigmoid().sum();
    y.backward();
    grad(grad(square(x).sum(), x, {}, {.create_graph = true}).sum(), x);
  }
  REQUIRE(memory_stats().live == before);
}
