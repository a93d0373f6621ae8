// Loss scaling: traces of the state machine, what a step that was left out leaves untouched, and misuse.
#include "optim/precision/grad_scaler.h"

#include <cmath>

#include "autograd/observe/autocast.h"
#include "nn/layers/activation.h"
#include "nn/layers/linear.h"
#include "nn/sequential.h"
#include "optim/adam.h"
#include "optim/clip.h"
#include "optim/ema.h"
#include "optim/precision/master_weights.h"
#include "optim/schedule.h"
#include "optim/sgd.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

Tensor leaf_of(std::vector<double> v, DType t = f32) {
  return from_data(std::span<const double>(v), {int64_t(v.size())}).to(t).to(default_device()).requires_grad_();
}
// An iteration whose gradient is `g`, scaled by hand.
bool iterate(GradScaler& scaler, Optimizer& optimizer, const Tensor& p, double g) {
  p.set_grad(full(p.shape(), g * scaler.scale(), p.options()));
  const bool taken = scaler.step(optimizer);
  scaler.update();
  return taken;
}
// The scale after each iteration; 'o' is a good gradient, 'x' a bad one.
std::vector<double> trace(GradScaler& scaler, const std::string& sequence) {
  Tensor p = leaf_of({1, 2});
  SGD optimizer({p}, {.lr = 0.1});
  std::vector<double> scales;
  for (char c : sequence) {
    CHECK(iterate(scaler, optimizer, p, c == 'o' ? 1 : INFINITY) == (c == 'o'));
    scales.push_back(scaler.scale());
  }
  return scales;
}
std::vector<double> trace(const GradScalerOptions& options, const std::string& sequence) {
  GradScaler scaler(options);
  return trace(scaler, sequence);
}
using Trace = std::vector<double>;
bool same_bits(const NamedTensors& a, const NamedTensors& b) {
  bool same = a.size() == b.size();
  for (size_t i = 0; same && i < a.size(); ++i) same = a[i].first == b[i].first && equal(a[i].second, b[i].second);
  return same;
}
NamedTensors copy_of(const NamedTensors& state) {
  NamedTensors copy;
  for (auto& [name, t] : state) copy.emplace_back(name, t.clone());
  return copy;
}

}  // namespace

TEST_CASE("the scale grows after good steps in a row and backs off after a bad one", "[scaler]") {
  CHECK(trace({.scale = 8, .growth_interval = 3}, "ooooooo") == Trace{8, 8, 16, 16, 16, 32, 32});
  CHECK(trace({.scale = 8, .growth_interval = 3}, "ooxooxooo") == Trace{8, 8, 4, 4, 4, 2, 2, 2, 4});
  CHECK(trace({.scale = 8, .growth = 4, .backoff = 0.25, .growth_interval = 1}, "oxo") == Trace{32, 8, 32});
  CHECK(trace({.scale = 8, .growth_interval = 1, .ceiling = 16}, "ooox") == Trace{16, 16, 16, 8});
  CHECK(trace({.scale = 0x1p+126, .growth_interval = 1}, "ooo") == Trace{0x1p+126, 0x1p+126, 0x1p+126});
  CHECK(trace({.scale = 8, .growth_interval = 2, .dynamic = false}, "oooxxo") == Trace{8, 8, 8, 8, 8, 8});
}

TEST_CASE("hysteresis tolerates single bad steps, and a good one refills it", "[scaler]") {
  const GradScalerOptions o{.scale = 8, .growth_interval = 100, .hysteresis = 2};
  CHECK(trace(o, "xoxoxx") == Trace{8, 8, 8, 8, 8, 4});
  CHECK(trace(o, "xxxx") == Trace{8, 4, 4, 2});
  // a tolerated bad step still ends the row of good ones
  CHECK(trace({.scale = 8, .growth_interval = 3, .hysteresis = 2}, "ooxooo") == Trace{8, 8, 8, 8, 8, 16});
}

