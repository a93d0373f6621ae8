// The toy of lesson 10 that f16 cannot learn by itself: a small curve, whose gradients are smaller still.
#pragma once
#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include "include/inkstone/ink.h"
#include "include/inkstone/precision.h"

namespace ink::lesson {

// How one run computes, and what its loss is multiplied with.
struct Recipe {
  const char* name;
  std::optional<DType> low = {};  // Autocast's dtype; none: f32
  GradScalerOptions scaler = {.enabled = false};
};

struct ToyRun {
  double error = NAN;          // mean squared error, over that of predicting 0
  double lost = 0;             // share of the hidden layer's gradients that became 0, over all steps
  std::vector<double> scales;  // per step
  int64_t skipped = 0;
};

// y = A sin(4 pi x) at 256 points of [-1, 1], learned by 1 - 64 - 1 with tanh.
struct Toy {
  double amplitude = 0x1p-10;
  Tensor x, y;
  Toy(double a, const Options& numbers)
      : amplitude(a), x(linspace(-1, 1, 256, f64).unsqueeze(1).to(numbers)), y((sin(x * (4 * M_PI)) * a)) {}

  ToyRun train(const Recipe& recipe, int64_t steps, uint64_t seed) const {
    Generator generator(seed);
    Sequential net(Linear(1, 64), Tanh(), Linear(64, 1));
    net.to(x.device());
    auto [w1, b1, w2, b2] = parts(net);
    {
      NoGrad guard;
      const Options numbers = x.options();
      w1.copy_(randn({64, 1}, numbers, &generator)), b1.copy_(randn({64}, numbers, &generator) * 0.5);
      w2.copy_(randn({1, 64}, numbers, &generator) * (amplitude / 8)), b2.zero_();
    }
    // eps 1e-15: the usual 1e-8 is larger than these gradients
    Adam optimizer(std::vector<Group<AdamOptions>>{{{w1, b1}, {.lr = 1e-2, .eps = 1e-15}},
                                                   {{w2, b2}, {.lr = 1e-2 * amplitude, .eps = 1e-15}}});
    GradScaler scaler(recipe.scaler);
    ToyRun run;
    double zeros_seen = 0, seen = 0;
    for (int64_t step = 0; step < steps; ++step) {
      run.scales.push_back(scaler.scale());
      optimizer.zero_grad();
      {
        std::optional<Autocast> low;
        if (recipe.low) low.emplace(*recipe.low);
        Tensor hidden = tanh(linear(x, w1, b1));
        hidden.retain_grad();
        scaler.scale(mse_loss(linear(hidden, w2, b2).to(f32), y)).backward();
        if (step % 50 == 0) {
          const ValueCounts c = count_values(hidden.grad(), formats::f32);
          zeros_seen += double(c.zeros), seen += double(c.values);
        }
      }
      scaler.step(optimizer);
      scaler.update();
    }
    run.lost = seen > 0 ? zeros_seen / seen : 0;
    run.skipped = scaler.skipped_steps();
    NoGrad guard;
    run.error = (mse_loss(net.forward(x), y) / square(y).mean()).item();
    return run;
  }

  static std::array<Tensor, 4> parts(Sequential& net) {
    const std::vector<Tensor> p = net.parameters();
    return {p[0], p[1], p[2], p[3]};
  }
};

}  // namespace ink::lesson
