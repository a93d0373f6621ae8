// Mamba-3: the trapezoidal rule, the rotation, and the block.
#include "nn/ssm/mamba3.h"

#include <cmath>

#include "autograd/ops.h"
#include "nn/ssm/ssd.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"
#include "tests/support/layers.h"

using namespace ink;
using namespace ink::test;

namespace {

TrapezoidalInputs trapezoidal_inputs(int64_t n, int64_t batch = 2, int64_t heads = 2, int64_t states = 4,
                                     int64_t width = 3) {
  return {.x = normal({batch, heads, n, width}, 1),
          .delta = softplus(normal({batch, heads, n}, 2)),
          .A = -exp(normal({batch, heads, n}, 3)),
          .lambda = sigmoid(normal({batch, heads, n}, 4)),
          .B = normal({batch, heads, n, states}, 5),
          .C = normal({batch, heads, n, states}, 6),
          .angle = cumsum(normal({batch, heads, n, states / 2}, 7), 2)};
}

// The definition with a state that turns: pairs of its numbers as one complex number z, turned by the angle of the
// step.
Tensor by_turning_state(const TrapezoidalInputs& in) {
  const int64_t batch = in.x.size(0), heads = in.x.size(1), n = in.x.size(2), states = in.B.size(3);
  const auto pairs = [&](const Tensor& x) {  // [batch, heads, n, states] -> complex [.., states / 2]
    const Tensor p = reshape(x, {batch, heads, n, states / 2, 2});
    return complex_of(select(p, -1, 0), select(p, -1, 1));
  };
  const Tensor B = pairs(in.B), C = pairs(in.C), x = in.x.to(c128);
  Tensor z = zeros({batch, heads, states / 2, in.x.size(3)}, {c128, x.device()}), input_before = zeros_like(z);
  std::vector<Tensor> out;
  for (int64_t t = 0; t < n; ++t) {
    const auto number = [&](const Tensor& v) { return v.select(2, t).reshape({batch, heads, 1, 1}); };
    const Tensor delta = number(in.delta), keep = exp(delta * number(in.A)), lambda = number(in.lambda);
    const Tensor angle = t ? in.angle.select(2, t) - in.angle.select(2, t - 1) : in.angle.select(2, t);
    const Tensor turn = unsqueeze(complex_of(cos(angle), sin(angle)), -1);
    const Tensor input = unsqueeze(B.select(2, t), -1) * unsqueeze(x.select(2, t), -2);
    z = turn * (keep.to(c128) * z + (keep * (1 - lambda) * delta).to(c128) * input_before) +
        (lambda * delta).to(c128) * input;
    input_before = input;
    out.push_back(real(sum(conj(unsqueeze(C.select(2, t), -1)) * z, 2)));
  }
  return stack(out, 2);
}

Mamba3 small_mamba3(const MatrixStateOptions& scan = {}) {
  manual_seed(7);
  Mamba3 m({.dim = 4, .state = 4, .head = 2, .groups = 2, .scan = scan});
  m.to(f64);
  return m;
}

const MatrixStateOptions kForms3[] = {{StateForm::recurrent, 16}, {StateForm::parallel, 16}, {StateForm::chunked, 1},
                                      {StateForm::chunked, 2},    {StateForm::chunked, 7},   {StateForm::chunked, 64}};

}  // namespace

TEST_CASE("Mamba-3's state with turned B and C is the complex state that turns, in every form", "[mamba3]") {
  const TrapezoidalInputs in = trapezoidal_inputs(9);
  const Tensor expected = by_turning_state(in);
  for (const MatrixStateOptions& o : kForms3) {
    Mamba3::State state;
    CHECK(difference(trapezoidal_ssd(in, state, o), expected) < 1e-12);
  }
}

TEST_CASE("with lambda = 1 and no angles Mamba-3 is SSD", "[mamba3]") {
  TrapezoidalInputs in = trapezoidal_inputs(8);
  in.lambda = ones_like(in.lambda), in.angle = zeros_like(in.angle);
  in.A = expand(in.A.narrow(2, 0, 1).narrow(0, 0, 1), in.A.shape());
  Mamba3::State state;
  Tensor S;
  const auto turned = [](const Tensor& x) { return transpose(x, 1, 2); };
  const Tensor y = ssd({turned(in.x), turned(in.delta), in.A[0].select(1, 0), turned(in.B), turned(in.C)}, S);
  CHECK(difference(trapezoidal_ssd(in, state), turned(y)) < 1e-12);
  CHECK(difference(state.S, S) < 1e-12);
}

