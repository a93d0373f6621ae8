// AdamW by its formulas on a single weight, beside the library's: the two running means and what correcting them does.
#pragma once
#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"

namespace ink::lesson {

struct AdamByHand {
  double lr, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, decay = 0;
  double m = 0, v = 0;
  int t = 0;

  double step(double theta, double g) {
    ++t;
    m = beta1 * m + (1 - beta1) * g;                                            // (0.8)
    v = beta2 * v + (1 - beta2) * g * g;                                        // (0.9)
    const double mean = m / (1 - std::pow(beta1, t));                           // (0.10)
    const double square = v / (1 - std::pow(beta2, t));                         // (0.11)
    return theta - lr * mean / (std::sqrt(square) + eps) - lr * decay * theta;  // (0.12)
  }
};

inline void adam_step_by_step(Lesson& lesson) {
  lesson.player("AdamW, one weight");
  const std::vector<double> gradients{2, 2, 2, 2, -2, 2, 200, 2};
  AdamByHand hand{.lr = 0.1, .decay = 0.1};
  Tensor weight = full({}, 1, f64).requires_grad_();
  AdamW library({weight}, {.lr = hand.lr, .weight_decay = hand.decay});
  double theta = 1, off = 0;
  std::vector<double> g, m, v, corrected, raw, thetas;
  auto row = [&](std::vector<double> values) {  // what is still to come is empty
    values.resize(gradients.size(), NAN);
    return values;
  };
  for (const double gradient : gradients) {
    const double before = theta;
    theta = hand.step(theta, gradient);
    (weight * gradient).backward();
    library.step(), library.zero_grad();
    off = std::max(off, std::abs(weight.item() - theta));
    g.push_back(gradient), m.push_back(hand.m), v.push_back(hand.v), thetas.push_back(theta);
    corrected.push_back((before - theta) / hand.lr - hand.decay * before);
    raw.push_back(hand.m / std::sqrt(hand.v));
    lesson.frame(
        fmt::format("step {}", hand.t),
        {{"$g$", row(g)},
         {"$m$", row(m)},
         {"$v$", row(v)},
         {"$m / \\sqrt{v}$, not corrected", row(raw)},
         {"$\\hat m / (\\sqrt{\\hat v} + \\varepsilon)$", row(corrected)},
         {"$\\theta$", row(thetas)}},
        hand.t == 1
            ? "$m$ has a tenth of $g$, $\\sqrt v$ a thirtieth: uncorrected, the first step would be 3.2 times too long."
        : hand.t < 5  ? "The corrected ratio is 1 while $g$ is constant, at once and for a gradient of any size."
        : hand.t == 5 ? "One gradient of the other sign: the mean falls, the weight goes on more slowly."
        : hand.t == 6 ? "It recovers. The mean remembers about ten gradients, the mean of squares a thousand."
        : hand.t == 7 ? "A gradient a hundred times larger moves the weight by about as much as any other..."
                      : "... $m$ carries it on for ten steps; then $v$, with its long memory, makes small steps of "
                        "gradients of 2.");
  }
  lesson.expect("AdamW by its formulas: largest distance of eight steps from the library's", off, Below{1e-12});
}

}  // namespace ink::lesson
