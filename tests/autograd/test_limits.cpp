// Formulas at the ends of the number line, at singular points, and where a number does not fit the tensor's dtype.
#include <cmath>
#include <limits>

#include "nn/attention/gated/gau.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

const double inf = INFINITY;

struct Limit {
  double x, y, slope;  // y NaN: x itself
};

// f and f' at each x, by the one-pass kernel and by the rule in public ops.
template <class F>
void check_limits(const char* name, F f, std::initializer_list<Limit> limits) {
  for (DType t : {f32, f64})
    for (const Limit& l : limits) {
      INFO(name << " at " << l.x << " in " << (t == f32 ? "f32" : "f64"));
      Tensor x = full({4}, l.x, t).requires_grad_();
      Tensor y = f(x);
      CHECK(y[0].item() == (std::isnan(l.y) ? x[0].item() : l.y));
      for (bool again : {false, true}) {
        Tensor g = grad(sum(y), x, {}, {.create_graph = again, .retain_graph = true});
        CHECK(g[0].item() == l.slope);
      }
    }
}

}  // namespace

TEST_CASE("activations and their derivatives have their limits at infinity", "[limits]") {
  const double huge = 3e38;
  check_limits("silu", [](const Tensor& x) { return silu(x); },
               {{-inf, 0, 0}, {-huge, 0, 0}, {0, 0, 0.5}, {-0., 0, 0.5}, {huge, NAN, 1}, {inf, inf, 1}});
  check_limits("gelu", [](const Tensor& x) { return gelu(x); },
               {{-inf, 0, 0}, {-huge, 0, 0}, {0, 0, 0.5}, {-0., 0, 0.5}, {inf, inf, 1}});
  check_limits("gelu tanh", [](const Tensor& x) { return gelu(x, GeluForm::tanh); },
               {{-inf, 0, 0}, {-3e13, 0, 0}, {-0., 0, 0.5}, {1e20, NAN, 1}, {inf, inf, 1}});
  check_limits("sigmoid", [](const Tensor& x) { return sigmoid(x); }, {{-inf, 0, 0}, {0, 0.5, 0.25}, {inf, 1, 0}});
  check_limits("softplus", [](const Tensor& x) { return softplus(x); }, {{-inf, 0, 0}, {inf, inf, 1}});
  check_limits("tanh", [](const Tensor& x) { return tanh(x); }, {{-inf, -1, 0}, {0, 0, 1}, {inf, 1, 0}});
  check_limits("elu", [](const Tensor& x) { return elu(x); }, {{-inf, -1, 0}, {inf, inf, 1}});
  for (auto f : {+[](const Tensor& x) { return silu(x); }, +[](const Tensor& x) { return gelu(x); },
                 +[](const Tensor& x) { return gelu(x, GeluForm::tanh); }}) {
    Tensor x = full({4}, NAN).requires_grad_(), y = f(x);
    CHECK(std::isnan(y[0].item()));
    for (bool again : {false, true})
      CHECK(std::isnan(grad(sum(y), x, {}, {.create_graph = again, .retain_graph = true})[0].item()));
  }
}

TEST_CASE("gradients at singular points are torch's", "[limits]") {
  Tensor x = full({5}, 3, f64).requires_grad_();
  Tensor s = ink::std(x);
  CHECK(s.item() == 0);
  CHECK(equal(grad(s, x, {}, {.create_graph = true}), zeros({5}, f64)));
  Tensor a = zeros({}, f64).requires_grad_(), b = zeros({}, f64).requires_grad_();
  atan2(a, b).backward();
  CHECK(a.grad().item() == 0);
  CHECK(b.grad().item() == 0);
  Tensor z = zeros({3}, f64).requires_grad_();
  norm(z).backward();
  CHECK(equal(z.grad(), zeros({3}, f64)));
}

TEST_CASE("Euclidean norms survive large and small numbers", "[limits]") {
  for (double scale : {3e19, 1e-22, 1e-30}) {
    INFO(scale);
    Tensor x = (tensor({3, 4}, f64) * scale).to(f32).requires_grad_();
    Tensor y = norm(x);
    CHECK(y.item() == Approx(5 * scale).epsilon(1e-6));
    y.backward();
    CHECK(x.grad()[0].item() == Approx(0.6).epsilon(1e-6));
  }
  CHECK(norm(tensor({3e200, 4e200}, f64)).item() == Approx(5e200));
  CHECK(norm(tensor({3e-200, 4e-200}, f64)).item() == Approx(5e-200));
  CHECK(norm(tensor({1, inf})).item() == inf);
  CHECK(std::isnan(norm(tensor({1, NAN})).item()));
  Tensor rows = tensor({{3e30, 4e30}, {0, 0}, {3, 4}});
  CHECK(difference(norm(rows, {1}) / tensor({1e30, 1, 1}), tensor({5, 0, 5})) < 1e-6);
}

TEST_CASE("lerp gives its ends themselves", "[limits]") {
  CHECK(lerp(tensor({1e8}), tensor({1}), 1).item() == 1);
  CHECK(lerp(tensor({1e8}), tensor({1}), 0).item() == 1e8f);
  CHECK(lerp(tensor({1e8}), tensor({1}), tensor({1})).item() == 1);
}

TEST_CASE("integers are compared with numbers by value, and clamped to what fits", "[limits]") {
  Tensor bytes = tensor({100, 255}, u8);
  CHECK(all(bytes < 300).item<bool>());
  CHECK(all(bytes > -1).item<bool>());
  CHECK_FALSE(any(eq(bytes, 256 + 100)).item<bool>());
  CHECK(all(ne(bytes, -1)).item<bool>());
  Tensor small = tensor({0, -1}, i32);
  CHECK(all(small < (int64_t(1) << 32)).item<bool>());
  CHECK_FALSE(any(eq(small, int64_t(1) << 32)).item<bool>());
  CHECK(all(ge(tensor({1}, i64), std::numeric_limits<int64_t>::min())).item<bool>());
  CHECK(clamp(tensor({200}, u8), {}, 300).item<int64_t>() == 200);
  CHECK(clamp(tensor({200}, u8), -5, {}).item<int64_t>() == 200);
  CHECK(clamp(tensor({7}, i32), {}, int64_t(1) << 40).item<int64_t>() == 7);
}

TEST_CASE("a gated linear unit is 8/3 of its width, rounded up, unless told", "[limits]") {
  for (int64_t dim : {6, 7, 8}) {
    GatedLinearUnit unit(GatedLinearUnitOptions{.dim = dim});
    CHECK(unit.uv.weight.size(0) == 2 * int64_t(std::ceil(8. * double(dim) / 3)));
  }
}

TEST_CASE("retain_grad on the tensor that backward starts from", "[limits]") {
  Tensor x = tensor({2}, f64).requires_grad_();
  Tensor y = square(x);
  y.retain_grad();
  y.backward();
  CHECK(y.grad().item() == 1);
  CHECK(x.grad().item() == 4);
}
