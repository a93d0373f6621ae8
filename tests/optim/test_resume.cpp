#include "nn/data/loader.h"
#include "nn/layers/activation.h"
#include "nn/layers/linear.h"
#include "nn/layers/norm.h"
#include "nn/sequential.h"
#include "nn/state.h"
#include "optim/adam.h"
#include "optim/clip.h"
#include "optim/ema.h"
#include "optim/schedule.h"
#include "tensor/io.h"
#include "tensor/parallel.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"
#include "tests/support/temporary.h"

using namespace ink;
using namespace ink::test;

namespace {

TensorDataset points() {
  Tensor x = normal({50, 6}, 1, f32);
  return TensorDataset({x, (x.sum(Dims{1}) > 0).to(i64)});
}

// Everything a training run consists of.
struct Run {
  Sequential model;
  AdamW optimizer;
  Scheduler schedule;
  EMA average;
  DataLoader loader;
  int64_t done = 0;

  explicit Run(uint64_t seed, int64_t hidden = 16)
      : model((manual_seed(seed),
               Sequential(Linear(6, hidden), BatchNorm1d(hidden), Relu(), Dropout(0.3), Linear(hidden, 2)))),
        optimizer(model.parameters(), {.lr = 1e-2, .weight_decay = 0.1}),
        schedule(optimizer, Cosine{.steps = 30, .warmup = 5}),
        average(model.parameters(), 0.9),
        loader(points(), {.batch_size = 8, .shuffle = true, .seed = seed}) {}
  void train(int64_t until) {
    for (; done < until; ++done) {
      Batch batch = loader.next();
      optimizer.zero_grad();
      cross_entropy(model.forward(batch[0]), batch[1]).backward();
      clip_grad_norm_(model.parameters(), 1);
      optimizer.step();
      schedule.step();
      average.update();
    }
  }
  NamedTensors state() {
    return merge_states({{"model", model.state_dict()},
                         {"optimizer", optimizer.state_dict()},
                         {"schedule", schedule.state_dict()},
                         {"average", average.state_dict()},
                         {"loader", loader.state_dict()},
                         {"run", {{"random", generator_state(default_generator())}, {"step", integer_state(done)}}}});
  }
  void load(const NamedTensors& all) {
    load_run(all, {{"model", model},
                   {"optimizer", optimizer},
                   {"schedule", schedule},
                   {"average", average},
                   {"loader", loader},
                   {"run.random", default_generator()},
                   {"run.step", done}});
  }
};

std::string first_difference(const NamedTensors& a, const NamedTensors& b) {
  if (a.size() != b.size()) return "another number of entries";
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i].first != b[i].first || !same_bits(a[i].second.to_vector<double>(), b[i].second.to_vector<double>()))
      return a[i].first;
  return "";
}
NamedTensors copied(const NamedTensors& state) {
  NamedTensors copy;
  for (auto& [name, t] : state) copy.emplace_back(name, t.clone());
  return copy;
}

}  // namespace

