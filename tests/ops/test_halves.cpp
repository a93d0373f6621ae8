// f16 and bf16: between inputs and result everything is f32, and the result is rounded once. Inputs here are so large,
// or so many, that a formula rounded in its middle overflows or stands still.
#include <cmath>

#include "nn/attention/linear/linear.h"
#include "nn/layers/norm.h"
#include "optim/adam.h"
#include "optim/clip.h"
#include "optim/ema.h"
#include "optim/sgd.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

// Relative error of one rounding of the format, for a result of ordinary size.
double rounding(DType t) { return t == f16 ? 0x1p-11 : 0x1p-8; }

// f(x) with x in f16 and bf16 against f in f64 on the same rounded numbers.
template <class F> void check_rounded_once(const char* name, const Tensor& x, F f) {
  for (DType t : {f16, bf16}) {
    INFO(name << " in " << (t == f16 ? "f16" : "bf16"));
    Tensor in = x.to(t), exact = f(in.to(f64)), y = f(in);
    REQUIRE(y.dtype() == t);
    Tensor error = abs(y.to(f64) - exact);
    CHECK(all(le(error, abs(exact) * (1.01 * rounding(t)) + 1e-7)).item<bool>());
  }
}

}  // namespace

TEST_CASE("means, norms and spreads of halves neither overflow nor stand still", "[halves]") {
  CHECK(mean(full({3}, 40000, f16)).item() == 40000);
  CHECK(norm(tensor({600, 800}, f16)).item() == 1000);
  CHECK(lerp(full({}, -60000, f16), full({}, 60000, f16), 0.5).item() == 0);
  check_rounded_once("mean", full({5000}, 3.25), [](const Tensor& x) { return mean(x); });
  check_rounded_once("mean along a dim", normal({3, 400}, 1) * 1e4, [](const Tensor& x) { return mean(x, {1}); });
  check_rounded_once("norm", normal({2, 300}, 2) * 1e3, [](const Tensor& x) { return norm(x, {1}); });
  check_rounded_once("std", normal({2, 300}, 3) * 1e3, [](const Tensor& x) { return ink::std(x, {1}); });
  check_rounded_once("lerp", normal({50}, 4) * 1e4, [](const Tensor& x) { return lerp(x, -x, 0.25); });
  Tensor weight = floor(rand({50}, f64) * 16) / 16;  // the same number in every format
  check_rounded_once("lerp by a tensor", normal({50}, 4) * 1e4,
                     [&](const Tensor& x) { return lerp(x, -x, weight.to(x.dtype())); });
}

TEST_CASE("losses of halves count all their rows", "[halves]") {
  for (int64_t rows : {20000, 70000}) {
    Tensor z = zeros({rows, 2}, f16).requires_grad_();
    Tensor loss = cross_entropy(z, zeros({rows}, i64));
    CHECK(loss.dtype() == f16);
    CHECK(std::abs(loss.item() - std::log(2.)) < 4e-4);
    loss.backward();
    CHECK(std::abs(z.grad().index({0, 1}).item() * double(rows) - 0.5) < 0.01);  // the gradient is a subnormal of f16
  }
  Tensor target = zeros({300}, f64);
  auto against = [&](auto loss) { return [&target, loss](const Tensor& x) { return loss(x, target.to(x.dtype())); }; };
  Tensor x = normal({300}, 5) * 250;
  check_rounded_once("mse", x, against([](const Tensor& x, const Tensor& t) { return mse_loss(x, t); }));
  check_rounded_once("l1", x * 20, against([](const Tensor& x, const Tensor& t) { return l1_loss(x, t); }));
  check_rounded_once("huber", x, against([](const Tensor& x, const Tensor& t) { return huber_loss(x, t, 300); }));
  check_rounded_once("bce", x * 20,
                     against([](const Tensor& x, const Tensor& t) { return binary_cross_entropy_with_logits(x, t); }));
  check_rounded_once("nll", normal({40000, 1}, 6) * 10,
                     [](const Tensor& x) { return nll_loss(x, zeros({x.size(0)}, i64)); });
}

