// S4D: its forms agree, from any state; the kernel is that of a matrix; LegS without its low rank tends to LegS.
#include "nn/ssm/s4/s4d.h"

#include "autograd/ops.h"
#include "include/inkstone/testing.h"
#include "nn/ssm/poles.h"
#include "nn/ssm/s4/dplr.h"
#include "nn/warning.h"
#include "tests/catch.h"
#include "tests/support/layers.h"

using namespace ink;

namespace {

double largest(const Tensor& x) { return x.numel() ? max(abs(x)).item() : 0; }
double error(const Tensor& a, const Tensor& b) { return largest(a - b) / std::max(1e-300, largest(b)); }

const S4DInit kInits[] = {S4DInit::lin, S4DInit::inv, S4DInit::quad, S4DInit::real, S4DInit::legs};

S4D layer_of(S4DOptions o, DType t = f64, uint64_t seed = 1) {
  manual_seed(seed);
  S4D layer(o);
  layer.to(t);
  return layer;
}

}  // namespace

TEST_CASE("causal convolution is the sum of its definition, whatever the lengths", "[ssm]") {
  for (auto [n, taps] : {std::pair<int64_t, int64_t>{1, 1}, {2, 2}, {7, 3}, {5, 9}, {12, 12}}) {
    const Tensor u = randn({2, 3, n}, f64), kernel = randn({3, taps}, f64);
    Tensor expected = zeros({2, 3, n}, f64);
    for (int64_t t = 0; t < n; ++t)
      for (int64_t j = 0; j <= std::min(t, taps - 1); ++j)
        expected.select(2, t).add_(kernel.select(1, j) * u.select(2, t - j));
    CHECK(error(causal_convolution(u, kernel), expected) < 1e-13);
  }
  CHECK(causal_convolution(ones({2, 0}), ones({3})).shape() == Shape{2, 0});
  CHECK_THROWS_AS(causal_convolution(ones({3}), ones({0})), ShapeError);
  CHECK_THROWS_AS(causal_convolution(ones({3}, i64), ones({3})), DTypeError);
  const auto f = [](const TensorList& in) { return TensorList{causal_convolution(in[0], in[1])}; };
  const TensorList in{randn({2, 5}, f64).requires_grad_(), randn({5}, f64).requires_grad_()};
  CHECK(gradcheck(f, in));
  CHECK(gradgradcheck(f, in));
}

TEST_CASE("powers and sums of modes, at 0 and at negative numbers too", "[ssm]") {
  const Tensor x = tensor({0, -1.5, 0.9}, f64), weight = tensor({2, 1, -3}, f64);
  for (int64_t n : {0, 1, 2, 5, 9, 17}) {
    const Tensor p = powers(x, n);
    Tensor one = ones_like(x), taps = zeros({n}, f64);
    for (int64_t t = 0; t < n; ++t) {
      CHECK(error(select(p, 1, t), one) < 1e-14);
      taps[t].copy_(sum(weight * one));
      one = one * x;
    }
    CHECK(error(mode_sum(weight, x, n), taps) < 1e-14);
  }
  const auto f = [](const TensorList& in) { return TensorList{mode_sum(in[0], in[1], 7)}; };
  const Tensor z = complex_of(tensor({0, 0.5}, f64), tensor({0, -0.7}, f64));  // a pole at 0 is as good as others
  const TensorList in{complex_of(randn({2}, f64), randn({2}, f64)).requires_grad_(), z.clone().requires_grad_()};
  CHECK(gradcheck(f, in));
  CHECK(gradgradcheck(f, in));
}

