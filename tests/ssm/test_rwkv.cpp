// RWKV: wkv in log space against its definition, decays and reading of the later generations, token shift.
#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "include/inkstone/testing.h"
#include "nn/ssm/rwkv/rwkv4.h"
#include "nn/ssm/rwkv/rwkv6.h"
#include "nn/ssm/rwkv/rwkv7.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

struct Keys {
  Tensor k, v, w, u;
};
Keys keys_of(int64_t n, DType t = f64) {
  return {normal({2, n, 3}, 1, t), normal({2, n, 3}, 2, t), -exp(normal({3}, 3, t)), normal({3}, 4, t)};
}
Tensor mean_of(const Keys& in, ScanAlgorithm algorithm = ScanAlgorithm::sequential) {
  WkvSums sums;
  return wkv(in.k, in.v, in.w, in.u, sums, algorithm);
}
// The definition, pair by pair; for keys whose exponentials are finite.
Tensor by_pairs(const Keys& in) {
  NoGrad guard;
  const int64_t n = in.k.size(1);
  TensorList rows;
  for (int64_t t = 0; t < n; ++t) {
    Tensor now = exp(in.u + in.k.select(1, t)), above = now * in.v.select(1, t), below = now;
    for (int64_t i = 0; i < t; ++i) {
      const Tensor weight = exp(double(t - 1 - i) * in.w + in.k.select(1, i));
      above = above + weight * in.v.select(1, i), below = below + weight;
    }
    rows.push_back(above / below);
  }
  return stack(rows, 1);
}

// A layer with random weights, its tokens, and the token before each.
template <class Layer> Layer drawn_layer(Layer layer) {
  NoGrad guard;
  unsigned seed = 40;
  for (const Tensor& p : layer.parameters()) Tensor(p).copy_(0.5 * normal(p.shape(), seed++));
  layer.to(f64);
  return layer;
}
Tensor column(const Tensor& row) { return row.reshape({row.numel(), 1}); }
// The norm of one head, weight and bias.
Tensor normed(const Tensor& y, const Tensor& weight, const Tensor& bias) {
  const Tensor centred = y - y.mean();
  return centred / sqrt(square(centred).mean() + 64e-5) * weight + bias;
}

}  // namespace

TEST_CASE("RWKV-6 equals its definition, token by token in plain numbers", "[ssm]") {
  NoGrad guard;
  const int64_t d = 4, n = 5;
  const Rwkv6TimeMix layer = drawn_layer(Rwkv6TimeMix({.dim = d, .heads = 1, .shift_rank = 2, .decay_rank = 3}));
  const Tensor x = normal({1, n, d}, 1);
  Tensor S = zeros({d, d}, f64), before = zeros({1, d}, f64);
  TensorList rows;
  for (int64_t t = 0; t < n; ++t) {
    const Tensor now = x.select(1, t), change = before - now;
    const Tensor h = tanh(matmul(now + change * layer.shift_all, layer.shift_down)).reshape({5, 2});
    const auto mixed = [&](int64_t i) {
      return now + change * (matmul(h.narrow(0, i, 1), layer.shift_up[i]) + layer.shift_each[i]);
    };
    const Tensor w = exp(-exp(layer.decay.forward(mixed(0)))), k = layer.key.forward(mixed(1)),
                 v = layer.value.forward(mixed(2)), r = layer.receptance.forward(mixed(3)),
                 g = silu(layer.gate.forward(mixed(4)));
    const Tensor y = matmul(r, S + column(layer.first * k) * v);
    S = column(w) * S + column(k) * v;
    rows.push_back(layer.out.forward(normed(y, layer.norm_weight, layer.norm_bias) * g));
    before = now;
  }
  CHECK(difference(layer.forward(x).select(0, 0), cat(rows, 0)) < 1e-10);
}

TEST_CASE("RWKV-7 equals its definition, token by token in plain numbers", "[ssm]") {
  NoGrad guard;
  const int64_t d = 4, n = 5;
  const Rwkv7TimeMix layer = drawn_layer(
      Rwkv7TimeMix({.dim = d, .heads = 1, .decay_rank = 2, .erase_rank = 2, .value_rank = 2, .gate_rank = 3}));
  const Tensor x = normal({1, n, d}, 1);
  Tensor S = zeros({d, d}, f64), before = zeros({1, d}, f64);
  TensorList rows;
  for (int64_t t = 0; t < n; ++t) {
    const Tensor now = x.select(1, t);
    const auto mixed = [&](int64_t i) { return now + (before - now) * layer.shift[i]; };
    const Tensor r = layer.receptance.forward(mixed(0)),
                 w = exp(-0.6065306597126334 * sigmoid(layer.decay.forward(mixed(1)))), k = layer.key.forward(mixed(2)),
                 v = layer.value.forward(mixed(3)), a = sigmoid(layer.erase.forward(mixed(4))),
                 g = layer.gate.forward(mixed(5));
    Tensor kappa = k * layer.erase_key;
    kappa = kappa / norm(kappa);
    const Tensor written = k * (1 + (a - 1) * layer.write_key);
    S = column(w) * S - column(a * kappa) * matmul(kappa, S) + column(written) * v;
    const Tensor y = normed(matmul(r, S), layer.norm_weight, layer.norm_bias) + (r * written * layer.bonus).sum() * v;
    rows.push_back(layer.out.forward(y * g));
    before = now;
  }
  CHECK(difference(layer.forward(x).select(0, 0), cat(rows, 0)) < 1e-10);
}