TEST_CASE("lambda = 1/2 is of second order in the step, lambda = 1 of first", "[mamba3]") {
  // x' = -x + sin(3 t) from x(0) = 0 at t = 2: [e^{-2} 3 + sin 6 - 3 cos 6] / 10.
  const double exact = (3 * std::exp(-2.) + std::sin(6.) - 3 * std::cos(6.)) / 10;
  const auto slope = [&](double lambda) {
    const auto error = [&](int64_t n) {
      const double step = 2. / double(n);
      const Shape per_step{1, 1, n + 1};  // the token at t = 0 stands for the input before the first step
      const Tensor one = ones({1, 1, n + 1, 2}, f64) * tensor({1, 0}, f64);
      TrapezoidalInputs in{.x = sin(3 * step * arange(0, n + 1, 1, f64)).reshape({1, 1, n + 1, 1}),
                           .delta = full(per_step, step, f64),
                           .A = full(per_step, -1, f64),
                           .lambda = full(per_step, lambda, f64),
                           .B = one,
                           .C = one,
                           .angle = zeros({1, 1, n + 1, 1}, f64)};
      Mamba3::State state;
      return std::abs(trapezoidal_ssd(in, state).select(2, n).item() - exact);
    };
    return std::log2(error(100) / error(200));
  };
  CHECK(std::abs(slope(0.5) - 2) < 0.05);
  CHECK(std::abs(slope(1) - 1) < 0.05);
}

TEST_CASE("Mamba-3 has gradients of every input and of the state, to second order", "[mamba3]") {
  const TrapezoidalInputs in = trapezoidal_inputs(3, 1, 1, 2, 1);
  const auto f = [&](const TensorList& x) {
    Mamba3::State state{.S = x[7], .key = x[8], .value = x[9], .angle = {}};
    Tensor y = trapezoidal_ssd({x[0], x[1], x[2], x[3], x[4], x[5], x[6]}, state, {StateForm::chunked, 2});
    return TensorList{y, state.S};
  };
  TensorList leaves;
  for (const Tensor& x : {in.x, in.delta, in.A, in.lambda, in.B, in.C, in.angle, normal({1, 1, 2, 1}, 8),
                          normal({1, 1, 1, 2}, 9), normal({1, 1, 1, 1}, 10)})
    leaves.push_back(x.clone().requires_grad_());
  CHECK(check_twice(f, leaves) == "");
}

TEST_CASE("Mamba-3 in pieces equals Mamba-3 at once, in every form", "[mamba3]") {
  const Tensor x = normal({2, 9, 4}, 1), whole = small_mamba3().forward(x);
  for (const MatrixStateOptions& o : kForms3) {
    const Mamba3 m = small_mamba3(o);
    CHECK(difference(m.forward(x), whole) < 1e-12);
    for (int64_t piece : {1, 2, 5, 9}) {
      Mamba3::State state;
      std::vector<Tensor> y{m.step(x.narrow(1, 0, 0), state)};
      for (const Tensor& part : split(x, piece, 1)) y.push_back(m.step(part, state));
      CHECK(difference(cat(y, 1), whole) < 1e-12);
      CHECK(state.time == 9);
      CHECK(max(abs(state.angle)).item() < 6.2832);
    }
  }
}

TEST_CASE("Mamba-3 looks back only, keeps samples apart, has gradients, saves and loads, in a block too", "[mamba3]") {
  Mamba3 m = small_mamba3({StateForm::chunked, 3});
  Mamba3 tiny({.dim = 2, .state = 2, .expand = 1, .head = 1, .scan = {StateForm::chunked, 2}});
  tiny.to(f64);
  check_causal_layer(m, tiny);
  check_block_of([] { return mixer("mamba3", Mamba3({.dim = 8, .state = 4, .head = 4})); });
}

TEST_CASE("Mamba-3 in halves: the state stays f32", "[mamba3]") {
  manual_seed(7);
  check_halves(Mamba3({.dim = 8, .state = 4, .head = 4}), 12, 16);
}

TEST_CASE("what Mamba-3 refuses", "[mamba3][errors]") {
  const Mamba3 m = small_mamba3();
  Mamba3::State state;
  m.step(normal({2, 3, 4}, 1), state);
  CHECK_THROWS_WITH(m.step(normal({3, 1, 4}, 1), state), contains("Mamba3::step: wrong state"));
  Mamba3::State half = state;
  half.value = {};
  CHECK_THROWS_WITH(m.step(normal({2, 1, 4}, 1), half), contains("value none"));
  CHECK_THROWS_AS(m.forward(normal({2, 3, 5}, 1)), ShapeError);
  CHECK_THROWS_WITH(Mamba3({.dim = 32, .state = 3}), contains("an even state"));
  TrapezoidalInputs in = trapezoidal_inputs(3);
  in.angle = in.angle.narrow(2, 0, 1);
  Mamba3::State none;
  CHECK_THROWS_AS(trapezoidal_ssd(in, none), ShapeError);
  CHECK_THROWS_WITH(Mamba3({.dim = 8}), contains("inner width of 16, heads of 64"));
}