TEST_CASE("S4D: the kernel is C A_bar^t B_bar of the matrix, for every init and discretisation", "[ssm]") {
  for (S4DInit init : kInits)
    for (Discretisation method : {Discretisation::zoh, Discretisation::bilinear})
      for (int64_t length : {0, 1, 2, 7, 16, 33}) {
        const S4D layer = layer_of({.dim = 2, .state = 6, .init = init, .discretisation = method});
        const Tensor kernel = layer.kernel(length);
        CHECK(kernel.shape() == Shape{2, length});
        for (int64_t h = 0; h < 2; ++h) {
          const Tensor a = layer.poles()[h];
          const bool pairs = is_complex(a.dtype());
          const auto whole = [&](const Tensor& x) { return pairs ? cat({x, conj(x)}, 0) : x; };
          const auto part = [&](const Param& p) { return whole(pairs ? view_as_complex(p)[h] : p[h]); };
          const DiscreteSystem s =
              discretise(diag(whole(a)), part(layer.B), std::exp(layer.log_step[h].item()), method);
          Tensor x = s.B;
          for (int64_t t = 0; t < length; ++t) {
            CHECK(std::abs(real(sum(part(layer.C) * x)).item() - kernel[h][t].item()) < 1e-10 * largest(kernel));
            x = matmul(s.A, x);
          }
        }
      }
}

TEST_CASE("S4D: convolution, recurrence and scan agree, stopped anywhere and resumed", "[ssm]") {
  for (DType t : {f64, f32})
    for (S4DInit init : kInits)
      for (int64_t n : {1, 2, 13, 32}) {
        if (t == f32 && n == 13) continue;
        S4D layer = layer_of({.dim = 3, .state = 8, .init = init, .discretisation = Discretisation::bilinear}, t);
        const Tensor x = randn({2, n, 3}, {t, default_device()});
        const double tolerance = t == f64 ? 1e-10 : 1e-5;
        layer.options.form = SsmForm::recurrent;
        const Tensor expected = layer.forward(x);
        for (SsmForm form : {SsmForm::convolution, SsmForm::scan, SsmForm::recurrent}) {
          layer.options.form = form;
          CHECK(error(layer.forward(x), expected) < tolerance);
          S4D::State state;
          const int64_t cut = n / 3;
          std::vector<Tensor> parts{layer.step(x.slice(1, 0, cut), state), layer.step(x.slice(1, cut, n - 1), state),
                                    layer.step(x.slice(1, n - 1, n), state)};
          CHECK(error(cat(parts, 1), expected) < tolerance);
          CHECK(state.time == n);
        }
      }
}

TEST_CASE("S4D: LegS without its term of rank one tends to LegS as the state grows", "[ssm]") {
  // the first coordinate of e^{t A} B, and of e^{t (A + P P^T)} B / 2
  const auto distance = [](int64_t n) {
    const Hippo legs = hippo(HippoKind::legs, n);
    const Tensor P = unsqueeze(legs.B, 1) * std::sqrt(0.5);
    const DiscreteSystem whole = discretise(legs.A, legs.B, 0.05, Discretisation::zoh),
                         normal = discretise(legs.A + matmul(P, P.t()), legs.B / 2, 0.05, Discretisation::zoh);
    Tensor x = whole.B, z = normal.B;
    double worst = 0, size = 0;
    for (int64_t t = 0; t < 60; ++t) {
      worst = std::max(worst, std::abs(x[0].item() - z[0].item())), size = std::max(size, std::abs(x[0].item()));
      x = matmul(whole.A, x), z = matmul(normal.A, z);
    }
    return worst / size;
  };
  const double few = distance(16), many = distance(128);
  CHECK(few > 0.1);
  CHECK(many < 0.05);
}

TEST_CASE("S4D: causal, samples apart, gradients of all parameters to second order", "[ssm]") {
  for (S4DInit init : {S4DInit::lin, S4DInit::real})
    for (SsmForm form : {SsmForm::convolution, SsmForm::recurrent, SsmForm::scan}) {
      S4D layer = layer_of({.dim = 2, .state = 4, .init = init, .form = form}, f32);
      test::check_causal_to_second_order(layer, randn({2, 5, 2}));
    }
}

