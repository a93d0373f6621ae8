// SSD in its forms, and Mamba-2's block.
#include "nn/ssm/mamba2.h"

#include <cmath>

#include "autograd/ops.h"
#include "nn/ssm/selective.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"
#include "tests/support/layers.h"

using namespace ink;
using namespace ink::test;

namespace {

SsdInputs ssd_inputs(int64_t n, int64_t batch = 2, int64_t heads = 4, int64_t groups = 2, int64_t states = 3,
                     int64_t width = 2) {
  return {.x = normal({batch, n, heads, width}, 1),
          .delta = softplus(normal({batch, n, heads}, 2) - 1),
          .A = -exp(normal({heads}, 3)),
          .B = normal({batch, n, groups, states}, 4),
          .C = normal({batch, n, groups, states}, 5)};
}

// Y = (L o C B^T) (delta X) with L written out, entry by entry.
Tensor quadratic_form(const SsdInputs& in) {
  const int64_t n = in.x.size(1), heads = in.x.size(2), per = heads / in.B.size(2);
  std::vector<Tensor> out;
  for (int64_t h = 0; h < heads; ++h) {
    const Tensor delta = select(in.delta, 2, h), a = delta * in.A[h], C = select(in.C, 2, h / per),
                 B = select(in.B, 2, h / per), v = unsqueeze(delta, -1) * select(in.x, 2, h);
    std::vector<Tensor> rows;
    for (int64_t i = 0; i < n; ++i) {
      Tensor y = zeros_like(v.select(1, 0));
      for (int64_t j = 0; j <= i; ++j) {
        const Tensor weight = exp(sum(a.narrow(1, j + 1, i - j), 1)) * sum(C.select(1, i) * B.select(1, j), -1);
        y = y + unsqueeze(weight, -1) * v.select(1, j);
      }
      rows.push_back(y);
    }
    out.push_back(stack(rows, 1));
  }
  return stack(out, 2);
}

const MatrixStateOptions kSsdForms[] = {{StateForm::recurrent, 16}, {StateForm::parallel, 16}, {StateForm::chunked, 1},
                                        {StateForm::chunked, 2},    {StateForm::chunked, 7},   {StateForm::chunked, 11},
                                        {StateForm::chunked, 64}};

Mamba2 small_mamba2(const MatrixStateOptions& scan = {}) {
  manual_seed(7);
  Mamba2 m({.dim = 4, .state = 3, .head = 2, .groups = 2, .scan = scan});
  m.to(f64);
  return m;
}

}  // namespace

TEST_CASE("SSD: the masked matrix, the recurrence and chunks of any size are one", "[mamba2]") {
  const SsdInputs in = ssd_inputs(11);
  const Tensor expected = quadratic_form(in);
  Tensor reference_state;
  ssd(in, reference_state, {.form = StateForm::recurrent});
  for (const MatrixStateOptions& o : kSsdForms) {
    INFO("form " << int(o.form) << " chunk " << o.chunk);
    Tensor state;
    CHECK(difference(ssd(in, state, o), expected) < 1e-12);
    CHECK(difference(state, reference_state) < 1e-12);
  }
}

TEST_CASE("SSD goes on from a state, for any length", "[mamba2]") {
  for (const MatrixStateOptions& o : kSsdForms)
    for (int64_t cut : {0, 1, 4, 11}) {
      const SsdInputs in = ssd_inputs(11);
      const auto part = [&](int64_t from, int64_t to) {
        const auto f = [&](const Tensor& x) { return x.slice(1, from, to); };
        return SsdInputs{f(in.x), f(in.delta), in.A, f(in.B), f(in.C)};
      };
      Tensor whole_state, state;
      const Tensor whole = ssd(in, whole_state, o), first = ssd(part(0, cut), state, o),
                   rest = ssd(part(cut, 11), state, o);
      CHECK(difference(cat({first, rest}, 1), whole) < 1e-12);
      CHECK(difference(state, whole_state) < 1e-12);
    }
}

