#include "nn/attention/gated/gau.h"

#include <cmath>

#include "autograd/attention.h"
#include "autograd/observe/autocast.h"
#include "include/inkstone/testing.h"
#include "nn/attention/position.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"
#include "tests/support/temporary.h"

using namespace ink;
using namespace ink::test;

namespace {

using N = GauNormaliser;
constexpr N kAll[] = {N::count, N::length, N::square, N::softmax, N::softmax_plus, N::laplace};
constexpr N kStreaming[] = {N::count, N::softmax, N::softmax_plus, N::laplace};

GatedAttentionUnit small(N normaliser, bool causal, bool rotary = false) {
  manual_seed(3);
  GatedAttentionUnit gau(
      {.dim = 6, .expansion = 10, .s = 4, .causal = causal, .normaliser = normaliser, .rotary = rotary});
  gau.gain = normal({2, 4}, 5, f32) + 2, gau.offset = normal({2, 4}, 6, f32) * 0.3;  // so that no pair is idle
  gau.to(f64);
  return gau;
}

// U, V, Q and K from the parameters, in plain ops.
struct Pieces {
  Tensor u, v, q, k;
};
Pieces pieces(const GatedAttentionUnit& g, const Tensor& x) {
  auto uvz = split(silu(linear(x, g.uvz.weight, g.uvz.bias)), {g.e, g.e, g.s}, -1);
  Tensor q = uvz[2] * g.gain[0] + g.offset[0], k = uvz[2] * g.gain[1] + g.offset[1];
  return g.options.rotary ? Pieces{uvz[0], uvz[1], rotary(q), rotary(k)} : Pieces{uvz[0], uvz[1], q, k};
}

// A, entry by entry from the definitions. mask [batch, n, n] (bool) or undefined.
Tensor definition(const GatedAttentionUnit& g, const Tensor& x, const Tensor& mask = {}) {
  const int64_t b = x.size(0), n = x.size(1);
  const double s = double(g.s);
  auto [u, v, q, k] = pieces(g, x);
  Values scores = values(matmul(q, transpose(k, 1, 2))), a(size_t(b * n * n), 0.);
  Values may = mask.defined() ? values(mask.to(f64).expand({b, n, n})) : Values(size_t(b * n * n), 1.);
  for (int64_t row = 0; row < b * n; ++row) {
    const int64_t i = row % n, sample = row / n;
    auto sees = [&](int64_t r, int64_t j) {
      return may[size_t((sample * n + r) * n + j)] > 0 && (!g.options.causal || j <= r);
    };
    double visible = 0, any = 0, total = 0;
    for (int64_t j = 0; j < n; ++j) {
      visible += sees(i, j);
      bool by_any = false;
      for (int64_t r = 0; r < n; ++r) by_any = by_any || sees(r, j);
      any += by_any;
    }
    for (int64_t j = 0; j < n; ++j) {
      if (!sees(i, j)) continue;
      double score = scores[size_t(row * n + j)], positive = std::max(score, 0.), x = score / std::sqrt(s), w = 0;
      switch (g.options.normaliser) {
        case N::count:
          w = positive * positive / (s * visible);
          break;
        case N::length:
          w = positive * positive / (s * any);
          break;
        case N::square:
          w = positive * positive / (any * any);
          break;
        case N::softmax:
          w = std::exp(x);
          break;
        case N::softmax_plus:
          w = std::exp(x * std::log(std::max(visible, 16.)) / std::log(512.));
          break;
        case N::laplace:
          w = 0.5 * (1 + std::erf((x - std::sqrt(0.5)) / std::sqrt(2 / (4 * M_PI)))) / visible;
          break;
      }
      a[size_t(row * n + j)] = w, total += w;
    }
    bool is_softmax = g.options.normaliser == N::softmax || g.options.normaliser == N::softmax_plus;
    for (int64_t j = 0; is_softmax && j < n; ++j) a[size_t(row * n + j)] /= std::max(total, 1e-300);
  }
  return from_data(a, {b, n, n}).to(x.options());
}

// Sample 0 has 5 real tokens of 7, sample 1 has all.
Tensor padding() {
  Tensor lengths = from_data({5, 7}, {2, 1, 1}, f64);
  return lt(arange(7).to(f64).reshape({1, 1, 7}), lengths);
}

}  // namespace