TEST_CASE("at the floor the scaler stops and names the first bad gradient", "[scaler]") {
  Tensor good = leaf_of({1}), bad = leaf_of({1, 2});
  SGD optimizer({good, bad}, {.lr = 0.1});
  GradScaler scaler({.scale = 2, .floor = 1});
  scaler.name({{"encoder.weight", good}, {"decoder.bias", bad}});
  auto once = [&] {
    good.set_grad(ones_like(good).detach());
    bad.set_grad(full({2}, NAN, bad.options()));
    scaler.step(optimizer);
    scaler.update();
  };
  once();
  CHECK(scaler.scale() == 1);
  REQUIRE(scaler.log().size() == 1);
  CHECK_THAT(scaler.log()[0].str(), contains("decoder.bias has nan") && contains("2 -> 1"));
  CHECK_THROWS_WITH(once(), contains("decoder.bias has nan") && contains("floor of 1") && contains("Anomaly"));
  CHECK(scaler.skipped_steps() == 2);
  GradScaler by_number({.scale = 1, .floor = 1});
  bad.set_grad(full({2}, -INFINITY, bad.options()));
  by_number.step(optimizer);
  CHECK_THROWS_WITH(by_number.update(), contains("parameter 1 of shape [2] has -inf"));
}

TEST_CASE("a loss that is not finite by itself is reported, and does not lower the scale", "[scaler]") {
  Tensor w = leaf_of({1, 2});
  SGD optimizer({w}, {.lr = 0.1});
  GradScaler scaler({.scale = 8, .bad_losses = 2});
  auto once = [&](double x) {
    optimizer.zero_grad();
    scaler.scale((w * x).sum()).backward();
    const bool taken = scaler.step(optimizer);
    scaler.update();
    return taken;
  };
  CHECK(once(1));
  CHECK_FALSE(once(NAN));
  CHECK(scaler.scale() == 8);
  CHECK(scaler.log().back().kind == ScaleEvent::Kind::bad_loss);
  CHECK(once(1));  // one bad batch is left out
  CHECK_FALSE(once(NAN));
  CHECK_THROWS_WITH(once(NAN), contains("2 steps in a row") && contains("data"));
  CHECK(all(isfinite(w)).item<bool>());
}

TEST_CASE("powers of two leave unscaled gradients equal bit for bit", "[scaler]") {
  Sequential net(Linear(5, 7), Tanh(), Linear(7, 3));
  const Tensor x = normal({4, 5}, 1, f32);
  auto gradients = [&](double scale) {
    net.zero_grad();
    SGD optimizer(net.parameters(), {.lr = 0});
    GradScaler scaler({.scale = scale});
    scaler.scale(square(net.forward(x)).mean()).backward();
    scaler.unscale_(optimizer);
    NamedTensors g;
    for (auto& [name, p] : net.named_parameters()) g.emplace_back(name, p.grad());
    return g;
  };
  const NamedTensors plain = gradients(1);
  for (double scale : {0x1p-10, 2., 65536., 0x1p+60}) CHECK(same_bits(plain, gradients(scale)));
}

TEST_CASE("a step that is left out changes no bit", "[scaler]") {
  Sequential net(Linear(3, 4), Tanh(), Linear(4, 2));
  AdamW optimizer(net.parameters(), {.lr = 0.1});
  EMA average(net.parameters(), 0.9);
  Scheduler schedule(optimizer, Cosine{.steps = 10});
  GradScaler scaler({.scale = 4});
  const Tensor x = normal({5, 3}, 1, f32);
  auto once = [&](double factor) {
    optimizer.zero_grad();
    Tensor y = net.forward(x);
    y.retain_grad();
    scaler.scale(square(y).mean()).backward();
    if (factor != 1)
      for (const Tensor& p : net.parameters()) p.grad().mul_(Scalar(factor));
    const bool taken = scaler.step(optimizer);
    if (taken) average.update(), schedule.step();
    scaler.update();
    return taken;
  };
  CHECK(once(1));
  const NamedTensors weights = copy_of(net.state_dict()), moments = copy_of(optimizer.state_dict()),
                     averages = copy_of(average.state_dict()), at = copy_of(schedule.state_dict());
  const double rate = optimizer.lr(0);
  CHECK_FALSE(once(INFINITY));
  CHECK(same_bits(weights, net.state_dict()));
  CHECK(same_bits(moments, optimizer.state_dict()));
  CHECK(same_bits(averages, average.state_dict()));
  CHECK(same_bits(at, schedule.state_dict()));
  CHECK(optimizer.lr(0) == rate);
  CHECK(once(1));
  CHECK_FALSE(same_bits(weights, net.state_dict()));
}

