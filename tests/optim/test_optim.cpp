#include <cmath>

#include "nn/layers/activation.h"
#include "nn/layers/linear.h"
#include "nn/sequential.h"
#include "optim/adam.h"
#include "optim/clip.h"
#include "optim/ema.h"
#include "optim/schedule.h"
#include "optim/sgd.h"
#include "tensor/io.h"
#include "tests/catch.h"
#include "tests/support/golden.h"
#include "tests/support/gradients.h"
#include "tests/support/temporary.h"

using namespace ink;
using namespace ink::test;

namespace {

Tensor leaf(const Tensor& t) { return t.clone().requires_grad_(); }

// Ten steps with the golden gradients; the path of the parameter against the file.
template <class O, class Options> std::string path_differs(const std::string& name, const Options& options) {
  static const Golden golden("optimizers.npz");
  Tensor p = leaf(golden("start"));
  O optimizer({p}, options);
  std::vector<Tensor> path;
  for (const Tensor& g : unbind(golden("grads"))) {
    p.set_grad(g);
    optimizer.step();
    path.push_back(p.detach().clone());
  }
  return differs(name, stack(path), golden(name));
}
template <class S> std::string rates_differ(const std::string& name, const S& schedule) {
  Golden golden("optimizers.npz");
  Tensor p = leaf(zeros({1}));
  SGD optimizer({p}, {.lr = 0.5});
  Scheduler scheduler(optimizer, schedule);
  std::vector<double> rates(size_t(golden(name).numel()));
  for (double& rate : rates) {
    rate = optimizer.lr(0);
    scheduler.step();
  }
  return differs(name, from_data(std::span<const double>(rates), golden(name).shape()), golden(name));
}

// A step with gradient 1.
void one_step(Optimizer& optimizer, const std::vector<Tensor>& params) {
  for (const Tensor& p : params) p.set_grad(ones_like(p));
  optimizer.step();
}

}  // namespace

TEST_CASE("optimizers take PyTorch's steps", "[optim][golden]") {
  CHECK(path_differs<SGD>("sgd", SGDOptions{.lr = 0.1}) == "");
  CHECK(path_differs<SGD>("sgd_momentum", SGDOptions{.lr = 0.1, .momentum = 0.9}) == "");
  CHECK(path_differs<SGD>("sgd_nesterov", SGDOptions{.lr = 0.1, .momentum = 0.8, .nesterov = true}) == "");
  CHECK(path_differs<SGD>("sgd_decay", SGDOptions{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.05}) == "");
  CHECK(path_differs<Adam>("adam", AdamOptions{.lr = 0.02}) == "");
  CHECK(path_differs<Adam>("adam_decay",
                           AdamOptions{.lr = 0.02, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3, .weight_decay = 0.1}) ==
        "");
  CHECK(path_differs<AdamW>("adamw", AdamWOptions{.lr = 0.02, .weight_decay = 0.2}) == "");
  CHECK(path_differs<AdamW>("adamw_default", AdamWOptions{}) == "");
  CHECK(path_differs<Lion>("lion", LionOptions{.lr = 0.01, .weight_decay = 0.3}) == "");
}

TEST_CASE("schedules give PyTorch's rates", "[optim][golden]") {
  CHECK(rates_differ("rate_step", StepDecay{.every = 4, .gamma = 0.3}) == "");
  CHECK(rates_differ("rate_cosine", Cosine{.steps = 20, .floor = 0.1}) == "");
  CHECK(rates_differ("rate_warm_cosine", Cosine{.steps = 20, .warmup = 5, .floor = 0.1}) == "");
  CHECK(rates_differ("rate_one_cycle", OneCycle{.steps = 20}) == "");
  CHECK(rates_differ("rate_one_cycle_odd", OneCycle{.steps = 17, .peak = 0.45}) == "");
}

TEST_CASE("schedules at their edges", "[optim]") {
  for (int64_t t : {0, 1, 1000}) CHECK(Constant().factor(t) == 1);
  CHECK(LinearWarmup{.warmup = 4}.factor(0) == 0.25);
  CHECK(LinearWarmup{.warmup = 4}.factor(3) == 1);
  CHECK(LinearWarmup{.warmup = 0}.factor(0) == 1);
  CHECK(Cosine{.steps = 10, .floor = 0.1}.factor(1000) == 0.1);
  CHECK(Cosine{.steps = 5, .warmup = 5}.factor(4) == 1);
  OneCycle cycle{.steps = 10};
  CHECK(cycle.factor(2) == 1);
  CHECK(std::abs(cycle.factor(9) - 1 / 25e4) < 1e-15);
  CHECK(cycle.factor(1000) == cycle.factor(9));
  OneCycle from_the_top{.steps = 10, .peak = 0.1};  // the way up ends at step 0
  CHECK(from_the_top.factor(0) == 1);
  CHECK(std::isfinite(OneCycle{.steps = 1, .peak = 1}.factor(0)));
}