TEST_CASE("a gated linear unit is (act(x Wu) o act(x Wv)) Wo", "[gau]") {
  Tensor x = normal({2, 3, 4}, 1);
  auto act = [](Gate gate, const Tensor& t) {
    return gate == Gate::none      ? t
           : gate == Gate::sigmoid ? sigmoid(t)
           : gate == Gate::silu    ? silu(t)
           : gate == Gate::gelu    ? gelu(t)
                                   : relu(t);
  };
  for (Gate gate : {Gate::none, Gate::sigmoid, Gate::silu, Gate::gelu, Gate::relu})
    for (Gate value : {Gate::none, Gate::silu}) {
      GatedLinearUnit glu({.dim = 4, .hidden = 5, .gate = gate, .value = value});
      glu.to(f64);
      Tensor u = linear(x, glu.uv.weight.slice(0, 0, 5), glu.uv.bias.slice(0, 0, 5)),
             v = linear(x, glu.uv.weight.slice(0, 5, 10), glu.uv.bias.slice(0, 5, 10));
      Tensor expected = linear(act(gate, u) * act(value, v), glu.out.weight, glu.out.bias);
      CHECK(difference(glu.forward(x), expected) < 1e-14);
    }
  GatedLinearUnit glu({.dim = 6, .bias = false});
  CHECK(glu.out.weight.size(1) == 16);
  CHECK(glu.num_parameters() == 2 * 6 * 4 * 6);  // as up and down of a feed-forward layer with 4 dim
  glu.to(f64);
  auto run = [&](const Tensor& x) { return glu.forward(x); };
  CHECK(verify::gradients(glu, run, normal({1, 2, 6}, 2)).message == "");
}

TEST_CASE("GAU follows its definition for every normaliser, causal or not, masked or not", "[gau]") {
  Tensor x = normal({2, 7, 6}, 1);
  Tensor some = random_tensor({2, 7, 7}, 9) > -0.5;
  some.index_put_({0, 3}, zeros({7}, boolean));  // a query that sees nothing
  for (N normaliser : kAll)
    for (bool causal : {false, true})
      for (const Tensor& mask : {Tensor(), padding(), some}) {
        GatedAttentionUnit gau = small(normaliser, causal, true);
        Tensor a = definition(gau, x, mask);
        auto [u, v, q, k] = pieces(gau, x);
        INFO("normaliser " << int(normaliser) << " causal " << causal << " mask " << mask.defined());
        CHECK(difference(gau.attention_matrix(x, mask), a) < 1e-12);
        CHECK(difference(gau.forward(x, mask), gau.out.forward(u * matmul(a, v))) < 1e-12);
        if (mask.is_same(some)) CHECK(sum(abs(gau.attention_matrix(x, mask)[0][3])).item() == 0);
      }
}