TEST_CASE("clipping sees gradients of ordinary size, and clipping scaled ones is refused", "[scaler]") {
  Tensor w = leaf_of({3, 4});
  SGD optimizer({w}, {.lr = 1});
  GradScaler scaler({.scale = 1024});
  auto backward_pass = [&] {
    w.zero_grad();
    scaler.scale((w * w).sum() * 0.5).backward();  // the gradient is w
  };
  backward_pass();
  scaler.unscale_(optimizer);
  CHECK(clip_grad_norm_({w}, 1) == Approx(5));
  CHECK(scaler.step(optimizer));
  scaler.update();
  CHECK(w[0].item() == Approx(3 - 0.6).epsilon(1e-5));
  for (double norm : {1., 1e9}) {  // where nothing had to be clipped, too
    backward_pass();
    clip_grad_norm_({w}, norm);
    CHECK_THROWS_WITH(scaler.step(optimizer), contains("clip_grad_norm_") && contains("unscale_"));
  }
  backward_pass();
  clip_grad_value_({w}, 1);
  CHECK_THROWS_AS(scaler.unscale_(optimizer), GradError);
}

TEST_CASE("misuse of a scaler is said", "[scaler]") {
  Tensor w = leaf_of({1}), h = leaf_of({1}, f16);
  SGD optimizer({w}, {.lr = 1}), halves({h}, {.lr = 1});
  GradScaler scaler;
  CHECK_THROWS_AS(scaler.update(), GradError);
  w.set_grad(ones_like(w).detach());
  scaler.unscale_(optimizer);
  CHECK_THROWS_WITH(scaler.unscale_(optimizer), contains("twice"));
  CHECK_THROWS_AS(scaler.load_state_dict(scaler.state_dict()), GradError);
  CHECK(scaler.step(optimizer));
  CHECK_THROWS_WITH(scaler.step(optimizer), contains("twice"));
  CHECK_THROWS_WITH(scaler.unscale_(optimizer), contains("after step"));
  scaler.update();
  h.set_grad(ones_like(h).detach());
  CHECK_THROWS_WITH(scaler.unscale_(halves), contains("f16") && contains("MasterWeights"));
  CHECK_THROWS_AS(scaler.scale(Tensor()), DTypeError);
  CHECK_THROWS_AS(scaler.scale(ones({1}, i64)), DTypeError);
  for (double bad : {0., -1., double(INFINITY), double(NAN), 0x1p+200})
    CHECK_THROWS_AS(GradScaler({.scale = bad}), ValueError);
  CHECK_THROWS_AS(GradScaler({.growth = 0.5}), ValueError);
  CHECK_THROWS_AS(GradScaler({.growth = INFINITY}), ValueError);
  CHECK_THROWS_AS(GradScaler({.backoff = 1}), ValueError);
  CHECK_THROWS_AS(GradScaler({.growth_interval = 0}), ValueError);
  CHECK_THROWS_AS(GradScaler({.hysteresis = 0}), ValueError);
  CHECK_THROWS_AS(GradScaler({.scale = 2, .floor = 4}), ValueError);
}

TEST_CASE("a loss in halves is scaled in f32; a switched off scaler does nothing", "[scaler]") {
  Tensor w = leaf_of({2}, f16);
  GradScaler scaler;
  const Tensor scaled = scaler.scale(w.sum());
  CHECK(scaled.dtype() == f32);
  CHECK(scaled.item() == 131072);  // more than f16 holds
  GradScaler off({.enabled = false});
  Tensor v = leaf_of({2});
  SGD optimizer({v}, {.lr = 1});
  CHECK(off.scale(v).is_same(v));
  v.set_grad(full({1}, INFINITY, v.options()));
  CHECK(off.step(optimizer));
  off.update();
  CHECK(std::isinf(v.item()));
}

