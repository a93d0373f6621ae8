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
    model.load_state_dict(state_part(all, "model"));
    optimizer.load_state_dict(state_part(all, "optimizer"));
    schedule.load_state_dict(state_part(all, "schedule"));
    average.load_state_dict(state_part(all, "average"));
    loader.load_state_dict(state_part(all, "loader"));
    default_generator() = state_generator(all, "run.random");
    done = state_integer(all, "run.step");
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