TEST_CASE("a small network trains along PyTorch's curve, in f64 and in f32", "[optim][golden]") {
  Golden golden("training.npz");
  for (DType dtype : {f64, f32}) {
    Sequential model(Linear(6, 12), Tanh(), Linear(12, 3));
    model.to(dtype);
    NamedTensors start;
    for (auto& [name, p] : model.named_parameters()) start.emplace_back(name, golden("start." + name));
    model.load_state_dict(start);
    AdamW optimizer(model.parameters(), {.lr = 0.03, .weight_decay = 0.1});
    Tensor losses = zeros({20}, dtype);
    for (int64_t step = 0; step < 20; ++step) {
      Tensor loss = cross_entropy(model.forward(golden("x").to(dtype)), golden("target"));
      losses.index_put_({step}, loss.detach());
      optimizer.zero_grad();
      loss.backward();
      optimizer.step();
    }
    auto tolerance = verify::tolerance(dtype, 20 * 12);  // 20 steps, each with sums of 12
    CHECK(verify::close(losses, golden("losses").to(dtype), tolerance).message == "");
    for (auto& [name, p] : model.named_parameters())
      if (dtype == f64) CHECK(verify::close(p, golden("end." + name), tolerance).message == "");
  }
}

TEST_CASE("groups have options of their own", "[optim]") {
  Tensor a = leaf(ones({2})), b = leaf(ones({2})), idle = leaf(ones({2}));
  SGD optimizer({{{a, idle}, {.lr = 0.5}}, {{b}, {.lr = 0.25, .weight_decay = 1}}});
  CHECK(optimizer.num_groups() == 2);
  one_step(optimizer, {a, b});
  CHECK(values(a) == Values{0.5, 0.5});
  CHECK(values(b) == Values{0.5, 0.5});
  CHECK(values(idle) == Values{1, 1});  // no gradient, no step
  Scheduler schedule(optimizer, StepDecay{.every = 1, .gamma = 0.5});
  schedule.step();
  CHECK(optimizer.lr(0) == 0.25);
  CHECK(optimizer.lr(1) == 0.125);
  optimizer.zero_grad();
  CHECK_FALSE(a.grad().defined());
  AdamW adam({{{a}, {.lr = 0}}, {{b}, {.lr = 0.1}}});
  one_step(adam, {a, b});
  CHECK(values(a) == Values{0.5, 0.5});
  CHECK(values(b) != Values{0.5, 0.5});
}

TEST_CASE("parameters are updated behind their handles, whatever their strides", "[optim]") {
  Tensor dense = leaf(normal({3, 4}, 1)), turned = normal({3, 4}, 1).t().contiguous().t().requires_grad_();
  REQUIRE_FALSE(turned.is_contiguous());
  Tensor g = normal({3, 4}, 2);
  auto run = [&](auto make) {
    Tensor p = dense.detach().clone().requires_grad_(), q = turned.detach().t().clone().t().requires_grad_();
    auto a = make(p), b = make(q);
    for (int i = 0; i < 3; ++i) {
      p.set_grad(g), q.set_grad(g);
      a.step(), b.step();
    }
    CHECK(equal(p, q));
    CHECK_FALSE(q.is_contiguous());
  };
  run([](const Tensor& p) { return SGD({p}, {.lr = 0.1, .momentum = 0.9}); });
  run([](const Tensor& p) { return AdamW({p}, {.lr = 0.1}); });
  run([](const Tensor& p) { return Lion({p}, {.lr = 0.1}); });
}