TEST_CASE("with A = I GAU is a gated linear unit, with U = 1 it is attention", "[gau]") {
  Tensor x = normal({2, 5, 6}, 1);
  for (N normaliser : {N::softmax, N::softmax_plus}) {
    GatedAttentionUnit gau = small(normaliser, false);
    GatedLinearUnit glu({.dim = 6, .hidden = 10, .gate = Gate::silu, .value = Gate::silu});
    glu.to(f64);
    glu.uv.weight = gau.uvz.weight.slice(0, 0, 20), glu.uv.bias = gau.uvz.bias.slice(0, 0, 20);
    glu.out.weight = gau.out.weight, glu.out.bias = gau.out.bias;
    Tensor itself = eye(5) > 0;  // each token sees itself alone: its softmax is 1
    CHECK(difference(gau.forward(x, itself), glu.forward(x)) < 1e-14);
    CHECK(difference(gau.forward(x), glu.forward(x)) > 1e-3);
  }
  double one = 1.2784645427610738;  // silu(one) = 1
  CHECK(std::abs(one / (1 + std::exp(-one)) - 1) < 1e-15);
  for (bool causal : {false, true}) {
    GatedAttentionUnit gau = small(N::softmax, causal);
    gau.uvz.weight = cat({zeros({10, 6}, f64), gau.uvz.weight.slice(0, 10, 24)});
    gau.uvz.bias = cat({full({10}, one, f64), gau.uvz.bias.slice(0, 10, 24)});
    auto [u, v, q, k] = pieces(gau, x);
    AttentionOptions options{.causal = causal ? Causal::top_left : Causal::no};
    Tensor a = scaled_dot_product_attention(q.unsqueeze(1), k.unsqueeze(1), v.unsqueeze(1), options).select(1, 0);
    CHECK(difference(gau.forward(x), gau.out.forward(a)) < 1e-14);
  }
}

TEST_CASE("GAU has 3 d e + d s + 4 s parameters and biases; g starts at 1, or small as published", "[gau]") {
  GatedAttentionUnit gau({.dim = 8, .bias = false});
  CHECK(gau.e == 16);
  CHECK(gau.num_parameters() == 3 * 8 * 16 + 8 * 128 + 4 * 128);
  GatedAttentionUnit biased({.dim = 8, .expansion = 12, .s = 5});
  CHECK(biased.num_parameters() == 3 * 8 * 12 + 8 * 5 + 4 * 5 + (2 * 12 + 5) + 8);
  CHECK(equal(gau.gain, ones({2, 128})));
  CHECK(equal(gau.offset, zeros({2, 128})));
  manual_seed(1);
  GatedAttentionUnit published({.dim = 8, .init = GauInit::normal});
  CHECK(std::abs(std::sqrt(square(published.gain).mean().item()) - 0.02) < 0.005);
  CHECK(equal(published.offset, zeros({2, 128})));
  check_covers(gau.forward(normal({1, 3, 8}, 1, f32)).sum(), gau);
}

TEST_CASE("GAU token by token or in pieces equals GAU at once", "[gau]") {
  Tensor x = normal({2, 7, 6}, 1);
  for (N normaliser : kStreaming) {
    GatedAttentionUnit gau = small(normaliser, true, true);
    Tensor whole = gau.forward(x);
    for (int64_t piece : {1, 3, 7}) {
      AttentionState state;
      std::vector<Tensor> y;
      for (const Tensor& part : x.split(piece, 1)) y.push_back(gau.step(part, state));
      y.push_back(gau.step(x.slice(1, 0, 0), state));  // no token: nothing
      CHECK(difference(cat(y, 1), whole) < 1e-13);
      CHECK(state.time == 7);
      CHECK(state.key.shape() == Shape{2, 1, 7, 4});
      CHECK(state.value.shape() == Shape{2, 1, 7, 10});
    }
  }
}

TEST_CASE("rows in blocks: a causal sequence longer than a block follows the definition", "[gau]") {
  Tensor x = normal({1, 150, 6}, 1);
  for (N normaliser : {N::count, N::laplace}) {
    GatedAttentionUnit gau = small(normaliser, true);
    auto [u, v, q, k] = pieces(gau, x);
    CHECK(difference(gau.forward(x), gau.out.forward(u * matmul(gau.attention_matrix(x), v))) < 1e-13);
    CHECK(difference(gau.forward(x).slice(1, 0, 140), gau.forward(x.slice(1, 0, 140))) < 1e-13);
    Tensor all = ones({1, 150, 150}, boolean);
    CHECK(difference(gau.forward(x, all), gau.forward(x)) < 1e-13);
  }
}

