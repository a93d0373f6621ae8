// Mamba: the selective scan in its forms, the causal convolution, and the block.
#include "nn/ssm/mamba.h"

#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "include/inkstone/testing.h"
#include "nn/models/gpt.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"
#include "tests/support/temporary.h"

using namespace ink;
using namespace ink::test;

namespace {

SelectiveInputs selective_inputs(int64_t n, int64_t channels = 3, int64_t states = 4) {
  return {.x = normal({2, n, channels}, 1),
          .delta = softplus(normal({2, n, channels}, 2) - 1),
          .A = -exp(normal({channels, states}, 3) * 0.5),
          .B = normal({2, n, states}, 4),
          .C = normal({2, n, states}, 5)};
}

Mamba small_mamba(const Selection& selection = {}, const SelectiveOptions& scan = {}) {
  manual_seed(7);
  Mamba m({.dim = 4, .state = 3, .selection = selection, .scan = scan});
  m.to(f64);
  return m;
}

std::vector<Tensor> pieces_of(const Tensor& x, const std::vector<int64_t>& lengths) {
  std::vector<Tensor> parts;
  int64_t at = 0;
  for (int64_t n : lengths) parts.push_back(x.narrow(1, at, n)), at += n;
  return parts;
}

const SelectiveOptions kForms[] = {
    {SelectiveForm::fused, ScanAlgorithm::sequential},          {SelectiveForm::associative, ScanAlgorithm::sequential},
    {SelectiveForm::associative, ScanAlgorithm::hillis_steele}, {SelectiveForm::associative, ScanAlgorithm::blelloch},
    {SelectiveForm::associative, ScanAlgorithm::chunked},       {SelectiveForm::recurrent, ScanAlgorithm::sequential}};

}  // namespace

TEST_CASE("the selective scan: all forms follow the definition, from a start, for any length", "[mamba]") {
  for (int64_t n : {0, 1, 2, 5, 17}) {
    const SelectiveInputs in = selective_inputs(n);
    const Tensor start = normal({2, 3, 4}, 6);
    Tensor expected_h = start;
    std::vector<Tensor> rows{zeros({2, 0, 3}, f64)};
    for (int64_t t = 0; t < n; ++t) {
      const auto at = [&](const Tensor& x) { return x.select(1, t); };
      expected_h = exp(unsqueeze(at(in.delta), 2) * in.A) * expected_h +
                   unsqueeze(at(in.delta) * at(in.x), 2) * unsqueeze(at(in.B), 1);
      rows.push_back(unsqueeze(sum(expected_h * unsqueeze(at(in.C), 1), -1), 1));
    }
    for (const SelectiveOptions& o : kForms) {
      INFO("n " << n << " form " << int(o.form) << " algorithm " << int(o.algorithm));
      Tensor h = start;
      CHECK(difference(selective_ssm(in, h, o), cat(rows, 1)) < 1e-13);
      CHECK(difference(h, expected_h) < 1e-13);
      Tensor none;
      selective_ssm(in, none, o);
      CHECK(none.shape() == Shape{2, 3, 4});
    }
  }
}

TEST_CASE("the selective scan has gradients of every input and of the start, to second order, in every form",
          "[mamba]") {
  const SelectiveInputs in = selective_inputs(3, 2, 2);
  for (const SelectiveOptions& o : kForms) {
    INFO("form " << int(o.form) << " algorithm " << int(o.algorithm));
    const auto f = [&](const TensorList& x) {
      Tensor h = x[5];
      Tensor y = selective_ssm({x[0], x[1], x[2], x[3], x[4]}, h, o);
      return TensorList{y, h};
    };
    const TensorList leaves{in.x, in.delta, in.A, in.B, in.C, normal({2, 2, 2}, 6)};
    TensorList copies;
    for (const Tensor& x : leaves) copies.push_back(x.clone().requires_grad_());
    CHECK(check_twice(f, copies) == "");
  }
}