TEST_CASE("two optimizers and two processes leave out steps by what each is told", "[scaler]") {
  Tensor a = leaf_of({1}), b = leaf_of({1});
  SGD first({a}, {.lr = 1}), second({b}, {.lr = 1});
  GradScaler scaler({.scale = 8});
  a.set_grad(full({1}, 8., a.options())), b.set_grad(full({1}, NAN, b.options()));
  CHECK(scaler.step(first));  // its own gradients are good
  CHECK_FALSE(scaler.step(second));
  scaler.update();  // one back-off for both
  CHECK(scaler.scale() == 4);
  CHECK((a.item() == 0 && b.item() == 1));

  GradScaler here({.scale = 8}), there({.scale = 8});
  CHECK_THROWS_AS(here.found_bad(first), GradError);
  CHECK_THROWS_AS(here.mark_bad(first, ""), GradError);
  a.set_grad(full({1}, 8., a.options()));
  here.unscale_(first), there.unscale_(second);
  const bool any = here.found_bad(first) || there.found_bad(second);
  CHECK(any);
  CHECK_FALSE(here.found_bad(first));
  here.mark_bad(first, "rank 1: a gradient is not finite"), there.mark_bad(second, "");
  CHECK_FALSE(here.step(first));
  CHECK_FALSE(there.step(second));
  here.update(), there.update();
  CHECK((here.scale() == 4 && there.scale() == 4 && a.item() == 0));
  CHECK(here.log()[0].cause == "rank 1: a gradient is not finite");
}

TEST_CASE("micro-batches under one scale add up, with one check and one update", "[scaler]") {
  Tensor w = leaf_of({2}), exact = leaf_of({2});
  SGD optimizer({w}, {.lr = 1});
  GradScaler scaler({.scale = 16, .growth_interval = 1});
  for (double x : {1., 2., 3.}) {
    scaler.scale((w * x).sum() / 3).backward();
    ((exact * x).sum() / 3).backward();
  }
  scaler.unscale_(optimizer);
  CHECK(w.grad().item() == exact.grad().item());
  CHECK(scaler.step(optimizer));
  scaler.update();
  CHECK((scaler.scale() == 32 && scaler.updates() == 1));
}

TEST_CASE("a scaler goes on in the middle of an interval after loading", "[scaler]") {
  const GradScalerOptions o{.scale = 8, .growth_interval = 4, .hysteresis = 3};
  const std::string before = "oooxo", after = "xxoooooox";
  GradScaler whole(o), saved(o), loaded({.scale = 2, .hysteresis = 3});
  trace(whole, before);
  trace(saved, before);
  loaded.load_state_dict(saved.state_dict());
  CHECK(trace(loaded, after) == trace(whole, after));
  CHECK(same_bits(loaded.state_dict(), whole.state_dict()));
  NamedTensors state = saved.state_dict(), less = state, more = state, worse = state;
  less.pop_back();
  more.emplace_back("other", ones({}));
  worse[0].second = full({}, INFINITY, f64);
  CHECK_THROWS_AS(loaded.load_state_dict(less), ValueError);
  CHECK_THROWS_AS(loaded.load_state_dict(more), ValueError);
  CHECK_THROWS_AS(loaded.load_state_dict(worse), ValueError);
}

TEST_CASE("updates below half a spacing vanish without master weights", "[scaler][master]") {
  for (DType t : {f16, bf16}) {
    const double step = t == f16 ? 0x1p-13 : 0x1p-10;  // a quarter of the rounding bound at 1
    Tensor alone = leaf_of({1}, t), with = leaf_of({1}, t);
    MasterWeights masters({with});
    SGD plain({alone}, {.lr = step}), optimizer(masters.parameters(), {.lr = step});
    for (int i = 0; i < 64; ++i) {
      alone.set_grad(full({1}, -1, alone.options())), with.set_grad(full({1}, -1, with.options()));
      plain.step();
      masters.collect();
      optimizer.step(), optimizer.zero_grad();
      masters.publish();
    }
    CHECK(alone.item() == 1);
    CHECK(with.item() == 1 + 64 * step);
    CHECK_FALSE(with.grad().defined());
  }
}

