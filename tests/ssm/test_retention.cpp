// Retention: its three forms before the norm, its decays, and what it is without them.
#include "nn/ssm/linear/retention.h"

#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "include/inkstone/testing.h"
#include "nn/attention/linear/linear.h"
#include "nn/ssm/linear/heads.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

TEST_CASE("retention: three forms agree before the norm, in any chunk", "[ssm]") {
  for (bool rescale : {false, true})
    for (DType t : {f64, f32}) {
      manual_seed(1);
      Retention layer({.dim = 8, .heads = 2, .rescale = rescale});
      layer.to(t);
      const Tensor x = normal({2, 13, 8}, 2, t);
      const auto run = [&](StateForm form, int64_t chunk = 16) {
        layer.options.state = {.form = form, .chunk = chunk};
        Retention::State state;
        return layer.retained(x, state);
      };
      const Tensor expected = run(StateForm::parallel);
      const double allowed = t == f64 ? 1e-12 : 1e-5;
      CHECK(difference(run(StateForm::recurrent), expected) < allowed);
      for (int64_t chunk : {1, 2, 7, 13, 16}) CHECK(difference(run(StateForm::chunked, chunk), expected) < allowed);
    }
}

TEST_CASE("retention is the sum over pairs, each weighed by gamma to their distance", "[ssm]") {
  NoGrad guard;
  Retention layer({.dim = 4, .heads = 1, .gamma = {0.75}, .rotary = false});
  layer.to(f64);
  const int64_t n = 6;
  const Tensor x = normal({1, n, 4}, 3), q = layer.q.forward(x)[0], k = layer.k.forward(x)[0] / 2.,
               v = layer.v.forward(x)[0];  // heads of size 4: k / sqrt(4)
  Tensor weights = zeros({n, n}, f64);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j <= i; ++j) weights[i][j].copy_((q[i] * k[j]).sum() * std::pow(0.75, double(i - j)));
  Retention::State state;
  CHECK(difference(layer.retained(x, state)[0][0], matmul(weights, v)) < 1e-14);
}

TEST_CASE("retention that forgets nothing is linear attention", "[ssm]") {
  manual_seed(4);
  Retention layer({.dim = 8, .heads = 2, .gamma = {1, 1}, .rotary = false});
  layer.to(f64);
  const Tensor x = normal({2, 9, 8}, 4);
  Retention::State state;
  const Tensor expected =
      linear_attention(to_heads(layer.q.forward(x), 2), to_heads(layer.k.forward(x), 2) / 2.,
                       to_heads(layer.v.forward(x), 2), {.feature = FeatureMap::identity, .causal = true});
  CHECK(difference(layer.retained(x, state), expected) < 1e-13);
}

TEST_CASE("retention's rotation leaves the distance of two tokens only", "[ssm]") {
  manual_seed(5);
  Retention layer({.dim = 8, .heads = 1, .gamma = {1}});
  layer.to(f64);
  // The same two tokens at steps 0, 1 and at steps 3, 4, behind tokens of zeros: v = 0 there.
  const Tensor pair = normal({1, 2, 8}, 6), late = cat({zeros({1, 3, 8}, f64), pair}, 1);
  Retention::State a, b;
  CHECK(difference(layer.retained(pair, a), layer.retained(late, b).narrow(2, 3, 2)) < 1e-13);
  layer.options.rotary = false;
  Retention::State c;
  CHECK(difference(layer.retained(pair, c), layer.retained(late, b).narrow(2, 3, 2)) > 1e-3);
}

TEST_CASE("retention: decays per head, and a scale that only the norm's eps sees", "[ssm]") {
  CHECK(retention_decays(3) == std::vector<double>{1 - 1. / 32, 1 - 1. / 64, 1 - 1. / 128});
  manual_seed(7);
  Retention plain({.dim = 8, .heads = 2, .eps = 0}), scaled = plain;
  scaled.options.rescale = true;
  plain.to(f64), scaled.to(f64);
  const Tensor x = 3 * normal({2, 11, 8}, 8);
  Retention::State a, b;
  CHECK(difference(scaled.retained(x, a), plain.retained(x, b)) > 0.01);
  CHECK(difference(scaled.forward(x), plain.forward(x)) < 1e-10);
  plain.options.eps = scaled.options.eps = 1e-2;
  CHECK(difference(scaled.forward(x), plain.forward(x)) > 1e-3);
}

TEST_CASE("retention refuses what does not fit", "[ssm][errors]") {
  CHECK_THROWS_AS(Retention({.dim = 8, .heads = 3}), ValueError);
  CHECK_THROWS_AS(Retention({.dim = 6, .heads = 2}), ValueError);  // heads of 3 cannot be turned
  CHECK_THROWS_AS(Retention({.dim = 8, .heads = 2, .gamma = {0.5}}), ValueError);
  CHECK_THROWS_AS(Retention({.dim = 8, .heads = 1, .gamma = {1.5}}), ValueError);
  CHECK_THROWS_AS(Retention({.dim = 8, .heads = 1, .gamma = {NAN}}), ValueError);
  Retention layer({.dim = 8, .heads = 2});
  CHECK_THROWS_AS(layer.forward(zeros({1, 2, 7})), ShapeError);
}