TEST_CASE("with constant delta, B and C the selective scan is S4D-Real with Euler's B", "[mamba]") {
  const int64_t n = 40, channels = 3, states = 5;
  const Tensor delta = tensor({0.01, 0.1, 1}, f64), B = normal({states}, 1), C = normal({states}, 2),
               A = -expand(arange(1, states + 1, 1, f64), {channels, states}), x = normal({2, n, channels}, 3);
  const auto always = [&](const Tensor& v) { return expand(v, {2, n, v.size(0)}); };
  Tensor h;
  const Tensor y = selective_ssm({x, always(delta), A, always(B), always(C)}, h);
  // K_l = sum over states of C delta B e^{l delta A}
  const Tensor power = exp(arange(0, n, 1, f64).reshape({n, 1, 1}) * (unsqueeze(delta, 1) * A)),
               kernel = sum(power * (C * B), -1) * delta;
  Tensor expected = zeros({2, n, channels}, f64);
  for (int64_t l = 0; l < n; ++l)
    expected = expected + cat({zeros({2, l, channels}, f64), x.narrow(1, 0, n - l) * select(kernel, 0, l)}, 1);
  CHECK(difference(y, expected) < 1e-13);
}

TEST_CASE("the selective scan is finite for large steps and fast decays, in f32 and halves", "[mamba]") {
  for (DType t : {f32, f16, bf16})
    for (const SelectiveOptions& o : kForms) {
      SelectiveInputs in = selective_inputs(9);
      in.delta = in.delta * 200;
      for (Tensor* x : {&in.x, &in.delta, &in.A, &in.B, &in.C}) *x = x->to(t);
      const SelectiveInputs wide{in.x.to(f64), in.delta.to(f64), in.A.to(f64), in.B.to(f64), in.C.to(f64)};
      Tensor h, exact;
      const Tensor y = selective_ssm(in, h, o), reference = selective_ssm(wide, exact);
      CHECK(y.dtype() == t);
      CHECK(h.dtype() == f32);
      CHECK(difference(y.to(f64) / max(abs(reference)), reference / max(abs(reference))) <
            2 * verify::epsilon(t) + 1e-6);
    }
}

TEST_CASE("the causal convolution: torch's conv1d with zeros in front, in pieces shorter than the width", "[mamba]") {
  CausalConv conv(3, 4);
  conv.to(f64);
  const Tensor x = normal({2, 9, 3}, 1);
  const Tensor padded = pad(transpose(x, 1, 2), {3, 0});
  const Tensor expected = transpose(conv1d(padded, conv.weight, conv.bias, {.groups = 3}), 1, 2);
  CHECK(difference(conv.forward(x), expected) < 1e-14);
  for (const std::vector<int64_t>& pieces :
       {std::vector<int64_t>{1, 1, 1, 1, 1, 1, 1, 1, 1}, {2, 1, 0, 6}, {3, 6}, {0, 9}}) {
    CausalConv::State state;
    std::vector<Tensor> y;
    for (const Tensor& part : pieces_of(x, pieces)) y.push_back(conv.step(part, state));
    CHECK(difference(cat(y, 1), expected) < 1e-14);
    CHECK(state.time == 9);
    CHECK(equal(state.tail, x.narrow(1, 6, 3)));
  }
  CHECK(verify::gradients(
            conv, [&](const Tensor& in) { return conv.forward(in); }, x.narrow(1, 0, 3).clone())
            .message == "");
  CausalConv narrow(3, 1, false);
  narrow.to(f64);
  CHECK(difference(narrow.forward(x), x * narrow.weight.reshape({3})) < 1e-15);
  Tensor tail = zeros({2, 2, 3}, f64);
  CHECK_THROWS_WITH(conv.step(x, tail), contains("wrong state; got a tail [2, 2, 3]; expected [2, 3, 3]"));
  CHECK_THROWS_AS(conv.forward(zeros({2, 9, 4}, f64)), ShapeError);
  CHECK_THROWS_AS(CausalConv(0, 4), ValueError);
}

