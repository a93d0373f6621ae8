// The forms of a layer held to each other, and what wkv is compared with.
#pragma once
#include <algorithm>
#include <cmath>

#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"
#include "include/inkstone/ssm.h"
#include "nn/models/transformer.h"
#include "nn/ssm/linear/retention.h"
#include "nn/ssm/rwkv/rwkv7.h"
#include "nn/ssm/rwkv/wkv.h"

namespace ink::lesson {

inline double largest(const Tensor& t) { return t.numel() ? t.abs().max().item() : 0; }

// sum over i <= t of lambda^{t-i} u_i as lambda^t times the running sum of u_i / lambda^i: parallel, and wrong as soon
// as lambda^{-t} is no longer a number.
inline Tensor scaled_running_sum(const Tensor& u, double lambda) {
  const Tensor t = arange(0, u.size(1), 1, {u.dtype(), u.device()}).unsqueeze(-1);
  return exp(t * std::log(lambda)) * cumsum(u * exp(-t * std::log(lambda)), 1);  // (9.72)
}

// How far the other forms are from going step by step.
struct FormDifferences {
  double parallel, chunked;
  double worst() const { return std::max(parallel, chunked); }
};

// A block of the kind with random weights (some start at 0, which would hide what they do), the same for all forms.
inline TransformerBlock block_with_weights(SsmKind kind, StateForm form, const Options& numbers) {
  TransformerBlock block(SsmOptions{.kind = kind, .dim = 16, .heads = 2, .form = form, .chunk = 8});
  Generator g(1);
  NoGrad guard;
  for (const auto& [name, p] : block.named_parameters())  // RTF's denominator: with poles inside the unit circle
    Tensor(p).copy_((name.ends_with("ssm.a") ? 0.01 : 0.3) * randn(p.shape(), f32, &g));
  block.to(numbers.device), block.to(numbers.dtype);
  return block;
}
inline FormDifferences forms_differ(SsmKind kind, const Options& numbers) {
  NoGrad guard;
  Generator g(2);
  const Tensor x = randn({2, 37, 16}, numbers, &g);
  const auto run = [&](StateForm form) { return block_with_weights(kind, form, numbers).forward(x); };
  const Tensor steps = run(StateForm::recurrent);
  return {largest(run(StateForm::parallel) - steps), largest(run(StateForm::chunked) - steps)};
}
inline double pieces_differ(const Options& numbers) {
  NoGrad guard;
  Generator g(3);
  const Tensor x = randn({2, 37, 16}, numbers, &g);
  double worst = 0;
  for (SsmKind kind : all_ssm_kinds()) {
    const TransformerBlock block = block_with_weights(kind, StateForm::chunked, numbers);
    BlockState state;
    const Tensor a = block.step(x.narrow(1, 0, 1), state), b = block.step(x.narrow(1, 1, 7), state),
                 c = block.step(x.narrow(1, 8, 29), state);
    worst = std::max(worst, largest(cat({a, b, c}, 1) - block.forward(x)));
  }
  return worst;
}

// Retention before its norm.
inline FormDifferences retention_before_norm(const Options& numbers) {
  NoGrad guard;
  Generator g(4);
  Retention layer({.dim = 32, .heads = 4});
  layer.to(numbers.device), layer.to(numbers.dtype);
  const Tensor x = randn({2, 100, 32}, numbers, &g);
  const auto run = [&](StateForm form) {
    layer.options.state.form = form;
    Retention::State state;
    return layer.retained(x, state);
  };
  const Tensor steps = run(StateForm::recurrent);
  return {largest(run(StateForm::parallel) - steps), largest(run(StateForm::chunked) - steps)};
}
// o and o in another scale, as a program with other rescaling has it, after the norm with this eps: the largest
// difference over the largest number.
inline double scale_seen_through_norm(double eps, const Options& numbers) {
  NoGrad guard;
  Generator g(5);
  manual_seed(5);
  Retention plain({.dim = 64, .heads = 4, .eps = eps});
  plain.to(numbers.device), plain.to(numbers.dtype);
  Retention scaled = plain;
  scaled.options.rescale = true;
  const Tensor x = randn({2, 64, 64}, numbers, &g), y = plain.forward(x);
  return largest(scaled.forward(x) - y) / largest(y);
}

// wkv of random keys of about this size, in log space and as its definition has it.
struct WkvTrial {
  double difference;                   // between both
  double plain_finite, stable_finite;  // % of the outputs
  double outside;                      // of [min v, max v]
  double shifted;                      // by how much 500 on every key changes the output
};
inline WkvTrial wkv_trial(double size, const Options& numbers) {
  NoGrad guard;
  Generator g(6);
  const int64_t n = 40;
  const Tensor k = size * randn({1, n, 8}, numbers, &g), v = randn({1, n, 8}, numbers, &g),
               w = -exp(randn({8}, numbers, &g)), u = randn({8}, numbers, &g);
  const auto stable = [&](const Tensor& keys) {
    WkvSums sums;
    return wkv(keys, v, w, u, sums);
  };
  const Tensor weights = exp(k), now = exp(u + k);
  // the sums before each step, as they are written
  const auto before = [&](const Tensor& x) {
    const Tensor sums = linear_recurrence(exp(w), x, 1);
    return cat({zeros_like(x.narrow(1, 0, 1)), sums.narrow(1, 0, n - 1)}, 1);
  };
  const Tensor plain = (before(weights * v) + now * v) / (before(weights) + now);  // (9.80)
  const Tensor y = stable(k), high = max(v, {1}, true), low = min(v, {1}, true);
  const auto finite = [](const Tensor& x) { return 100 * isfinite(x).to(f64).mean().item(); };
  return {.difference = largest(plain - y),
          .plain_finite = finite(plain),
          .stable_finite = finite(y),
          .outside = largest(relu(y - high) + relu(low - y)),
          .shifted = largest(stable(k + 500) - y)};
}

inline bool rwkv7_decays_lie_inside(const Options& numbers) {
  const Tensor w = exp(rwkv7_log_decay(tensor({-12, -3, 0, 3, 50}, f64).to(numbers)));
  return min(w).item() > 0.545 && max(w).item() < 1;
}

}  // namespace ink::lesson