TEST_CASE("GAU looks back only when causal, keeps samples apart, and does not see padding", "[gau]") {
  Tensor x = normal({2, 7, 6}, 1), other = cat({x.slice(1, 0, 5), normal({2, 2, 6}, 2)}, 1);
  for (N normaliser : kAll) {
    GatedAttentionUnit causal = small(normaliser, true, true), both = small(normaliser, false);
    auto run = [&](const Tensor& x) { return causal.forward(x); };
    auto run_both = [&](const Tensor& x) { return both.forward(x); };
    CHECK(verify::causality(run, x, 1).message == "");
    CHECK_FALSE(verify::causality(run_both, x, 1));
    CHECK(verify::batch(run, x).message == "");
    CHECK(verify::batch(run_both, x).message == "");
    for (const GatedAttentionUnit* gau : {&causal, &both}) {
      Tensor padded = gau->forward(x, padding());
      CHECK(difference(padded[0].slice(0, 0, 5), gau->forward(x.slice(1, 0, 5))[0]) < 1e-13);
      CHECK(difference(padded[1], gau->forward(x)[1]) < 1e-13);
      CHECK(difference(gau->forward(other, padding())[0].slice(0, 0, 5), padded[0].slice(0, 0, 5)) == 0);
    }
  }
}

TEST_CASE("sequences of no token and of one", "[gau]") {
  for (N normaliser : kAll)
    for (bool causal : {false, true}) {
      GatedAttentionUnit gau = small(normaliser, causal, true);
      CHECK(gau.forward(zeros({2, 0, 6}, f64)).shape() == Shape{2, 0, 6});
      Tensor x = normal({2, 1, 6}, 1);
      auto [u, v, q, k] = pieces(gau, x);
      CHECK(difference(gau.forward(x), gau.out.forward(u * matmul(definition(gau, x), v))) < 1e-14);
    }
}

TEST_CASE("GAU has right derivatives, first and second", "[gau][grad]") {
  for (N normaliser : kAll) {
    manual_seed(1);
    GatedAttentionUnit gau(
        {.dim = 2, .expansion = 2, .s = 2, .causal = true, .normaliser = normaliser, .rotary = true});
    gau.gain = gau.gain + 1;  // scores away from 0
    gau.to(f64);
    auto run = [&](const Tensor& x) { return gau.forward(x); };
    CHECK(verify::gradients(gau, run, normal({1, 3, 2}, 4)).message == "");
  }
}

TEST_CASE("under autocast GAU computes in halves, for every normaliser", "[gau]") {
  Tensor x = normal({2, 7, 6}, 1, f32);
  for (N normaliser : kAll) {
    GatedAttentionUnit gau = small(normaliser, true, true);
    gau.to(f32);
    Tensor whole = gau.forward(x), halves;
    {
      Autocast half(bf16);
      halves = gau.forward(x);
      CHECK(gau.attention_matrix(x).shape() == Shape{2, 7, 7});
    }
    CHECK(halves.dtype() == bf16);
    CHECK(verify::close(halves.to(f32), whole, verify::tolerance(bf16, 8)).message == "");
  }
}

TEST_CASE("a saved GAU computes the same", "[gau]") {
  TemporaryFolder folder;
  GatedAttentionUnit a = small(N::count, true), b = small(N::count, true);
  b.uvz.weight = b.uvz.weight * 0, b.gain = b.gain * 2;
  Tensor x = normal({1, 4, 6}, 1);
  CHECK(difference(a.forward(x), b.forward(x)) > 1e-3);
  a.save(folder / "gau.safetensors");
  b.load(folder / "gau.safetensors");
  CHECK(equal(a.forward(x), b.forward(x)));
  GatedAttentionUnit copy = a;
  a.gain = a.gain * 2;
  CHECK(equal(copy.forward(x), b.forward(x)));
}

