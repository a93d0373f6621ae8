// The nets of lesson 05 and how they learn: one that gives a score, by any of four losses, and one that gives the score
// at every noise level.
#pragma once
#include <fmt/format.h>

#include <string>
#include <vector>

#include "examples/05_score_smld/fields.h"
#include "examples/support/lesson/lesson.h"

namespace ink::lesson {

using diffusion::PointActivation;
using diffusion::PointNet;
using diffusion::PointNetOptions;

// 2-128-128-2 with softplus, whose second derivatives the losses need.
inline PointNet score_net() {
  return PointNet({.width = 128, .hidden = 2, .activation = PointActivation::softplus, .noise = {.features = 0}});
}

// What each loss is told: points of the data, and of what helps, fresh ones at every step.
enum class Matching { explicit_, implicit_, sliced, denoising };
struct MatchingRow {
  Matching matching;
  const char* name;
  double error;  // that a short training stays below
};
inline constexpr MatchingRow kMatchings[] = {{Matching::explicit_, "explicit (needs the score)", 0.2},
                                             {Matching::implicit_, "implicit (exact trace)", 0.25},
                                             {Matching::sliced, "sliced (a random direction)", 0.25},
                                             {Matching::denoising, "denoising", 0.45}};

// The loss of each sample of x0 [batch, 2], [batch]. `sigma`: the noise of the denoising one.
inline Tensor matching_loss(Matching matching, const Mixture& law, diffusion::ScoreFn s, const Tensor& x0,
                            double sigma) {
  switch (matching) {
    case Matching::explicit_: {
      const Tensor exact = x0.to(f64).to(Device::cpu());
      return diffusion::explicit_score_matching(s, x0, law.score(exact, levels(exact, 0)).to(x0.options()));
    }
    case Matching::implicit_:
      return diffusion::implicit_score_matching(s, x0);
    case Matching::sliced:
      return diffusion::sliced_score_matching(s, x0, diffusion::random_signs(x0));
    case Matching::denoising:
      break;
  }
  return diffusion::denoising_score_matching(s, x0, randn(x0.shape(), x0.options()), sigma);
}

struct TrainOptions {
  int64_t steps, batch = 256;
  double learning_rate = 2e-3;
};

// Adam with a learning rate that falls to 0 along half a cosine, and an average of the weights at the end.
inline void train(Lesson& lesson, const std::string& label, Module& net, const TrainOptions& o,
                  FunctionRef<Tensor()> loss) {
  const std::vector<Tensor> parameters = net.parameters();
  Adam adam(parameters, {.lr = o.learning_rate});
  EMA average(parameters, 0.99);
  Scheduler schedule(adam, Cosine{.steps = o.steps, .floor = 0.02});
  Progress progress = lesson.progress(label, o.steps);
  double shown = 0;
  for (int64_t i = 0; i < o.steps; ++i) {
    const Tensor value = loss();
    adam.zero_grad();
    value.backward();
    adam.step();
    schedule.step();
    average.update();
    if (i % 20 == 0) shown = value.item();
    progress.step(fmt::format("loss {:.3f}", shown));
  }
  average.swap();
}

}  // namespace ink::lesson