TEST_CASE("many contributions to one element of a half tensor are added in f32", "[halves]") {
  for (DType t : {f16, bf16}) {
    const int64_t n = 1000;
    Tensor table = ones({2, 1}, t).requires_grad_();
    embedding(table, zeros({n}, i64)).sum().backward();
    CHECK(table.grad()[0].item() == Approx(n).epsilon(rounding(t)));
    Tensor ones_n = ones({n}, t), zero = zeros({n}, i64), target = zeros({1}, t);
    CHECK(index_add(target, 0, zero, ones_n).item() == Approx(n).epsilon(rounding(t)));
    CHECK(scatter_add(target, 0, zero, ones_n).item() == Approx(n).epsilon(rounding(t)));
    Tensor source = ones({1}, t).requires_grad_();
    gather(source, 0, zero).sum().backward();
    CHECK(source.grad().item() == Approx(n).epsilon(rounding(t)));
    Tensor selected = ones({1}, t).requires_grad_();
    index_select(selected, 0, zero).sum().backward();
    CHECK(selected.grad().item() == Approx(n).epsilon(rounding(t)));
    // each element counts so often
    auto contributions = [&](const char* name, const Shape& shape, int64_t count, auto f) {
      INFO(name);
      Tensor x = ones(shape, t).requires_grad_();
      f(x).sum().backward();
      CHECK(x.grad().max().item() == Approx(count).epsilon(rounding(t)));
    };
    contributions("index", {1}, n, [&](const Tensor& x) { return x.index({zero}); });
    contributions("take_along_dim", {1}, n, [&](const Tensor& x) { return take_along_dim(x, zero, 0); });
    contributions("expand", {1}, n, [&](const Tensor& x) { return expand(x, {n}); });
    contributions("repeat", {1}, n, [&](const Tensor& x) { return repeat(x, {n}); });
    contributions("repeat_interleave", {1}, n, [&](const Tensor& x) { return repeat_interleave(x, n, 0); });
    contributions("unfold", {2 * n}, n, [&](const Tensor& x) { return unfold(x, 0, n, 1); });
    contributions("pad", {1}, n, [&](const Tensor& x) {
      return pad(reshape(x, {1, 1, 1}), {n - 1, 0}, PadMode::replicate);
    });
    contributions("sliding_window_max", {2 * n}, n,
                  [&](const Tensor& x) { return sliding_window_max(where(arange(2 * n) == n, x * 2, x), n) / 2; });
    contributions("max_pool1d", {1, 1, 2 * n}, n, [&](const Tensor& x) {
      return max_pool1d(where(arange(2 * n) == n, x * 2, x), {.kernel = n, .stride = 1}) / 2;
    });
    contributions("upsample", {1, 1, 1, 1}, 900, [&](const Tensor& x) { return upsample_nearest2d(x, 30); });
    CHECK(zeros({1}, t).index_put_({zero}, ones_n, true).item() == Approx(n).epsilon(rounding(t)));
    Tensor flat = ones({n}, t).requires_grad_();  // every running maximum is the first element
    std::get<0>(cummax(flat, 0)).sum().backward();
    CHECK(flat.grad().sum().item() == Approx(n).epsilon(rounding(t)));
  }
}

TEST_CASE("long sums of halves are sums in f32, rounded once", "[halves]") {
  // sums of this many numbers near 3 stand still in either format, or overflow where squares are summed
  const int64_t n = 4096;
  // w is the same in every format
  const Tensor x = normal({3, n}, 11) + 3, w = floor(abs(normal({n, 2}, 12)) * 16) / 16;
  check_rounded_once("sum", x, [](const Tensor& x) { return sum(x, {1}); });
  check_rounded_once("cumsum", x, [](const Tensor& x) { return cumsum(x, 1); });
  check_rounded_once("var", x, [](const Tensor& x) { return var(x, {1}); });
  check_rounded_once("logsumexp", x, [](const Tensor& x) { return logsumexp(x, {1}); });
  check_rounded_once("softmax", x, [](const Tensor& x) { return softmax(x, 1); });
  check_rounded_once("sum_to", x, [](const Tensor& x) { return sum_to(x, {3, 1}); });
  check_rounded_once("matmul", x, [&](const Tensor& x) { return matmul(x, w.to(x.dtype())); });
  check_rounded_once("dot", x, [&](const Tensor& x) { return dot(x.select(0, 0), x.select(0, 1)); });
  check_rounded_once("einsum", x, [&](const Tensor& x) { return einsum("ij,ij->i", {x, x}); });
  check_rounded_once("linear", x, [&](const Tensor& x) { return linear(x, x, ones({3}, x.dtype())); });
  check_rounded_once("conv1d", abs(x), [&](const Tensor& x) {
    return conv1d(reshape(x, {1, 3, n}), ones({1, 3, n}, x.dtype()));
  });
  check_rounded_once("avg_pool1d", x, [&](const Tensor& x) {
    return avg_pool1d(reshape(x, {1, 3, n}), {.kernel = n});
  });
  check_rounded_once("mse", x * 60, [&](const Tensor& x) { return mse_loss(x, zeros_like(x)); });
  check_rounded_once("layer_norm", x * 60, [&](const Tensor& x) { return layer_norm(x); });
  check_rounded_once("rms_norm", x * 60, [&](const Tensor& x) { return rms_norm(x); });
  check_rounded_once("gradient of a bias", x, [&](const Tensor& x) {
    Tensor b = zeros({3, 1}, x.dtype()).requires_grad_();
    (x * b).sum().backward();
    return b.grad();
  });
}