TEST_CASE("Mamba starts as published", "[mamba]") {
  Mamba m({.dim = 33});
  CHECK(m.inner == 66);
  CHECK(m.rank == 3);
  CHECK(m.A_log.shape() == Shape{66, 16});
  CHECK(difference(exp(m.A_log[65]), arange(1, 17, 1, f32)) < 1e-6);
  CHECK(difference(m.D, ones({66})) == 0);
  const Tensor delta = softplus(m.dt_proj->bias);
  CHECK(min(delta).item() >= 0.99e-3);
  CHECK(max(delta).item() <= 1.01e-1);
  CHECK(max(abs(m.dt_proj->weight)).item() <= 1 / std::sqrt(3.));
  std::vector<std::string> names;
  for (auto& [name, p] : m.named_parameters()) names.push_back(name);
  CHECK(names == std::vector<std::string>{"in_proj.weight", "conv1d.weight", "conv1d.bias", "x_proj.weight",
                                          "dt_proj.weight", "dt_proj.bias", "A_log", "D", "out_proj.weight"});
  CHECK(min(softplus(step_bias(500, {.low = 1e-6, .high = 1e-3, .floor = 1e-5}).to(f64))).item() >= 0.99e-5);
}

TEST_CASE("Mamba follows its definition, written out token by token", "[mamba]") {
  const Mamba m = small_mamba();
  const Tensor x = normal({2, 6, 4}, 1), xz = linear(x, m.in_proj.weight);
  Tensor tail, h;
  const Tensor u = silu(causal_conv(xz.narrow(2, 0, 8), m.conv1d.weight, m.conv1d.bias, tail));
  const std::vector<Tensor> p = split(linear(u, m.x_proj->weight), Shape{1, 3, 3}, -1);
  const Tensor delta = log1p(exp(linear(p[0], m.dt_proj->weight, m.dt_proj->bias)));
  const Tensor y = selective_ssm({u, delta, -exp(m.A_log), p[1], p[2]}, h, {.form = SelectiveForm::recurrent});
  const Tensor z = xz.narrow(2, 8, 8);
  CHECK(difference(m.forward(x), linear((y + m.D * u) * z * sigmoid(z), m.out_proj.weight)) < 1e-13);
}

TEST_CASE("Mamba in pieces equals Mamba at once, in every form, prompts shorter than the convolution included",
          "[mamba]") {
  const Tensor x = normal({2, 9, 4}, 1);
  const Tensor whole = small_mamba().forward(x);
  for (const SelectiveOptions& o : kForms) {
    const Mamba m = small_mamba({}, o);
    CHECK(difference(m.forward(x), whole) < 1e-13);
    for (const std::vector<int64_t>& pieces :
         {std::vector<int64_t>{1, 1, 1, 1, 1, 1, 1, 1, 1}, {2, 7}, {1, 0, 8}, {5, 4}}) {
      Mamba::State state;
      std::vector<Tensor> y;
      for (const Tensor& part : pieces_of(x, pieces)) y.push_back(m.step(part, state));
      CHECK(difference(cat(y, 1), whole) < 1e-13);
      CHECK(state.time == 9);
      CHECK(state.h.shape() == Shape{2, 8, 3});
    }
  }
  CHECK(small_mamba().forward(zeros({2, 0, 4}, f64)).shape() == Shape{2, 0, 4});
}

TEST_CASE("Mamba looks back only, keeps samples apart, and has gradients to second order", "[mamba]") {
  for (const Selection& s : {Selection{}, Selection{false, false, false}, Selection{true, false, true}}) {
    Mamba m = small_mamba(s);
    const auto run = [&](const Tensor& x) { return m.forward(x); };
    CHECK(verify::causality(run, normal({2, 6, 4}, 1), 1).message == "");
    CHECK(verify::batch(run, normal({3, 5, 4}, 1)).message == "");
    check_covers(m.forward(normal({1, 3, 4}, 1)).sum(), m);
    Mamba tiny({.dim = 2, .state = 2, .expand = 1, .conv = 2, .selection = s});
    tiny.to(f64);
    CHECK(verify::gradients(
              tiny, [&](const Tensor& x) { return tiny.forward(x); }, normal({1, 3, 2}, 2))
              .message == "");
  }
}

