// The models of lesson 12: a GPT that reads characters, heads that look ahead, and a smaller GPT that guesses too; how
// they are trained, and the file that keeps them.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "examples/support/lesson/lesson.h"
#include "include/inkstone/decoding.h"
#include "include/inkstone/ink.h"
#include "nn/state.h"

namespace ink::lesson {

struct ModelSizes {
  int64_t vocabulary, context, dim, heads, layers;
  int64_t small_dim;  // of the smaller model, which has one layer
};

// Not to be moved: the heads look at the model.
struct Models {
  GPT model;
  MedusaHeads heads;
  GPT small;
  explicit Models(const ModelSizes& z)
      : model({.vocabulary = z.vocabulary, .context = z.context, .dim = z.dim, .heads = z.heads, .layers = z.layers}),
        heads(model, {.heads = 4}),
        small({.vocabulary = z.vocabulary, .context = z.context, .dim = z.small_dim, .heads = 2, .layers = 1}) {
    const NoGrad guard;  // vectors of length 1 a number drown what blocks add in their first thousand steps
    for (GPT* gpt : {&model, &small}) gpt->tokens.weight.mul_(0.3), gpt->positions->weight.mul_(0.3);
  }
  Models(const Models&) = delete;
  Models& operator=(const Models&) = delete;

  void to(const Options& numbers) {
    for (Module* m : {static_cast<Module*>(&model), static_cast<Module*>(&heads), static_cast<Module*>(&small)})
      m->to(numbers.device), m->to(numbers.dtype), m->eval();
  }
  // Weights as f16: half the bytes, and 11 bits of each number.
  void save(const std::string& path) {
    NamedTensors all =
        merge_states({{"model", model.state_dict()}, {"heads", heads.state_dict()}, {"small", small.state_dict()}});
    for (auto& [name, tensor] : all) tensor = tensor.to(f16).to(Device{});
    save_safetensors(path, all);
  }
  void load(const std::string& path) {
    NamedTensors all = load_safetensors(path);
    for (auto& [name, tensor] : all) tensor = tensor.to(f32);
    load_run(all, {{"model", model}, {"heads", heads}, {"small", small}});
  }
};

// What a training run shows: the mean of each loss over stretches of its steps.
struct Curves {
  std::vector<Series> series;
  void start(const std::vector<std::string>& names) {
    for (const std::string& name : names) series.push_back({.name = name});
    sums_.assign(names.size(), 0);
  }
  void add(int64_t step, int64_t every, const std::vector<double>& losses) {
    for (size_t i = 0; i < losses.size(); ++i) sums_[i] += losses[i] / double(every);
    if (step % every != 0) return;
    for (size_t i = 0; i < losses.size(); ++i) {
      series[i].x.push_back(double(step)), series[i].y.push_back(sums_[i]);
      sums_[i] = 0;
    }
  }

 private:
  std::vector<double> sums_;
};

// AdamW with a warm-up and a cosine. `losses()` makes the losses of a step, `total` what is differentiated.
template <class Losses, class Total>
Curves descend(Lesson& lesson, const std::string& name, Module& net, int64_t steps, double rate,
               const std::vector<std::string>& names, const Losses& losses, const Total& total) {
  AdamW optimizer(net.parameters(), {.lr = rate, .beta2 = 0.99, .weight_decay = 0.1});
  Scheduler schedule(optimizer, Cosine{.steps = steps, .warmup = std::min<int64_t>(100, steps / 4), .floor = 0.05});
  Curves curves;
  curves.start(names);
  Progress progress = lesson.progress(name, steps);
  for (int64_t step = 1; step <= steps; ++step) {
    const std::vector<Tensor> each = losses();
    total(each).backward();
    clip_grad_norm_(net.parameters(), 1);
    optimizer.step();
    optimizer.zero_grad();
    schedule.step();
    std::vector<double> numbers;
    for (const Tensor& loss : each) numbers.push_back(loss.item());
    curves.add(step, std::max<int64_t>(1, steps / 30), numbers);
    progress.update(step, fmt::format("loss {:.3f}", numbers[0]));
  }
  return curves;
}

// A language model on windows of a text, as lesson 00 trains it.
inline Series train_reader(Lesson& lesson, const std::string& name, GPT& model, const Tensor& text, int64_t steps,
                           int64_t batch, double rate) {
  Generator places(lesson.seed());
  model.train();
  Curves curves = descend(
      lesson, name, model, steps, rate, {name},
      [&] {
        auto [inputs, targets] = random_windows(text, batch, model.options.context, places);
        return std::vector<Tensor>{cross_entropy(model.forward(inputs).flatten(0, 1), targets.flatten())};
      },
      [](const std::vector<Tensor>& losses) { return losses[0]; });
  model.eval();
  return curves.series[0];
}

inline std::vector<Tensor> losses_of(const MedusaHeads& heads, const Tensor& ids) {
  return medusa_head_losses(heads, ids);
}
inline std::vector<Tensor> losses_of(const HydraHeads& heads, const Tensor& ids) {
  return hydra_head_losses(heads, ids);
}

// Medusa-1, for Hydra's heads too: L = sum over the heads of 0.8^{k+1} L_k, the model as it is. `draw()` gives ids
// [batch, time].
template <class Heads, class Draw>
Curves train_heads(Lesson& lesson, const std::string& name, Heads& heads, int64_t steps, double rate,
                   const Draw& draw) {
  std::vector<std::string> names;
  for (int64_t k = 0; k < heads.count(); ++k) names.push_back(fmt::format("head {}, {} on", k, k + 2));
  return descend(
      lesson, name, heads, steps, rate, names, [&] { return losses_of(heads, draw()); },
      [](const std::vector<Tensor>& losses) {
        Tensor sum;
        for (size_t k = 0; k < losses.size(); ++k) {
          const Tensor part = std::pow(0.8, double(k + 1)) * losses[k];  // (12.3)
          sum = sum.defined() ? sum + part : part;
        }
        return sum;
      });
}

// Prompts of a length, spread evenly over a text.
inline std::vector<std::vector<int64_t>> prompts_of(const Tensor& text, int64_t count, int64_t length) {
  std::vector<std::vector<int64_t>> prompts;
  for (int64_t i = 0; i < count; ++i)
    prompts.push_back(text.narrow(0, i * (text.numel() - length) / count, length).to_vector<int64_t>());
  return prompts;
}
// Lists of one length as i64 [lists, length].
inline Tensor side_by_side(const std::vector<std::vector<int64_t>>& lists, Device device) {
  std::vector<int64_t> all;
  for (const std::vector<int64_t>& list : lists) all.insert(all.end(), list.begin(), list.end());
  return from_data(all, {int64_t(lists.size()), int64_t(lists[0].size())}).to(device);
}
inline Tensor some_rows(const Tensor& texts, int64_t count, Generator& g) {
  return index_select(texts, 0, randint(0, texts.size(0), {count}, {i64, texts.device()}, &g));
}

}  // namespace ink::lesson