TEST_CASE("S4D: another sampling rate, halves, empty sequences", "[ssm]") {
  S4D layer = layer_of({.dim = 2, .state = 8, .step_min = 0.01, .step_max = 0.05});
  // an input that stays for two samples, read at half the rate with twice the step: the same output at every second one
  const Tensor coarse = randn({1, 10, 2}, f64), fine = repeat_interleave(coarse, 2, 1);
  const Tensor every = slice(layer.forward(fine), 1, 1, 20, 2);
  layer.rate = 2;
  CHECK(error(layer.forward(coarse), every) < 1e-10);
  layer.rate = 1;
  CHECK(layer.forward(zeros({2, 0, 2}, f64)).shape() == Shape{2, 0, 2});
  CHECK(layer.forward(zeros({0, 3, 2}, f64)).shape() == Shape{0, 3, 2});
  layer.to(f32);
  const Tensor x = randn({2, 9, 2}), y = layer.forward(x);
  CHECK(layer.forward(x.to(bf16)).dtype() == bf16);
  CHECK(error(layer.forward(x.to(bf16)).to(f32), y) < 0.03);
  layer.to(bf16);
  CHECK(error(layer.forward(x.to(bf16)).to(f32), y) < 0.1);
}

TEST_CASE("S4D: a state notices that parameters, the rate or the discretisation have changed", "[ssm]") {
  NoGrad guard;
  for (auto change : std::vector<void (*)(S4D&)>{[](S4D& s) { s.C.mul_(2); }, [](S4D& s) { s.log_step.add_(0.5); },
                                                 [](S4D& s) { s.frequency.mul_(1.5); }, [](S4D& s) { s.rate = 2; },
                                                 [](S4D& s) { s.options.discretisation = Discretisation::bilinear; }}) {
    S4D layer = layer_of({.dim = 2, .state = 4});
    const Tensor x = randn({1, 1, 2}, f64);
    S4D::State state, fresh;
    layer.step(x, state);
    fresh.x = state.x;
    const Tensor unchanged = layer.step(x, state);
    state.x = fresh.x;
    change(layer);
    const Tensor y = layer.step(x, state);
    CHECK(error(y, layer.step(x, fresh)) < 1e-14);
    CHECK(error(y, unchanged) > 1e-4);
  }
}

TEST_CASE("S4D: bad sizes, steps, inputs and states are refused; poles that grow are named", "[ssm]") {
  CHECK_THROWS_AS(S4D({.dim = 0}), ValueError);
  CHECK_THROWS_AS(S4D({.dim = 2, .state = 5}), ValueError);
  CHECK_NOTHROW(S4D({.dim = 2, .state = 5, .init = S4DInit::real}));
  for (double step : {0., -1., double(NAN), double(INFINITY)}) {
    CHECK_THROWS_AS(S4D({.dim = 2, .step_min = step}), ValueError);
    CHECK_THROWS_AS(S4D({.dim = 2, .step_max = step}), ValueError);
  }
  S4D layer({.dim = 2, .state = 4});
  CHECK_THROWS_AS(layer.forward(ones({2, 3})), ShapeError);
  CHECK_THROWS_AS(layer.forward(ones({2, 3, 4})), ShapeError);
  CHECK_THROWS_AS(layer.kernel(-1), ValueError);
  S4D::State state;
  layer.step(ones({2, 3, 2}), state);
  CHECK_THROWS_AS(layer.step(ones({1, 3, 2}), state), ShapeError);
  CHECK_THROWS_AS(S4D({.dim = 2, .state = 6}).step(ones({2, 3, 2}), state), ShapeError);
  CHECK_THROWS_AS(S4D({.dim = 2, .state = 2, .init = S4DInit::real}).step(ones({2, 3, 2}), state), DTypeError);
  layer.rate = 0;
  CHECK_THROWS_AS(layer.forward(ones({1, 1, 2})), ValueError);
  Warnings said;
  S4D growing({.dim = 2, .state = 64, .discretisation = Discretisation::forward_euler});
  REQUIRE_FALSE(said.texts.empty());
  CHECK_THAT(said.texts[0], contains("poles lie outside the unit circle"));
  // a state is prepared, and its poles are looked at, once for each value of the parameters
  NoGrad guard;
  S4D::State steps;
  said.texts.clear();
  for (int t = 0; t < 3; ++t) growing.step(ones({1, 1, 2}), steps);
  CHECK(said.texts.size() == 1);
  growing.rate = 2;
  growing.step(ones({1, 1, 2}), steps);
  CHECK(said.texts.size() == 2);
  CHECK_FALSE(warn_if_unstable("test", layer.poles() * 0));
}