TEST_CASE("linear attention of halves is finite for many tokens, and right", "[halves]") {
  Tensor q = normal({1, 1, 2000, 16}, 7), k = normal({1, 1, 2000, 16}, 8), v = normal({1, 1, 2000, 8}, 9);
  for (FeatureMap map : {FeatureMap::elu_plus_one, FeatureMap::taylor, FeatureMap::taylor2})
    for (bool causal : {false, true})
      for (DType t : {f16, bf16}) {
        const LinearAttentionOptions o{.feature = map, .causal = causal};
        Tensor exact = linear_attention(q.to(t).to(f64), k.to(t).to(f64), v.to(t).to(f64), o);
        Tensor y = linear_attention(q.to(t), k.to(t), v.to(t), o);
        CHECK(y.dtype() == t);
        CHECK(difference(y.to(f64), exact) < 4 * rounding(t));
      }
}

TEST_CASE("gradients of halves are clipped by their norm, and averages of half weights follow small steps",
          "[halves]") {
  Tensor p = zeros({2}, f16).requires_grad_();
  p.set_grad(tensor({600, 800}, f16));
  CHECK(clip_grad_norm_({p}, 10) == Approx(1000));
  CHECK(p.grad()[0].item() == Approx(6).epsilon(1e-3));
  Tensor w = zeros({1}, bf16).requires_grad_();
  EMA average({w}, 0.999, false);
  w.detach().fill_(1);
  for (int t = 0; t < 2000; ++t) average.update();
  average.swap();
  CHECK(w.item() == Approx(1 - std::pow(0.999, 2000)).epsilon(rounding(bf16)));
  average.swap();
  CHECK(w.item() == 1);
}

TEST_CASE("a norm that no half holds clips, and so does one whose square no f64 holds", "[halves]") {
  Tensor p = zeros({10000}, f16).requires_grad_(), q = zeros({2}, f64).requires_grad_();
  p.set_grad(full({10000}, 1000, f16));
  CHECK(clip_grad_norm_({p}, 100) == Approx(1e5));
  CHECK(p.grad()[0].item() == Approx(1).epsilon(1e-3));
  q.set_grad(tensor({3e200, 4e200}, f64));
  CHECK(clip_grad_norm_({q}, 5) == Approx(5e200));
  CHECK(q.grad()[0].item() == Approx(3));
}

TEST_CASE("moments of half parameters follow small steps", "[halves]") {
  Tensor p = zeros({1}, bf16).requires_grad_();
  Lion lion({p}, {.lr = 1e-3, .beta2 = 0.999});
  SGD sgd({p}, {.lr = 1e-3, .momentum = 0.999});
  for (int t = 0; t < 2000; ++t) {
    p.set_grad(ones({1}, bf16));
    lion.step();
    sgd.step();
  }
  auto state = [](const Optimizer& o, const std::string& name) {
    for (const auto& [n, t] : o.state_dict())
      if (n == name) return t.item();
    return double(NAN);
  };
  CHECK(state(lion, "0.m") == Approx(1 - std::pow(0.999, 2000)).epsilon(1e-4));
  CHECK(state(sgd, "0.momentum") == Approx((1 - std::pow(0.999, 2000)) / 0.001).epsilon(1e-4));
}

TEST_CASE("batch norm of halves with a large spread and a larger mean", "[halves]") {
  for (DType t : {f16, bf16}) {
    const Tensor x = (normal({64, 3}, 21) * 1000 + 20000).to(t);
    BatchNorm layer(3), exact(3);
    layer.to(t);
    exact.to(f64);
    Tensor y = layer.forward(x);
    CHECK(y.dtype() == t);
    CHECK(all(abs(y.to(f64) - exact.forward(x.to(f64))) < 3 * rounding(t)).item<bool>());
  }
}

TEST_CASE("warm-up of an average ends at its decay", "[halves][ema]") {
  Tensor p = zeros({1}, f64).requires_grad_();
  EMA average({p}, 0.5);  // (1 + t) / (10 + t) passes 0.5 at t = 8
  double expected = 0;
  for (int t = 0; t < 30; ++t) {
    p.detach().fill_(t);
    average.update();
    const double d = std::min(0.5, (1. + t) / (10. + t));
    expected = d * expected + (1 - d) * t;
  }
  average.swap();
  CHECK(p.item() == Approx(expected).epsilon(1e-14));
}