TEST_CASE("SSD with large decays has no NaN and loses nothing, forwards and backwards", "[mamba2]") {
  for (DType t : {f64, f32, f16})
    for (const MatrixStateOptions& o : kSsdForms) {
      SsdInputs in = ssd_inputs(11);
      in.delta = in.delta * 100;
      for (Tensor* x : {&in.x, &in.delta, &in.A, &in.B, &in.C}) *x = x->to(t);
      const Tensor exact = quadratic_form({in.x.to(f64), in.delta.to(f64), in.A.to(f64), in.B.to(f64), in.C.to(f64)});
      for (Tensor* x : {&in.x, &in.delta, &in.A, &in.B, &in.C}) x->requires_grad_();
      Tensor state;
      const Tensor y = ssd(in, state, o);
      INFO("form " << int(o.form) << " chunk " << o.chunk << " " << name_of(t));
      CHECK(y.dtype() == t);
      CHECK(max(abs(y.to(f64) - exact)).item() <
            (2 * verify::epsilon(t) + 1e-5 * (t != f64)) * max(abs(exact)).item() + 1e-12);
      sum(y.to(f64)).backward();
      for (Tensor* x : {&in.x, &in.delta, &in.A, &in.B, &in.C}) CHECK(all(isfinite(x->grad())).item<bool>());
    }
}

TEST_CASE("SSD is the selective scan whose channels share one decay", "[mamba2]") {
  const SsdInputs in = ssd_inputs(9, 2, 1, 1, 3, 4);
  Tensor state, h;
  const Tensor y = ssd(in, state);
  const SelectiveInputs same{.x = select(in.x, 2, 0),
                             .delta = expand(in.delta, {2, 9, 4}),
                             .A = expand(in.A, {4, 3}),
                             .B = select(in.B, 2, 0),
                             .C = select(in.C, 2, 0)};
  CHECK(difference(select(y, 2, 0), selective_ssm(same, h)) < 1e-12);
  CHECK(difference(select(state, 1, 0), transpose(h, 1, 2)) < 1e-12);
}

TEST_CASE("SSD has gradients of every input and of the state, to second order", "[mamba2]") {
  const SsdInputs in = ssd_inputs(3, 1, 2, 1, 2, 1);
  for (const MatrixStateOptions& o : {kSsdForms[0], kSsdForms[1], kSsdForms[3]}) {
    const auto f = [&](const TensorList& x) {
      Tensor state = x[5];
      Tensor y = ssd({x[0], x[1], x[2], x[3], x[4]}, state, o);
      return TensorList{y, state};
    };
    TensorList leaves;
    for (const Tensor& x : {in.x, in.delta, in.A, in.B, in.C, normal({1, 2, 2, 1}, 6)})
      leaves.push_back(x.clone().requires_grad_());
    CHECK(check_twice(f, leaves) == "");
  }
}

TEST_CASE("Mamba-2 starts as published", "[mamba2]") {
  Mamba2 m({.dim = 96});
  CHECK(m.inner == 192);
  CHECK(m.heads == 3);
  CHECK(m.in_proj.weight.shape() == Shape{2 * 192 + 2 * 128 + 3, 96});
  CHECK(m.conv1d.weight.shape() == Shape{192 + 256, 1, 4});
  CHECK(min(exp(m.A_log)).item() >= 1);
  CHECK(max(exp(m.A_log)).item() <= 16);
  std::vector<std::string> names;
  for (auto& [name, p] : m.named_parameters()) names.push_back(name);
  CHECK(names == std::vector<std::string>{"in_proj.weight", "conv1d.weight", "conv1d.bias", "dt_bias", "A_log", "D",
                                          "norm.weight", "out_proj.weight"});
}

