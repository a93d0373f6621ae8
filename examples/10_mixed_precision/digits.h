// A deep net of sigmoids over the digits, whose gradients shrink by a factor in each layer.
#pragma once
#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "examples/10_mixed_precision/toy.h"
#include "include/inkstone/ink.h"
#include "include/inkstone/precision.h"
#include "nn/data/idx.h"

namespace ink::lesson {

struct DigitsNet : Module {
  std::vector<Linear> layers;  // 8 hidden ones of 32 sigmoids, and the classes
  explicit DigitsNet(int64_t pixels) {
    for (int64_t i = 0; i < 8; ++i) layers.emplace_back(i == 0 ? pixels : 32, 32);
    layers.emplace_back(32, 10);
  }
  Tensor forward(Tensor x) const {
    for (size_t i = 0; i + 1 < layers.size(); ++i) x = sigmoid(layers[i].forward(x));
    return layers.back().forward(x);
  }
  void fields(Fields& f) override { f("layers", layers); }
};

// What becomes of weights in 16 bits after each step of their f32 masters.
enum class Keep {
  masters,     // the masters stay: the usual way
  nothing,     // the next step starts from the rounded weights
  stochastic,  // the same, rounded by chance
};

struct DigitsRun {
  std::vector<double> losses;
  double last = NAN;              // mean loss of the last tenth
  std::vector<Tensor> gradients;  // of each layer's weight in the first step, unscaled
};

// The masters become what the net holds: without masters the rest of every update is gone.
inline void forget(DigitsNet& net, MasterWeights& masters) {
  NamedTensors rounded_weights;
  for (const Tensor& p : net.parameters())
    rounded_weights.emplace_back(std::to_string(rounded_weights.size()), p.detach().to(f32));
  masters.load_state_dict(rounded_weights);
}

inline DigitsRun train_digits(const TensorDataset& digits, const Recipe& recipe, int64_t steps, uint64_t seed,
                              const Options& numbers, Keep keep = Keep::masters) {
  manual_seed(seed);
  Generator order(seed);
  const Tensor images = digits.tensors()[0].to(numbers).flatten(1), labels = digits.tensors()[1].to(numbers.device);
  DigitsNet net(images.size(1));
  net.to(numbers.device);
  const bool halves = keep != Keep::masters;
  if (halves) net.to(*recipe.low);
  MasterWeights masters(net.parameters());
  Adam optimizer(masters.parameters(), {.lr = 5e-3, .eps = 1e-15});
  GradScaler scaler(recipe.scaler);
  DigitsRun run;
  for (int64_t step = 0; step < steps; ++step) {
    const Tensor rows = randint(0, images.size(0), {256}, {i64, numbers.device}, &order);
    optimizer.zero_grad(), net.zero_grad();
    std::optional<Autocast> low;
    if (recipe.low) low.emplace(*recipe.low);
    const Tensor x = index_select(images, 0, rows), logits = net.forward(x);
    const Tensor loss = cross_entropy(logits.to(f32), index_select(labels, 0, rows));
    scaler.scale(loss).backward();
    run.losses.push_back(loss.item());
    masters.collect();
    scaler.unscale_(optimizer);
    if (step == 0)
      for (const Linear& l : net.layers)
        if (Tensor g = l.weight.grad(); g.defined()) run.gradients.push_back(g.clone());
    if (scaler.step(optimizer)) masters.publish(keep == Keep::stochastic ? Rounding::stochastic : Rounding::nearest);
    if (halves) forget(net, masters);
    scaler.update();
  }
  const size_t tail = std::max<size_t>(1, run.losses.size() / 10);
  run.last = 0;
  for (size_t i = run.losses.size() - tail; i < run.losses.size(); ++i) run.last += run.losses[i] / double(tail);
  return run;
}

}  // namespace ink::lesson