TEST_CASE("ScaleNorm has one gain; token_shift moves half of the channels", "[gau]") {
  ScaleNorm norm;
  norm.to(f64);
  norm.weight = tensor({3}, f64);
  Tensor x = normal({2, 3, 4}, 1), y = norm.forward(x);
  CHECK(difference(sqrt(square(y).mean({-1})), full({2, 3}, 3, f64)) < 1e-14);
  CHECK(difference(y, 3 * rms_norm(x, {}, 0)) < 1e-14);
  CHECK(equal(norm.forward(zeros({1, 4}, f64)), zeros({1, 4}, f64)));
  ScaleNorm fresh;
  fresh.to(f64);
  auto run = [&](const Tensor& x) { return fresh.forward(x); };
  CHECK(verify::gradients(fresh, run, normal({2, 3}, 2)).message == "");

  Tensor shifted = token_shift(x);
  CHECK(equal(shifted.slice(2, 2, 4), x.slice(2, 2, 4)));
  CHECK(equal(shifted.slice(2, 0, 2).slice(1, 1, 3), x.slice(2, 0, 2).slice(1, 0, 2)));
  CHECK(equal(shifted.slice(2, 0, 2).slice(1, 0, 1), zeros({2, 1, 2}, f64)));
  Tensor later = token_shift(x.slice(1, 1, 3), x.slice(1, 0, 1));
  CHECK(equal(later, shifted.slice(1, 1, 3)));
  CHECK(verify::causality([](const Tensor& x) { return token_shift(x); }, x, 1).message == "");
  CHECK(token_shift(x.slice(1, 0, 0)).shape() == Shape{2, 0, 4});
  CHECK_THROWS_WITH(token_shift(zeros({2, 3})), contains("token_shift: got [2, 3]; expected [batch, time, dim]"));
}

TEST_CASE("errors of GLU and GAU", "[gau][errors]") {
  CHECK_THROWS_WITH(GatedLinearUnit({.dim = 0}), contains("GatedLinearUnit: got dim 0, hidden 0"));
  CHECK_THROWS_WITH(GatedAttentionUnit({.dim = 0}), contains("GatedAttentionUnit: got dim 0, expansion 0, s 128"));
  CHECK_THROWS_WITH(GatedAttentionUnit({.dim = 4, .expansion = -3}), contains("expansion -3"));
  CHECK_THROWS_WITH(GatedAttentionUnit({.dim = 4, .s = 0}), contains("s 0; expected positive sizes"));
  CHECK_THROWS_WITH(GatedAttentionUnit({.dim = 4, .s = 3, .rotary = true}),
                    contains("got s 3; expected an even number"));
  GatedAttentionUnit gau({.dim = 6, .s = 4, .causal = true});
  Tensor x = zeros({2, 5, 6});
  CHECK_THROWS_WITH(gau.forward(zeros({2, 6})),
                    contains("GatedAttentionUnit: wrong input; got [2, 6]; expected [batch, time, 6]"));
  CHECK_THROWS_AS(gau.forward(zeros({2, 5, 7})), ShapeError);
  CHECK_THROWS_WITH(gau.forward(x, zeros({5, 5})), contains("the mask must be bool; got f32"));
  CHECK_THROWS_WITH(gau.forward(x, ones({2, 5}, boolean)),
                    contains(
                        "wrong mask; got [2, 5]; expected a shape that broadcasts to [2, 5, 5]; hint: for padding"));
  AttentionState state;
  gau.step(x, state);
  CHECK_THROWS_WITH(gau.step(zeros({3, 1, 6}), state), contains("got a batch of 3 in x and 2 in the state"));
  AttentionState fresh;
  CHECK_THROWS_AS(GatedAttentionUnit({.dim = 6}).step(x, fresh), NotSupported);
  for (N normaliser : {N::length, N::square})
    CHECK_THROWS_WITH(GatedAttentionUnit({.dim = 6, .causal = true, .normaliser = normaliser}).step(x, fresh),
                      contains("the length of the whole sequence, which is not known yet"));
}