TEST_CASE("wkv is the mean of its definition, by every scan", "[ssm]") {
  for (auto algorithm :
       {ScanAlgorithm::sequential, ScanAlgorithm::hillis_steele, ScanAlgorithm::blelloch, ScanAlgorithm::chunked})
    for (int64_t n : {1, 2, 3, 17}) {
      CHECK(difference(mean_of(keys_of(n), algorithm), by_pairs(keys_of(n))) < 1e-13);
      CHECK(difference(mean_of(keys_of(n, f32), algorithm).to(f64), by_pairs(keys_of(n))) < 1e-5);
    }
  // Without decay, and with u = 0: the plain mean of equal keys.
  const Tensor v = normal({1, 4, 1}, 5);
  const Tensor y = mean_of({zeros({1, 4, 1}, f64), v, zeros({1}, f64), zeros({1}, f64)});
  CHECK(std::abs(y[0][3].item() - v.mean().item()) < 1e-14);
}

TEST_CASE("wkv lies between the least and the largest value, whatever is added to all keys", "[ssm]") {
  Keys in = keys_of(40);
  const Tensor y = mean_of(in);
  CHECK(all(y <= max(in.v, {1}, true) + 1e-12).item<bool>());
  CHECK(all(y >= min(in.v, {1}, true) - 1e-12).item<bool>());
  for (double c : {-700., -3., 50., 700.}) {
    Keys moved = in;
    moved.k = in.k + c;
    CHECK(difference(mean_of(moved), y) < 1e-11);
  }
}

TEST_CASE("wkv is finite for keys in the hundreds, its gradients too, in f32", "[ssm]") {
  for (double size : {100., 900.}) {
    Keys in = keys_of(30, f32);
    in.k = in.k * size;
    for (Tensor* t : {&in.k, &in.v, &in.w, &in.u}) *t = t->detach().requires_grad_();
    const Tensor y = mean_of(in);
    CHECK(all(isfinite(y)).item<bool>());
    CHECK(all(y.detach() <= max(in.v.detach(), {1}, true) + 1e-5).item<bool>());
    y.square().sum().backward();
    for (const Tensor& t : {in.k, in.v, in.w, in.u}) CHECK(all(isfinite(t.grad())).item<bool>());
  }
  // One key far above all others decides until the end: its value comes out, at every later step.
  Keys in = keys_of(5);
  in.w = in.w * 0.1, in.k = in.k + cat({zeros({2, 1, 3}, f64), full({2, 1, 3}, 400, f64), zeros({2, 3, 3}, f64)}, 1);
  const Tensor y = mean_of(in);
  for (int64_t t = 1; t < 5; ++t) CHECK(difference(y.select(1, t), in.v.select(1, 1)) < 1e-14);
  // A decay so fast that exponents fall by thousands: only the last token and the bonus of the newest are left.
  Keys fast = keys_of(60, f32);
  fast.w = full({3}, -3000, f32);
  const Tensor mixed = sigmoid(fast.u + fast.k.select(1, 59) - fast.k.select(1, 58));
  CHECK(difference(mean_of(fast).select(1, 59), mixed * fast.v.select(1, 59) + (1 - mixed) * fast.v.select(1, 58)) <
        1e-6);
}

TEST_CASE("wkv goes on from its sums, with gradients to second order", "[ssm][grad]") {
  const Keys in = keys_of(9);
  WkvSums sums;
  auto part = [&](int64_t from, int64_t n) {
    return wkv(in.k.narrow(1, from, n), in.v.narrow(1, from, n), in.w, in.u, sums);
  };
  CHECK(difference(cat({part(0, 4), part(4, 0), part(4, 5)}, 1), mean_of(in)) < 1e-13);
  auto f = [](const TensorList& x) {
    WkvSums s{x[4], exp(x[5]), zeros_like(x[4])};
    Tensor y = wkv(x[0], x[1], -exp(x[2]), x[3], s);
    return TensorList{y, s.numerator * exp(s.exponent), s.denominator * exp(s.exponent)};
  };
  CHECK(check_twice(f, {normal({1, 4, 2}, 1), normal({1, 4, 2}, 2), normal({2}, 3), normal({2}, 4), normal({1, 2}, 5),
                        normal({1, 2}, 6)}) == "");
  WkvSums wrong{zeros({2, 3}, f64), zeros({2, 3}, f64), {}};
  CHECK_THROWS_AS(wkv(in.k, in.v, in.w, in.u, wrong), ShapeError);
  wrong.exponent = zeros({1, 3}, f64);
  CHECK_THROWS_AS(wkv(in.k, in.v, in.w, in.u, wrong), ShapeError);
  CHECK_THROWS_AS(mean_of({in.k, in.v, in.w[0], in.u}), ShapeError);
}