TEST_CASE("state follows a parameter that is cast, and refuses one of another shape", "[optim]") {
  auto check = [](double second, auto make) {  // how far the second step goes along a gradient of 1
    Linear layer(40, 30);
    auto optimizer = make(layer.parameters());
    EMA average(layer.parameters());
    auto step = [&] {
      for (const Tensor& p : layer.parameters()) p.set_grad(ones_like(p));
      optimizer.step();
      average.update();
    };
    step();
    layer.to(f64);
    Tensor before = layer.weight.detach().clone();
    step();
    CHECK(layer.weight.dtype() == f64);
    Tensor moved = layer.weight.detach() - before;
    CHECK(abs(moved + second).max().item() < 1e-6);
    layer.weight = zeros({3, 40}, f64);
    CHECK_THROWS_WITH(step(), contains("another shape than at its first step; got [3, 40]; expected [30, 40]"));
  };
  check(0.15, [](const std::vector<Tensor>& p) { return SGD(p, {.lr = 0.1, .momentum = 0.5}); });
  check(0.1, [](const std::vector<Tensor>& p) { return AdamW(p, {.lr = 0.1, .weight_decay = 0}); });
  check(0.1, [](const std::vector<Tensor>& p) { return Lion(p, {.lr = 0.1}); });
  Linear layer(4, 3);
  AdamW optimizer(layer.parameters());
  layer.to(bf16);
  for (const Tensor& p : layer.parameters()) p.set_grad(ones_like(p));
  CHECK_THROWS_WITH(optimizer.step(), contains("16-bit parameters lose small updates; got bf16"));
}

TEST_CASE("a step that a graph still needs to look back over is noticed", "[optim]") {
  for (bool adam : {false, true}) {
    Tensor w = leaf(ones({2}));
    SGD sgd({w});
    AdamW adamw({w});
    Tensor loss = (w * w).sum();
    one_step(adam ? static_cast<Optimizer&>(adamw) : sgd, {w});
    CHECK_THROWS_AS(loss.backward(), GradError);
  }
}

TEST_CASE("a saved optimizer continues bit for bit", "[optim][state]") {
  TemporaryFolder folder;
  auto check = [&](auto make) {
    Tensor p = leaf(normal({7}, 1, f32)), q = leaf(normal({2, 3}, 2, f32));
    auto step = [](auto& optimizer, const Tensor& p, const Tensor& q, unsigned seed) {
      p.set_grad(normal({7}, seed, f32));
      if (seed > 11) q.set_grad(normal({2, 3}, seed, f32));  // q gets its first gradient later
      optimizer.step();
    };
    auto optimizer = make({p, q});
    Tensor p2, q2;
    for (unsigned seed = 10; seed < 16; ++seed) {
      for (bool now : {seed == 11, seed == 13})
        if (now) {
          save_safetensors(folder / "state", optimizer.state_dict());
          p2 = leaf(p.detach()), q2 = leaf(q.detach());
          auto resumed = make({p2, q2});
          resumed.load_state_dict(load_safetensors(folder / "state"));
          Tensor p1 = leaf(p.detach()), q1 = leaf(q.detach());
          auto straight = make({p1, q1});
          straight.load_state_dict(optimizer.state_dict());
          for (unsigned s = seed; s < seed + 3; ++s) step(resumed, p2, q2, s), step(straight, p1, q1, s);
          CHECK(equal(p1, p2));
          CHECK(equal(q1, q2));
        }
      step(optimizer, p, q, seed);
      if (seed == 15) {  // three steps after the second save
        CHECK(equal(p, p2));
        CHECK(equal(q, q2));
      }
    }
  };
  using Params = std::vector<Tensor>;
  check([](const Params& p) { return SGD(p, {.lr = 0.1, .momentum = 0.9}); });
  check([](const Params& p) { return Adam(p, {.lr = 0.1}); });
  check([](const Params& p) { return AdamW(p, {.lr = 0.1, .weight_decay = 0.1}); });
  check([](const Params& p) { return Lion(p, {.lr = 0.1, .weight_decay = 0.1}); });
}

TEST_CASE("state that does not fit an optimizer changes nothing", "[optim][state]") {
  Tensor p = leaf(ones({2}));
  Adam optimizer({p}, {.lr = 0.1});
  one_step(optimizer, {p});
  auto snapshot = [&] {
    Values v;
    for (auto& [name, t] : optimizer.state_dict())
      for (double x : values(t)) v.push_back(x);
    return v;
  };
  Values before = snapshot();
  NamedTensors state = optimizer.state_dict(), reshaped = state, extra = state;
  reshaped.back().second = zeros({3});
  extra.emplace_back("5.m", zeros({2}));
  CHECK_THROWS_WITH(optimizer.load_state_dict({}), contains("no state of parameter 0; got 0 entries"));
  CHECK_THROWS_WITH(optimizer.load_state_dict(reshaped), contains("0.v has another shape; got [3]; expected [2]"));
  CHECK_THROWS_WITH(optimizer.load_state_dict(extra), contains("1 entries do not belong to this optimizer"));
  CHECK(snapshot() == before);
  Scheduler schedule(optimizer, StepDecay{.every = 1});
  CHECK_THROWS_WITH(schedule.load_state_dict({}), contains("Scheduler::load_state_dict"));
  CHECK_THROWS_WITH(schedule.load_state_dict({{"step", zeros({}, i64)}, {"other", zeros({}, f64)}}),
                    contains("base.0"));
  CHECK(optimizer.lr(0) == 0.1);
}

