// What all sections of lesson 12 share: sizes, models, prompts, and what the heads hit.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "examples/12_medusa/decoding.h"
#include "examples/12_medusa/trees.h"

namespace ink::lesson {

struct Sizes12 {
  int64_t steps, head_steps, batch, context, dim, layers, prompts, written, draws, seeds, width;
};

struct Setup {
  const CharText& text;
  Sizes12 z;
  double rate, head_rate = 5e-3;
  Options numbers;  // of training; decoding runs in the lesson's dtype
  bool tiny;
  int64_t ranks, tokens, timings;
  std::vector<int64_t> nodes, rows;  // of trees; of passes
  Models models;
  Tensor train, held;
  std::vector<std::vector<int64_t>> prompts;          // held-out ones, which every drafter continues
  std::optional<HydraHeads> hydra;                    // in a full run
  Tensor others;                                      // greedy texts of the model after other held-out prompts
  std::vector<std::vector<int64_t>> hits, book_hits;  // of the heads: on those texts, on held-out pages

  bool trained_here = true;
  Series layer_pass, model_pass;  // ms by rows: of a large layer alone, of the model

  Setup(const Lesson& lesson, const CharText& t, const Sizes12& sizes, double learning_rate)
      : text(t),
        z(sizes),
        rate(learning_rate),
        numbers{is_half(lesson.dtype()) ? f32 : lesson.dtype(), lesson.device()},
        tiny(lesson.mode() == Mode::tiny),
        ranks(std::min<int64_t>(10, t.vocabulary())),
        tokens(sizes.context / 2),
        timings(tiny ? 1 : 30),
        nodes(tiny ? std::vector<int64_t>{1, 3} : std::vector<int64_t>{1, 2, 4, 8, 16, 32, 63}),
        rows(tiny ? std::vector<int64_t>{1, 4} : std::vector<int64_t>{1, 2, 4, 8, 16, 32, 64}),
        models({t.vocabulary(), sizes.context, sizes.dim, 4, sizes.layers, std::max<int64_t>(8, sizes.dim * 3 / 8)}) {
    auto [first, rest] = split_text(t.ids().to(lesson.device()), 0.9);
    train = first, held = rest;
    prompts = prompts_of(held, z.prompts, prompt_length());
  }
  int64_t prompt_length() const { return z.context / 2; }
  Accuracy accuracy() const { return rank_accuracy(hits, ranks); }

  // The models that come with the book; none for another text, given by --data.
  static std::string shipped(const Lesson& lesson) {
    try {
      const std::string file = lesson.data("medusa.safetensors");
      return file.ends_with(".safetensors") ? file : std::string();
    } catch (const Error&) { return {}; }
  }
  // From a file, or trained on the book; in the end in the numbers that decoding uses.
  void make_models(Lesson& lesson, const std::string& weights) {
    std::string file = weights;
    if (file.empty() && lesson.mode() == Mode::quick) file = shipped(lesson);
    if (!file.empty()) lesson.checked("weights", [&] { return models.load(file), 0; });
    trained_here = file.empty();
    models.to(numbers);
    lesson.section("0. The models",
                   R"(h_t = \text{features}(x_1 \dots x_t), \quad p(x_{t+1}) = \text{softmax}(W h_t))");
    lesson.value("parameters", double(models.model.num_parameters()));
    lesson.value("parameters of the heads", double(models.heads.num_parameters()));
    lesson.value("parameters of the small model", double(models.small.num_parameters()));
    if (trained_here) {
      default_generator() = Generator(lesson.seed());
      Series large = train_reader(lesson, "the model", models.model, train, z.steps, z.batch, rate);
      Series small = train_reader(lesson, "the small model", models.small, train, z.steps, z.batch, rate);
      if (large.y.size() > 2)
        lesson.plot("loss", {large, small},
                    {.x = "step", .y = "nats per character", .y_high = 3, .caption = "Both read the same windows."});
    } else {
      lesson.say("Models from a file, which the full run makes by --save.");
    }
  }
};

}  // namespace ink::lesson