TEST_CASE("RWKV-4 starts with decays from slow to fast, and at 0", "[ssm]") {
  Rwkv4TimeMix layer({.dim = 8, .depth = {.layer = 1, .layers = 3}});
  CHECK(std::abs(layer.decay[0].item() + 5) < 1e-6);
  CHECK(std::abs(layer.decay[7].item() - 3) < 1e-6);
  CHECK(std::abs(layer.mix_key[4].item() - std::pow(0.5, 2. / 3)) < 1e-6);
  CHECK(std::abs(layer.mix_value[4].item() - std::pow(0.5, 2. / 3) - 0.15) < 1e-6);
  CHECK(max(abs(layer.forward(normal({1, 3, 8}, 1, f32)))).item() == 0);
  CHECK_THROWS_AS(Rwkv4TimeMix({.dim = 0}), ValueError);
}

TEST_CASE("RWKV-6 reads its state before it writes, and weighs the newest pair by u", "[ssm]") {
  const int64_t n = 7, d = 3;
  const Tensor q = normal({1, 2, n, d}, 1), k = normal({1, 2, n, d}, 2), v = normal({1, 2, n, d}, 3),
               log_w = -exp(normal({1, 2, n, d}, 4)), start = normal({1, 2, d, d}, 5);
  Tensor expected_state = start;
  TensorList rows;
  for (int64_t t = 0; t < n; ++t) {
    const auto row = [t](const Tensor& x) { return x.narrow(2, t, 1); };
    rows.push_back(matmul(row(q), expected_state));
    const Tensor kept = transpose(exp(row(log_w)), -2, -1) * expected_state;
    expected_state = kept + matmul(transpose(row(k), -2, -1), row(v));
  }
  for (auto form : {StateForm::recurrent, StateForm::parallel, StateForm::chunked}) {
    Tensor state = start;
    const Tensor out =
        read_before_write({.q = q, .k = k, .v = v, .log_decay = log_w}, state, {.form = form, .chunk = 3});
    CHECK(difference(out, cat(rows, 2)) < 1e-12);
    CHECK(difference(state, expected_state) < 1e-12);
  }
}

TEST_CASE("RWKV-7 decays lie in (0.545, 1), for any argument", "[ssm]") {
  const Tensor w = exp(rwkv7_log_decay(tensor({-1e6, -3, 0, 3, 1e6}, f64)));
  CHECK(w[0].item() == 1);
  CHECK(std::abs(w[2].item() - std::exp(-0.5 * std::exp(-0.5))) < 1e-15);
  CHECK(min(w).item() > 0.545);
  CHECK(std::abs(w[4].item() - 0.5452392118926) < 1e-12);
}

TEST_CASE("RWKV-7 hands the first block's values on, where it is asked to", "[ssm]") {
  manual_seed(1);
  const auto options = [](int64_t layer) {
    return Rwkv7Options{.dim = 8, .heads = 2, .value_residual = true, .depth = {.layer = layer, .layers = 2}};
  };
  Rwkv7TimeMix first(options(0)), second(options(1));
  {
    NoGrad guard;
    second.out.weight.copy_(normal({8, 8}, 2, f32));
  }
  const Tensor x = normal({1, 5, 8}, 3, f32);
  Tensor values;
  Rwkv7TimeMix::State a, b, c;
  first.step(x, a, values);
  CHECK(values.shape() == x.shape());
  const Tensor y = second.step(x, b, values);
  Tensor others = normal({1, 5, 8}, 4, f32);
  CHECK(difference(second.step(x, c, others), y) > 1e-3);
  Rwkv7TimeMix::State fresh;
  Tensor none;
  CHECK_THROWS_AS(second.step(x, fresh, none), ShapeError);
  CHECK_THROWS_WITH(second.forward(x), contains("it needs the first block's values"));
}

TEST_CASE("the channel mix sees the token before, and closes its gate at 0", "[ssm]") {
  RwkvChannelMix mix({.dim = 4});
  {
    NoGrad guard;
    for (Tensor p : {Tensor(mix.value.weight), Tensor(mix.receptance->weight)}) p.copy_(normal(p.shape(), 1, f32));
  }
  const Tensor x = normal({1, 2, 4}, 2, f32), alone = mix.forward(x.narrow(1, 1, 1)).select(1, 0);
  CHECK(difference(mix.forward(x).select(1, 1), alone) > 1e-3);
  RwkvChannelMix open({.dim = 4, .gate = false});
  open.key.weight = mix.key.weight, open.value.weight = mix.value.weight;
  const Tensor r = mix.mix_receptance * x;  // of the first token: nothing stands before it
  const Tensor gate = sigmoid(mix.receptance->forward(r)).select(1, 0);
  CHECK(difference(mix.forward(x).select(1, 0), gate * open.forward(x).select(1, 0)) < 1e-6);
  CHECK_THROWS_AS(RwkvChannelMix({.dim = 4, .hidden = -1}), ValueError);
}