// Each is one entry of a saved run that is wrong; nothing of the run may be replaced then, whatever stands before it.
TEST_CASE("a run with one wrong entry is not loaded at all", "[resume]") {
  Run saved(3), run(99);
  saved.train(9), run.train(4);
  const NamedTensors good = copied(saved.state()), before = copied(run.state());
  const Tensor number = full({}, 1, i64), shape = good[0].second;
  Tensor odd = tensor({1, 3}, i64);
  auto entry = [&](std::string_view name) {
    for (auto& [n, t] : good)
      if (n == name) return t;
    return Tensor();
  };
  auto negated = [&](const char* name) { return entry(name) * -1; };
  const struct {
    const char* name;
    Tensor value;
  } wrong[] = {{"model.0.weight", zeros({2})},
               {"model.4.bias", zeros({2}, c64)},
               {"optimizer.0.steps", number * -1},
               {"optimizer.1.steps", full({}, 2.7, f64)},
               {"optimizer.2.steps", full({}, INT64_MAX, i64)},
               {"optimizer.3.steps", zeros({1}, i64)},
               {"optimizer.0.v", negated("optimizer.0.v")},
               {"optimizer.1.m", to(entry("optimizer.1.m"), c64)},
               {"optimizer.1.v", to(entry("optimizer.1.v"), i64)},
               {"schedule.base.0", full({}, NAN, f64)},
               {"schedule.base.0", full({}, INFINITY, f64)},
               {"schedule.base.0", full({}, -1, f64)},
               {"schedule.base.0", number},
               {"schedule.step", number * -1},
               {"schedule.step", full({}, 2.7, f32)},
               {"average.steps", number * -1},
               {"average.steps", full({}, INT64_MAX, i64)},
               {"average.0", to(entry("average.0"), c64)},
               {"loader.shuffle", number * 0},
               {"loader.drop_last", number},
               {"loader.epoch", number * -1},
               {"loader.position", number * 99},
               {"loader.generator", zeros({3}, i64)},
               {"run.random", zeros({2}, f64)},
               {"run.random", odd},
               {"run.step", number * -1},
               {"run.step", full({}, 2.7, f64)}};
  for (auto& [name, value] : wrong) {
    INFO(name << " = " << value.str());
    REQUIRE(entry(name).defined());
    NamedTensors state = copied(good);
    for (auto& [n, t] : state)
      if (n == name) t = value;
    CHECK_THROWS_AS(run.load(state), Error);
    CHECK(first_difference(run.state(), before) == "");
    std::erase_if(state, [&, bad = std::string_view(name)](auto& s) { return s.first == bad; });
    CHECK_THROWS_AS(run.load(state), Error);  // and if it is missing
    CHECK(first_difference(run.state(), before) == "");
  }
  CHECK(run.optimizer.lr(0) != saved.optimizer.lr(0));
  run.load(good);
  CHECK(first_difference(run.state(), good) == "");
  CHECK(run.optimizer.lr(0) == saved.optimizer.lr(0));
}

TEST_CASE("the state of a shuffled loader is not that of one in order", "[resume]") {
  DataLoader shuffled(points(), {.batch_size = 8, .shuffle = true}), plain(points(), {.batch_size = 8});
  CHECK_THROWS_WITH(plain.load_state_dict(shuffled.state_dict()), contains("got shuffle 1, drop_last 0"));
  CHECK_THROWS_AS(shuffled.load_state_dict(plain.state_dict()), ValueError);
}

TEST_CASE("a run stopped at any step and resumed in fresh objects ends with the same bits", "[resume]") {
  TemporaryFolder folder;
  const int64_t total = 20;  // almost three epochs of seven batches
  Run whole(3);
  NamedTensors start = copied(whole.state());
  whole.train(total);
  NamedTensors want = copied(whole.state());
  CHECK(first_difference(start, want) != "");
  for (int64_t stop : {0, 1, 6, 7, 13, 20}) {
    {
      Run first(3);
      first.train(stop);
      save_safetensors(folder / "run", first.state());
    }
    Run second(99);  // other weights, other order, other random numbers
    second.train(2);
    second.load(load_safetensors(folder / "run"));
    CHECK(second.done == stop);
    second.train(total);
    INFO("stopped after " << stop);
    CHECK(first_difference(second.state(), want) == "");
    CHECK(second.optimizer.lr(0) == whole.optimizer.lr(0));
  }
}

TEST_CASE("the same seed trains to the same bits on one thread and on two", "[resume]") {
  int before = num_threads();
  NamedTensors results[2];
  for (int threads : {1, 2}) {
    set_num_threads(threads);
    Run run(5, 300);  // wide enough for products and updates to be cut
    run.train(4);
    results[threads - 1] = copied(run.state());
  }
  set_num_threads(before);
  CHECK(first_difference(results[0], results[1]) == "");
  Run other(6, 300);
  other.train(4);
  CHECK(first_difference(other.state(), results[0]) != "");
}