TEST_CASE("errors of optimizers", "[optim][errors]") {
  Tensor p = leaf(ones({2})), half = leaf(ones({2}, bf16));
  CHECK_THROWS_WITH(SGD({p, p}), contains("a parameter of shape [2] is listed twice"));
  CHECK_THROWS_WITH(SGD({{{p}, {}}, {{p}, {}}}), contains("listed twice"));
  CHECK_THROWS_WITH(SGD({Tensor()}), contains("undefined or not floating point"));
  CHECK_THROWS_WITH(Adam({zeros({2}, i64)}), contains("undefined or not floating point"));
  CHECK_THROWS_WITH(SGD({p}, {.nesterov = true}), contains("Nesterov needs momentum"));
  CHECK_THROWS_WITH(SGD({p}, {.lr = -1}), contains("SGD: lr got -1; expected at least 0"));
  CHECK_THROWS_WITH(SGD({p}, {.momentum = -0.1}), contains("SGD: momentum got -0.1"));
  CHECK_THROWS_WITH(Adam({p}, {.lr = NAN}), contains("Adam: lr got nan"));
  CHECK_THROWS_WITH(AdamW({p}, {.beta1 = 1}), contains("Adam: beta1 got 1; expected 0 <= beta1 < 1"));
  CHECK_THROWS_WITH(Adam({p}, {.weight_decay = -1}), contains("Adam: weight_decay got -1"));
  CHECK_THROWS_WITH(Lion({p}, {.beta2 = 2}), contains("Lion: beta2 got 2"));
  CHECK_THROWS_WITH(Adam({half}),
                    contains("Adam: 16-bit parameters lose small updates; got bf16; hint: keep f32 master weights"));
  // A module that names nothing in fields() has no parameters; an empty group beside another one is fine.
  struct Forgetful : Module {
    Linear inner{2, 2};
  } forgetful;
  const char* none = "Optimizer: got no parameters; expected at least one; hint: does fields()";
  CHECK_THROWS_WITH(SGD(forgetful.parameters()), contains(none));
  CHECK_THROWS_AS(SGD(forgetful.parameters()), ValueError);
  CHECK_THROWS_WITH(AdamW(forgetful.parameters()), contains(none));
  CHECK_THROWS_WITH(Lion(forgetful.parameters()), contains(none));
  CHECK_THROWS_WITH(EMA(forgetful.parameters()), contains("EMA: got no parameters"));
  CHECK(SGD(std::vector<Group<SGDOptions>>{{{}, {}}, {{p}, {}}}).num_groups() == 2);
  SGD sgd({p});
  CHECK_THROWS_WITH(sgd.lr(1), contains("Optimizer: group 1 does not exist; expected 0 .. 0"));
  CHECK_THROWS_AS(sgd.set_lr(-1, 0.1), IndexError);
  CHECK_THROWS_WITH(Scheduler(sgd, StepDecay{.every = 0}), contains("StepDecay: every got 0; expected at least 1"));
  CHECK_THROWS_WITH(Scheduler(sgd, OneCycle{.steps = 10, .start = 0}), contains("OneCycle: start got 0"));
  CHECK_THROWS_WITH(EMA({Tensor()}), contains("EMA: a parameter is undefined"));
}

TEST_CASE("clipping bounds the joint norm or every value", "[optim]") {
  Tensor a = leaf(zeros({2})), b = leaf(zeros({1})), none = leaf(zeros({1}));
  auto set = [&] { a.set_grad(tensor({3, 0})), b.set_grad(tensor({4})); };
  set();
  CHECK(clip_grad_norm_({a, b, none}, 10) == 5);
  CHECK(values(a.grad()) == Values{3, 0});
  CHECK(clip_grad_norm_({a, b, none}, 1) == 5);
  CHECK(std::abs(a.grad()[0].item() - 0.6) < 1e-6);
  CHECK(std::abs(b.grad()[0].item() - 0.8) < 1e-6);
  set();
  clip_grad_value_({a, b, none}, 3.5);
  CHECK(values(a.grad()) == Values{3, 0});
  CHECK(values(b.grad()) == Values{3.5});
  a.set_grad(tensor({INFINITY, 1}));
  CHECK(std::isinf(clip_grad_norm_({a, b}, 1)));
  CHECK(a.grad()[1].item() == 1);
  CHECK_THROWS_WITH(clip_grad_norm_({a, b}, 1, true), contains("the norm of the gradients is inf"));
  CHECK_THROWS_WITH(clip_grad_norm_({b}, -1), contains("clip_grad_norm_: max_norm got -1; expected at least 0"));
  CHECK_THROWS_WITH(clip_grad_value_({b}, -1), contains("the limit must not be negative; got -1"));
}

