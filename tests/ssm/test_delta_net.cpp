// The delta rule as a layer: what is stored and overwritten, where its decays lie, and its forms against the
// definition.
#include "nn/ssm/linear/delta_net.h"

#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "nn/ssm/linear/gla.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

// A layer of one head whose keys and values are x itself, and beta = sigmoid(60) = 1. Keys have length 1 - 5e-13: what
// divides them holds 1e-12, so that 0 has a gradient.
DeltaNet plain_layer(int64_t d, DeltaNetOptions o = {.dim = 0, .heads = 1}) {
  o.dim = d + 1, o.key_dim = d, o.value_dim = d, o.conv = 0;
  DeltaNet layer(o);
  layer.to(f64);
  NoGrad guard;
  for (Linear* l : {&layer.q, &layer.k, &layer.v}) l->weight = cat({eye(d, f64), zeros({d, 1}, f64)}, 1);
  layer.beta.weight = cat({zeros({1, d}, f64), full({1, 1}, 60, f64)}, 1);  // the last channel of x is 1
  return layer;
}
Tensor with_one(const Tensor& x) { return unsqueeze(cat({x, ones({x.size(0), 1}, f64)}, 1), 0); }

}  // namespace

TEST_CASE("the delta rule stores orthonormal keys exactly; a key that comes again is overwritten", "[ssm]") {
  const int64_t d = 4;
  DeltaNet layer = plain_layer(d);
  NoGrad guard;
  // The value is 2 x: it stands in the row of its key.
  layer.v.weight.mul_(2);
  DeltaNet::State state;
  layer.step(with_one(eye(d, f64)), state);
  CHECK(difference(state.memory[0][0], 2 * eye(d, f64)) < 1e-11);
  layer.v.weight.mul_(-1.5);
  layer.step(with_one(eye(d, f64).narrow(0, 1, 1)), state);
  CHECK(std::abs(state.memory[0][0][1][1].item() + 3) < 1e-11);  // the old 2 is gone
  CHECK(std::abs(state.memory[0][0][0][0].item() - 2) < 1e-11);  // the others stay
  DeltaNet sum = plain_layer(d, {.dim = 0, .heads = 1, .rule = WriteRule::add});
  DeltaNet::State sums;
  for (int i = 0; i < 2; ++i) sum.step(with_one(eye(d, f64)), sums);
  CHECK(difference(sums.memory[0][0], 2 * eye(d, f64)) < 1e-11);  // both values of a key are added
}

TEST_CASE("gated delta rules equal their definition, step by step in plain numbers", "[ssm]") {
  for (DeltaDecay decay : {DeltaDecay::none, DeltaDecay::per_head, DeltaDecay::per_channel})
    for (WriteRule rule : {WriteRule::delta, WriteRule::add}) {
      manual_seed(2);
      NoGrad guard;
      DeltaNet layer({.dim = 6, .heads = 1, .decay = decay, .rule = rule, .reflections = true, .conv = 0});
      layer.to(f64);
      const Tensor x = normal({1, 5, 6}, 3);
      DeltaNet::State state;
      layer.step(x, state);
      Tensor S = zeros({6, 6}, f64);  // [key, value]
      const Tensor alpha = decay == DeltaDecay::none
                               ? ones({5, 1}, f64)
                               : exp(layer.log_decay(x)).reshape({5, decay == DeltaDecay::per_head ? 1 : 6});
      for (int64_t t = 0; t < 5; ++t) {
        const Tensor token = x.select(1, t);
        Tensor k = layer.k.forward(token), v = layer.v.forward(token);
        k = k / norm(k);
        const double beta = 2 * sigmoid(layer.beta.forward(token)).item();
        S = unsqueeze(alpha[t].expand({6}), 1) * S;
        const Tensor read = rule == WriteRule::delta ? matmul(k, S) : zeros_like(v);
        S = S + beta * matmul(k.t(), v - read);
      }
      CHECK(difference(state.memory[0][0], S) < 1e-11);
    }
}

TEST_CASE("decays lie in (0, 1) and start with memories from one step to thousands", "[ssm]") {
  manual_seed(3);
  NoGrad guard;
  for (DeltaDecay decay : {DeltaDecay::per_head, DeltaDecay::per_channel}) {
    DeltaNet layer({.dim = 64, .heads = 16, .decay = decay});
    const Tensor log_alpha = layer.log_decay(zeros({1, 1, 64}));
    CHECK(max(log_alpha).item() < 0);
    CHECK(min(log_alpha).item() > -16 * 0.1001);  // rates up to 16, steps up to 0.1
    CHECK(min(log_alpha).item() < -0.05);
    CHECK(max(log_alpha).item() > -0.02);
    const Tensor far = layer.log_decay(1e3 * normal({2, 3, 64}, 4, f32));
    CHECK(all(isfinite(far)).item<bool>());
    CHECK(all(far <= 0).item<bool>());
  }
  CHECK_FALSE(DeltaNet({.dim = 8, .heads = 2}).log_decay(zeros({1, 1, 8})).defined());
}

TEST_CASE("gated linear attention fades slowly at first: log alpha = log sigmoid / 16", "[ssm]") {
  GatedLinearAttention layer({.dim = 8, .heads = 2});
  NoGrad guard;
  layer.decay.down.zero_();
  GatedLinearAttention::State state;
  layer.step(cat({normal({1, 1, 8}, 1, f32), zeros({1, 9, 8})}, 1), state);
  GatedLinearAttention::State first;
  layer.step(normal({1, 1, 8}, 1, f32), first);
  const double kept = std::pow(0.5, 9. / 16);  // nine steps of zeros
  CHECK(difference(state.memory, kept * first.memory) < 1e-6);
}

TEST_CASE("the delta layers refuse what does not fit", "[ssm][errors]") {
  CHECK_THROWS_AS(DeltaNet({.dim = 8, .heads = 3}), ValueError);
  CHECK_THROWS_AS(DeltaNet({.dim = 8, .heads = 2, .conv = -1}), ValueError);
  CHECK_THROWS_AS(DeltaNet({.dim = 8, .heads = 2, .value_dim = 3}), ValueError);
  CHECK_THROWS_AS(GatedLinearAttention({.dim = 8, .heads = 2, .rank = 0}), ValueError);
  CHECK_THROWS_AS(GatedLinearAttention({.dim = 8, .heads = 2, .temperature = 0}), ValueError);
  DeltaNet layer({.dim = 8, .heads = 2});
  DeltaNet::State state;
  layer.step(zeros({1, 2, 8}), state);
  state.k_tail = zeros({1, 2, 8});
  CHECK_THROWS_AS(layer.step(zeros({1, 1, 8}), state), ShapeError);
}