TEST_CASE("Mamba-2 follows its definition, written out", "[mamba2]") {
  const Mamba2 m = small_mamba2();
  const Tensor x = normal({2, 6, 4}, 1);
  const std::vector<Tensor> p = split(linear(x, m.in_proj.weight), Shape{8, 20, 4}, -1);
  Tensor tail;
  const std::vector<Tensor> xbc =
      split(silu(causal_conv(p[1], m.conv1d.weight, m.conv1d.bias, tail)), Shape{8, 6, 6}, -1);
  const Tensor v = xbc[0].reshape({2, 6, 4, 2});
  Tensor y = quadratic_form(
      {v, log1p(exp(p[2] + m.dt_bias)), -exp(m.A_log), xbc[1].reshape({2, 6, 2, 3}), xbc[2].reshape({2, 6, 2, 3})});
  y = (y + m.D.reshape({4, 1}) * v).reshape({2, 6, 8}) * p[0] * sigmoid(p[0]);
  const Tensor groups = y.reshape({2, 6, 2, 4});
  y = (groups * rsqrt(mean(square(groups), {-1}, true) + 1e-5)).reshape({2, 6, 8}) * m.norm.weight;
  CHECK(difference(m.forward(x), linear(y, m.out_proj.weight)) < 1e-12);
}

TEST_CASE("Mamba-2 in pieces equals Mamba-2 at once, in every form", "[mamba2]") {
  const Tensor x = normal({2, 9, 4}, 1), whole = small_mamba2().forward(x);
  for (const MatrixStateOptions& o : kSsdForms) {
    const Mamba2 m = small_mamba2(o);
    CHECK(difference(m.forward(x), whole) < 1e-12);
    for (int64_t piece : {1, 2, 5, 9}) {
      Mamba2::State state;
      std::vector<Tensor> y{m.step(x.narrow(1, 0, 0), state)};
      for (const Tensor& part : split(x, piece, 1)) y.push_back(m.step(part, state));
      CHECK(difference(cat(y, 1), whole) < 1e-12);
      CHECK(state.time == 9);
      CHECK(state.S.shape() == Shape{2, 4, 3, 2});
    }
  }
}

TEST_CASE("Mamba-2 looks back only, keeps samples apart, has gradients, saves and loads, in a block too", "[mamba2]") {
  Mamba2 m = small_mamba2({StateForm::chunked, 3});
  Mamba2 tiny({.dim = 2, .state = 2, .expand = 1, .conv = 2, .head = 1, .scan = {StateForm::chunked, 2}});
  tiny.to(f64);
  check_causal_layer(m, tiny);
  check_block_of([] { return mixer("mamba2", Mamba2({.dim = 8, .state = 4, .head = 4})); });
}

TEST_CASE("Mamba-2 in halves: the state stays f32", "[mamba2]") {
  manual_seed(7);
  check_halves(Mamba2({.dim = 8, .state = 4, .head = 4}), 20, 8);
}

TEST_CASE("what SSD and Mamba-2 refuse", "[mamba2][errors]") {
  const Mamba2 m = small_mamba2();
  Mamba2::State state;
  m.step(normal({2, 3, 4}, 1), state);
  CHECK_THROWS_WITH(m.step(normal({3, 1, 4}, 1), state), contains("Mamba2::step: wrong state"));
  Mamba2::State half = state;
  half.S = {};
  CHECK_THROWS_WITH(m.step(normal({2, 1, 4}, 1), half), contains("S none"));
  CHECK_THROWS_AS(m.forward(normal({2, 3, 5}, 1)), ShapeError);
  CHECK_THROWS_AS(Mamba2({.dim = 0}), ValueError);
  CHECK_THROWS_WITH(Mamba2({.dim = 8}), contains("inner width of 16, heads of 64"));
  CHECK_THROWS_AS(Mamba2({.dim = 32, .groups = 2}), ValueError);
  CHECK_THROWS_AS(Mamba2({.dim = 32, .A_low = 0}), ValueError);
  TransformerBlock one(8, {mixer("a", Mamba({.dim = 8}))}), two(8, {mixer("b", Mamba2({.dim = 8, .head = 4}))});
  BlockState of_one;
  one.step(zeros({1, 2, 8}), of_one);
  CHECK_THROWS_WITH(two.step(zeros({1, 1, 8}), of_one), contains("a layer of another kind made this state"));
  Tensor none, wrong = zeros({2, 4, 3, 3}, f64);
  CHECK_THROWS_AS(ssd(ssd_inputs(3), wrong), ShapeError);
  CHECK_THROWS_AS(ssd(ssd_inputs(3, 2, 4, 3), none), ShapeError);
  CHECK_THROWS_AS(ssd(ssd_inputs(3), none, {.chunk = 0}), ValueError);
}