TEST_CASE("a moving average with a half-life forgets by samples, not by steps", "[optim][ema]") {
  Tensor p = leaf(zeros({1}, f64));
  auto value_of = [&](EMA& average) {
    average.swap();
    const double value = p.item();
    average.swap();
    return value;
  };
  // no warm-up: what is left of a start at 1 after one half-life is a half, in one step or in four
  for (int64_t batch : {32, 128}) {
    p.detach().fill_(1);
    EMA average({p}, HalfLife{.samples = 128, .rampup = INFINITY});
    p.detach().fill_(0);
    for (int64_t n = 0; n < 128; n += batch) average.update(batch);
    CHECK(std::abs(value_of(average) - 0.5) < 1e-15);
  }
  // with it: the first update takes the parameter, later ones reach back a twentieth of the way, at most the half-life
  EMA warm({p}, HalfLife{.samples = 1000, .rampup = 0.05});
  double expected = 0, seen = 0;
  for (int t = 0; t < 400; ++t, seen += 64) {
    p.detach().fill_(std::sin(t));
    warm.update(64);
    const double decay = seen == 0 ? 0 : std::pow(0.5, 64 / std::min(1000., 0.05 * seen));
    expected = decay * expected + (1 - decay) * std::sin(t);
    CHECK(std::abs(value_of(warm) - expected) < 1e-14);
  }
  EMA other({p}, HalfLife{.samples = 1000, .rampup = 0.05});
  other.load_state_dict(warm.state_dict());
  p.detach().fill_(9);
  other.update(64), warm.update(64);
  CHECK(value_of(other) == value_of(warm));
  CHECK_THROWS_WITH(EMA({p}, HalfLife{.samples = 0}), contains("a half-life of 0 samples"));
  CHECK_THROWS_AS(EMA({p}, HalfLife{.samples = NAN}), ValueError);
  CHECK_THROWS_AS(EMA({p}, HalfLife{.rampup = 0}), ValueError);
  CHECK_THROWS_WITH(warm.update(0), contains("got 0 samples; expected at least 1"));
  CHECK_THROWS_WITH(EMA({p}, 0.9).update(64), contains("got 64 samples; expected 1: this average has no half-life"));
}

TEST_CASE("the moving average follows its formula, swaps in and out, and is saved", "[optim][ema]") {
  Tensor p = leaf(zeros({2}, f64));
  EMA plain({p}, 0.9, false), warm({p}, 0.9);
  double expected = 0, warm_expected = 0;
  for (int t = 0; t < 5; ++t) {
    p.detach().fill_(t + 1);
    plain.update(), warm.update();
    double d = std::min(0.9, (1. + t) / (10. + t));
    expected = 0.9 * expected + 0.1 * (t + 1);
    warm_expected = d * warm_expected + (1 - d) * (t + 1);
  }
  EMA other({p}, 0.9);
  other.load_state_dict(warm.state_dict());
  plain.swap();
  CHECK(std::abs(p[0].item() - expected) < 1e-14);
  plain.swap();
  CHECK(values(p) == Values{5, 5});
  p.detach().fill_(9);
  warm.update(), other.update();
  warm.swap();
  double with = p[1].item();
  warm.swap(), other.swap();
  CHECK(p[1].item() == with);
  other.swap();
  double d = 6. / 15;
  CHECK(std::abs(with - (d * warm_expected + (1 - d) * 9)) < 1e-14);
  CHECK_THROWS_WITH(EMA({p}, 1), contains("decay must be in [0, 1); got 1"));
  NamedTensors state = warm.state_dict();
  CHECK_THROWS_AS(warm.load_state_dict({}), ValueError);
  CHECK_THROWS_AS(warm.load_state_dict({{"steps", zeros({}, i64)}, {"x", zeros({2}, f64)}}), ValueError);
  CHECK_THROWS_AS(warm.load_state_dict({{"steps", zeros({}, i64)}, {"0", zeros({3}, f64)}}), ShapeError);
}