TEST_CASE("masters share what is f32 already, add micro-batches in f32, and are saved", "[scaler][master]") {
  Tensor wide = leaf_of({1, 2}), narrow = leaf_of({1, 2}, bf16);
  MasterWeights masters({wide, narrow});
  CHECK(masters.parameters()[0].is_same(wide));
  CHECK(masters.parameters()[1].dtype() == f32);
  for (double g : {1., 0x1p-9}) {  // in bf16 the second is lost beside the first
    narrow.set_grad(full({2}, g, narrow.options()));
    masters.collect();
  }
  CHECK(masters.parameters()[1].grad()[0].item() == 1 + 0x1p-9);
  CHECK_FALSE(wide.grad().defined());
  const NamedTensors state = copy_of(masters.state_dict());
  masters.parameters()[1].detach().fill_(7);
  masters.publish();
  CHECK(narrow[0].item() == 7);
  masters.load_state_dict(state);
  CHECK(narrow.to(f32).to_vector<double>() == std::vector<double>{1, 2});
  NamedTensors bad = state;
  bad[1].second = ones({3});
  CHECK_THROWS_AS(masters.load_state_dict(bad), ShapeError);
  bad.pop_back();
  CHECK_THROWS_AS(masters.load_state_dict(bad), ValueError);
  CHECK_THROWS_AS(MasterWeights({}), ValueError);
  CHECK_THROWS_AS(MasterWeights({ones({1}, i64)}), ValueError);
}

TEST_CASE("stochastic rounding has the right mean, and only neighbours as results", "[scaler][master]") {
  const int64_t n = 4000;
  for (DType t : {f16, bf16}) {
    const double spacing = t == f16 ? 0x1p-10 : 0x1p-7;
    for (double x : {1 + 0.25 * spacing, -1 - 0.75 * spacing, 2 - 0.125 * spacing, 1 - 0.125 * spacing, 3.0,
                     t == f16 ? 0x1.4p-25 : 0x1.4p-134}) {
      INFO(name_of(t) << " " << x);
      manual_seed(3);
      const double unit = x == 0x1.4p-25 ? 0x1p-24 : x == 0x1.4p-134 ? 0x1p-133 : std::ldexp(spacing, std::ilogb(x));
      const double low = std::floor(x / unit) * unit, high = x == 3.0 ? x : low + unit;
      const Tensor y = round_stochastic(full({n}, x), t).to(f64);
      CHECK(all(logical_or(y == low, y == high)).item<bool>());
      const double p = high == low ? 0 : (x - low) / unit, deviation = std::sqrt(p * (1 - p) / double(n));
      CHECK(std::abs(((y - low) / unit).mean().item() - p) <= 4 * deviation);
    }
    manual_seed(1);
    const Tensor special = round_stochastic(leaf_of({0, -0.0, INFINITY, -INFINITY, 3e38, 1e39}).detach(), t);
    CHECK(special[0].item() == 0);
    CHECK(std::signbit(special[1].item()));
    CHECK(special[2].item() == INFINITY);
    CHECK(special[3].item() == -INFINITY);
    CHECK(std::isnan(round_stochastic(full({1}, NAN), t).item()));
  }
  CHECK_THROWS_AS(round_stochastic(ones({1}, f64), f16), DTypeError);
  CHECK_THROWS_AS(round_stochastic(ones({1}), f32), DTypeError);
}

TEST_CASE("an f16 model under masters and a scaler follows the f32 model", "[scaler][master]") {
  const Tensor x = normal({16, 3}, 5, f32), y = sin(x.sum({1}, true));
  auto train = [&](DType t) {
    manual_seed(4);
    Sequential net(Linear(3, 8), Tanh(), Linear(8, 1));
    net.to(t);
    MasterWeights masters(net.parameters());
    AdamW optimizer(masters.parameters(), {.lr = 0.02});
    GradScaler scaler({.scale = 0x1p+20, .growth_interval = 10});
    double loss = 0;
    for (int i = 0; i < 40; ++i) {
      const Tensor l = mse_loss(net.forward(x.to(t)).to(f32), y);
      loss = l.item();
      optimizer.zero_grad(), net.zero_grad();
      scaler.scale(l).backward();
      masters.collect();
      if (scaler.step(optimizer)) masters.publish();
      scaler.update();
    }
    return loss;
  };
  const double wide = train(f32);
  CHECK(wide < 0.3);
  CHECK(train(f16) == Approx(wide).margin(0.03));
}