TEST_CASE("without selection Mamba's response does not depend on when an input comes; with it, it does", "[mamba]") {
  const Tensor x = normal({1, 8, 4}, 1), later = cat({zeros({1, 3, 4}, f64), x.narrow(1, 0, 5)}, 1);
  for (const Selection& s : {Selection{false, false, false}, Selection{}}) {
    Mamba m = small_mamba(s);
    {
      NoGrad guard;
      m.conv1d.bias.zero_();
      m.in_proj.weight.narrow(0, 8, 8).zero_();  // the gate, which sees the token too
      m.in_proj.weight.narrow(0, 8, 8).add_(1);
    }
    const auto scanned = [&](const Tensor& x) {  // what the scan makes of the tokens: linear only without selection
      SelectiveInputs in = m.select_from(x);
      Tensor h;
      return selective_ssm(in, h);
    };
    const Tensor u = normal({1, 8, 8}, 2), v = normal({1, 8, 8}, 3);
    const double nonlinear = difference(scanned(u + v), scanned(u) + scanned(v));
    if (s.delta)
      CHECK(nonlinear > 1e-3);
    else
      CHECK(nonlinear < 1e-13);
  }
}

TEST_CASE("Mamba is a mixer of blocks, and saves and loads", "[mamba]") {
  manual_seed(5);
  GPT gpt({.vocabulary = 11, .context = 16, .dim = 8, .heads = 2, .layers = 2});
  gpt.blocks[0] = TransformerBlock(8, {mixer("mamba", Mamba({.dim = 8, .state = 4}))});
  gpt.to(f64);
  const Tensor ids = whole({2, 7}, 11, 1), all = gpt.forward(ids);
  std::vector<BlockState> states;
  std::vector<Tensor> rows{gpt.step(ids.narrow(1, 0, 2), states)};
  for (int64_t t = 2; t < 7; ++t) rows.push_back(gpt.step(ids.narrow(1, t, 1), states));
  CHECK(difference(cat(rows, 1), all) < 1e-12);
  CHECK(states[0].bytes() == 2 * 16 * (3 + 4) * 8);

  TemporaryFolder folder;
  gpt.save(folder / "gpt.safetensors");
  manual_seed(6);
  GPT other({.vocabulary = 11, .context = 16, .dim = 8, .heads = 2, .layers = 2});
  other.blocks[0] = TransformerBlock(8, {mixer("mamba", Mamba({.dim = 8, .state = 4}))});
  other.to(f64);
  CHECK(difference(other.forward(ids), all) > 1e-3);
  other.load(folder / "gpt.safetensors");
  CHECK(equal(other.forward(ids), all));
}

TEST_CASE("Mamba in halves: the scan in f32, the state too", "[mamba]") {
  for (DType t : {f16, bf16}) {
    manual_seed(7);
    Mamba m({.dim = 8, .state = 4});
    m.to(t);
    Mamba wide = m;
    wide.to(f64);
    const Tensor x = normal({2, 20, 8}, 1).to(t);
    Mamba::State state;
    const Tensor y = m.step(x, state);
    CHECK(y.dtype() == t);
    CHECK(state.h.dtype() == f32);
    const Tensor reference = wide.forward(x.to(f64));
    CHECK(max(abs(y.to(f64) - reference)).item() < 8 * verify::epsilon(t) * max(abs(reference)).item());
  }
}

TEST_CASE("what Mamba refuses", "[mamba][errors]") {
  const Mamba m = small_mamba();
  Mamba::State state;
  m.step(normal({2, 3, 4}, 1), state);
  CHECK_THROWS_WITH(m.step(normal({3, 1, 4}, 1), state), contains("Mamba::step: wrong state"));
  Mamba::State half = state;
  half.conv = {};
  CHECK_THROWS_WITH(m.step(normal({2, 1, 4}, 1), half), contains("got conv none"));
  Mamba::State other = state;
  other.h = zeros({2, 8, 4}, f64);
  CHECK_THROWS_AS(m.step(normal({2, 1, 4}, 1), other), ShapeError);
  CHECK_THROWS_AS(m.forward(normal({2, 3, 5}, 1)), ShapeError);
  CHECK_THROWS_AS(Mamba({.dim = 0}), ValueError);
  CHECK_THROWS_AS(Mamba({.dim = 4, .state = 0}), ValueError);
  CHECK_THROWS_AS(Mamba({.dim = 4, .dt = {.low = 0}}), ValueError);
  Tensor h = zeros({2, 3, 5}, f64);
  for (const SelectiveOptions& o : kForms) CHECK_THROWS_AS(selective_ssm(selective_inputs(4), h, o), ShapeError);
}
