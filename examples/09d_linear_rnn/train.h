// How the nets of lesson 09d are trained, and the seeds they are trained from.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"

namespace ink::lesson {

struct Training {
  int64_t steps;
  double rate;
  int64_t warmup = 50;
};

// Trains `net` on what `loss` returns, a new batch at every call: AdamW, warm-up and cosine, norms of gradients clipped
// at 1. Weight decay is for matrices alone: decays, steps and mixes are vectors. Returns the mean loss of each of 30
// stretches.
template <class Net, class Loss>
Series train(Lesson& lesson, const std::string& name, Net& net, const Training& t, const Loss& loss) {
  std::vector<Tensor> matrices, vectors;
  for (const Tensor& p : net.parameters()) (p.dim() >= 2 ? matrices : vectors).push_back(p);
  AdamW optimizer({{matrices, {.lr = t.rate, .weight_decay = 0.01}}, {vectors, {.lr = t.rate, .weight_decay = 0}}});
  Scheduler schedule(optimizer, Cosine{.steps = t.steps, .warmup = std::min(t.warmup, t.steps / 4), .floor = 0.05});
  Series curve{.name = name};
  const int64_t every = std::max<int64_t>(1, t.steps / 30);
  double sum = 0;
  Progress progress = lesson.progress(name, t.steps);
  for (int64_t step = 1; step <= t.steps; ++step) {
    const Tensor l = loss();
    l.backward();
    clip_grad_norm_(net.parameters(), 1);
    optimizer.step(), optimizer.zero_grad(), schedule.step();
    sum += l.item();
    if (step % every == 0) curve.x.push_back(double(step)), curve.y.push_back(sum / double(every)), sum = 0;
    progress.update(step, fmt::format("loss {:.3f}", l.item()));
  }
  return curve;
}

}  // namespace ink::lesson
