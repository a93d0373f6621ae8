// The net of lesson 09c: two layers of Mamba, selective or not, and how it is trained.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "examples/09c_mamba/tasks.h"
#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"
#include "include/inkstone/ssm.h"

namespace ink::lesson {

// The layer held constant is the same one with delta, B and C as parameters: a time-invariant S4D-Real.
inline constexpr Selection kHeldConstant{.delta = false, .B = false, .C = false};

struct MambaNet : Module {
  Embedding tokens;
  std::vector<RMSNorm> norms;
  std::vector<Mamba> layers;
  RMSNorm norm;
  Linear head;
  MambaNet(int64_t symbols, int64_t dim, int64_t state, const Selection& selection)
      : tokens(symbols, dim), norm(dim), head(dim, symbols, {.bias = false}) {
    for (int i = 0; i < 2; ++i) {
      norms.emplace_back(dim);
      layers.emplace_back(MambaOptions{.dim = dim, .state = state, .selection = selection});
      NoGrad guard;
      layers.back().out_proj.weight.mul_(1 / std::sqrt(2.));  // two layers add to the residual stream
    }
  }
  // Logits at the places that are asked for, [batch, answers, symbols].
  Tensor forward(const Asked& a) const {
    Tensor x = tokens.forward(a.ids);
    for (size_t i = 0; i < layers.size(); ++i) x = x + layers[i].forward(norms[i].forward(x));
    return head.forward(norm.forward(index_select(x, 1, a.places)));
  }
  // The steps delta of every layer, each [batch, time, channels].
  std::vector<Tensor> deltas(const Tensor& ids) const {
    std::vector<Tensor> all;
    Tensor x = tokens.forward(ids);
    for (size_t i = 0; i < layers.size(); ++i) {
      const Tensor in = norms[i].forward(x);
      all.push_back(layers[i].select_from(layers[i].scan_input(in)).delta);
      x = x + layers[i].forward(in);
    }
    return all;
  }
  void fields(Fields& f) override { f("tokens", tokens)("norms", norms)("layers", layers)("norm", norm)("head", head); }
};

inline double accuracy(const MambaNet& net, const Asked& a) {
  NoGrad guard;
  return (argmax(net.forward(a), -1) == a.targets).to(f64).mean().item();
}

struct Training {
  int64_t symbols, dim, state;
  Selection selection;
  int64_t steps;
  double rate;
  uint64_t seed;
  std::function<Asked(int64_t batch, Generator&)> draw;  // new tasks
};
struct Trained {
  MambaNet net;
  Series curve;  // accuracy on new tasks against the step
};

inline Trained train(Lesson& lesson, const std::string& name, const Training& t, int64_t batch) {
  manual_seed(t.seed);
  Trained out{MambaNet(t.symbols, t.dim, t.state, t.selection), {.name = name}};
  out.net.to(lesson.device());
  Generator tasks(t.seed + 1), tests(t.seed + 2);
  AdamW optimizer(out.net.parameters(), {.lr = t.rate, .weight_decay = 0.01});
  Scheduler schedule(optimizer, Cosine{.steps = t.steps, .warmup = std::min<int64_t>(100, t.steps / 4), .floor = 0.05});
  const int64_t every = std::max<int64_t>(1, t.steps / 20), tested = lesson.mode() == Mode::tiny ? 2 : 128;
  Progress progress = lesson.progress(name, t.steps);
  for (int64_t step = 1; step <= t.steps; ++step) {
    const Asked a = t.draw(batch, tasks);
    Tensor loss = cross_entropy(out.net.forward(a).flatten(0, 1), a.targets.flatten());
    loss.backward();
    clip_grad_norm_(out.net.parameters(), 1);
    optimizer.step(), optimizer.zero_grad(), schedule.step();
    if (step % every == 0) {
      out.curve.x.push_back(double(step));
      out.curve.y.push_back(accuracy(out.net, t.draw(tested, tests)));
    }
    progress.update(step, fmt::format("loss {:.3f}", loss.item()));
  }
  return out;
}

}  // namespace ink::lesson
