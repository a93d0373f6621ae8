#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "inkstone/testing.h"
#include "nn/layers/linear.h"
#include "tests/catch.h"

using namespace ink;

TEST_CASE("close finds the first bad element and tells both values", "[testing]") {
  Tensor expected = tensor({{1, 2, 3}, {4, 5, 6}});
  Tensor got = expected.clone();
  CHECK(verify::close(got, expected));
  got.data<float>()[4] = 5.5f;
  got.data<float>()[5] = 9;
  verify::Comparison r = verify::close(got, expected);
  CHECK_FALSE(r);
  CHECK(r.bad == 2);
  CHECK(r.first_bad == Shape{1, 1});
  CHECK(r.max_abs == 3);
  CHECK(r.max_rel == 0.5);
  CHECK_THAT(r.message, contains("2 of 6 elements differ, the first at [1, 1]; got 5.5; expected 5;"));
  CHECK(verify::close(got, expected, {.rtol = 0.5}));
  CHECK_FALSE(verify::close(got, expected, {.rtol = 0.49}));
}

TEST_CASE("close knows NaN, infinity, complex numbers, and refuses other shapes and dtypes", "[testing]") {
  Tensor special = tensor({NAN, INFINITY, -INFINITY, 0});
  CHECK(verify::close(special, special.clone()));
  CHECK_FALSE(verify::close(special, tensor({0, INFINITY, -INFINITY, 0}), {.rtol = 1, .atol = 1e9}));
  CHECK_FALSE(verify::close(tensor({NAN, -INFINITY, -INFINITY, 0}), special, {.rtol = 1, .atol = 1e9}));
  CHECK_FALSE(verify::close(tensor({NAN, 1e30, -INFINITY, 0}), special, {.rtol = 1, .atol = 1e9}));
  Tensor z = complex_of(tensor({1, 2}), tensor({0, 1}));
  CHECK(verify::close(z, z.clone()));
  CHECK_THAT(verify::close(conj(z), z).message, contains("the first at [1]; got 2-1i; expected 2+1i"));
  CHECK_THAT(verify::close(zeros({2}), zeros({1, 2})).message, contains("got f32 [2]; expected f32 [1, 2]"));
  CHECK_THAT(verify::close(zeros({2}), zeros({2}, f64)).message, contains("expected f64 [2]"));
  CHECK(verify::close(zeros({0, 3}), zeros({0, 3})));
}

TEST_CASE("tolerances follow the format and the number of terms", "[testing]") {
  for (DType t : {f32, f64, f16, bf16}) {
    Tensor above = full({1}, 1 + verify::epsilon(t), f64).to(t),
           below = full({1}, 1 + verify::epsilon(t) * 0.49, f64).to(t);
    CHECK(above.item() > 1);
    CHECK(below.item() == 1);
    CHECK(std::abs(verify::tolerance(t, 100).rtol - 10 * verify::tolerance(t).rtol) < verify::epsilon(t));
  }
  CHECK(verify::tolerance(c64).rtol == verify::tolerance(f32).rtol);
  CHECK(verify::tolerance(i64).atol == 0);
}

TEST_CASE("causality passes a running sum and catches a look ahead", "[testing]") {
  Tensor x = randn({2, 5, 3});
  auto past = [](const Tensor& x) { return x.cumsum(1); };
  auto ahead = [](const Tensor& x) { return x + 1e-3 * roll(x, -1, 1); };
  auto blind = [](const Tensor& x) { return zeros_like(x); };
  CHECK(verify::causality(past, x, 1).message == "");
  CHECK(verify::causality(past, x, -2));
  CHECK_THAT(verify::causality(ahead, x, 1).message, contains("depend on later inputs"));
  CHECK_THAT(verify::causality(blind, x, 1).message, contains("does not depend on the input at all"));
  auto shorter = [](const Tensor& x) { return x.narrow(1, 0, 2); };
  CHECK_THAT(verify::causality(shorter, x, 1).message, contains("no dim 1 of size 5"));
  auto table = [](const Tensor& i) { return embedding(arange(0, 12, 1, f32).reshape({4, 3}), i); };
  CHECK(verify::causality(table, randint(0, 4, {2, 6}), 1).message == "");  // indices stay in range
}

TEST_CASE("batch passes a layer and catches statistics over the batch", "[testing]") {
  Tensor x = randn({4, 3});
  Linear linear(3, 2);
  auto forward = [&](const Tensor& x) { return linear.forward(x); };
  auto centred = [](const Tensor& x) { return x - x.mean(0, true); };
  CHECK(verify::batch(forward, x).message == "");
  CHECK_THAT(verify::batch(centred, x).message, contains("sample 0 differs from itself alone"));
  auto total = [](const Tensor& x) { return x.sum(); };
  CHECK_THAT(verify::batch(total, x).message, contains("no batch dim of size 4"));
}

TEST_CASE("device_parity compares every output and names the one that differs", "[testing]") {
  int calls = 0;
  auto steady = [](const TensorList& in) { return TensorList{in[0] + in[1], in[0] * in[1]}; };
  auto drifting = [&](const TensorList& in) { return TensorList{in[0], in[1] + ++calls}; };
  TensorList in{randn({3}), randn({3})};
  CHECK(verify::device_parity(steady, in, Device::cpu(), {}));
  CHECK_THAT(verify::device_parity(drifting, in, Device::cpu(), {}).message, contains("output 1 on cpu"));
}

namespace {
struct Scale : Module {  // y = w^2 x, with a gradient of w that is right or misses its factor 2
  Param w;
  bool right;
  explicit Scale(bool right) : w(full({3}, 0.7, f64)), right(right) {}
  Tensor forward(const Tensor& x) const { return x * (right ? w * w : w * w.detach()); }
  void fields(Fields& f) override { f("w", w); }
};
}  // namespace

TEST_CASE("gradients checks x and the parameters, and leaves the layer as it was", "[testing]") {
  Tensor x = randn({2, 3}, f64);
  for (bool right : {true, false}) {
    Scale layer(right);
    {
      NoGrad guard;
      layer.w.fill_(0.7);  // a parameter that was written since it was made
    }
    auto forward = [&](const Tensor& x) { return layer.forward(x); };
    verify::Result r = verify::gradients(layer, forward, x);
    CHECK(r.ok == right);
    if (!right) CHECK_THAT(r.message, contains("inputs are x, w"));
    if (!right) CHECK_THAT(r.message, contains("input 1"));
    CHECK(layer.w.is_leaf());
    CHECK(layer.w.requires_grad());
    CHECK(verify::close(layer.w, full({3}, 0.7, f64), {}));
  }
  Linear single(3, 2);
  auto forward = [&](const Tensor& x) { return single.forward(x); };
  CHECK_THROWS_WITH(verify::gradients(single, forward, x), contains("parameter 'weight' is f32; expected f64"));
}
