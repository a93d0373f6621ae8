// The experiments of lesson 10: the same net trained in f32, f16 with and without a scale, and bf16.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "examples/10_mixed_precision/digits.h"
#include "examples/10_mixed_precision/toy.h"
#include "examples/support/lesson/lesson.h"

namespace ink::lesson {

inline const Recipe kRecipes[] = {{"f32"},
                                  {"f16, no scale", f16},
                                  {"f16, S = 8", f16, {.scale = 8, .dynamic = false}},
                                  {"f16, S = 1024", f16, {.scale = 1024, .dynamic = false}},
                                  {"f16, dynamic", f16, {.growth_interval = 200}},
                                  {"bf16", bf16}};

inline void fail_and_recover(Lesson& lesson, int64_t steps, int64_t seeds, const Options& numbers) {
  lesson.section("6. Fail and recover", R"(y = A \sin 4 \pi x, \quad A = 2^{-10})");
  const Toy toy(0x1p-10, numbers);
  std::vector<Series> bars;
  std::vector<std::string> labels;
  std::vector<double> worst, least, lost;
  for (const Recipe& r : kRecipes) {
    labels.push_back(r.name);
    worst.push_back(0), least.push_back(INFINITY), lost.push_back(0);
  }
  double against = 0;  // dynamic over f32, the worst seed
  Progress progress = lesson.progress("the curve", seeds * int64_t(labels.size()));
  for (int64_t s = 0; s < seeds; ++s) {
    Series bar{.name = fmt::format("seed {}", s + 1)};
    for (size_t i = 0; i < labels.size(); ++i) {
      const ToyRun run = toy.train(kRecipes[i], steps, lesson.seed() + uint64_t(s) + 1);
      bar.y.push_back(run.error);
      worst[i] = std::max(worst[i], run.error), least[i] = std::min(least[i], run.error);
      lost[i] += run.lost / double(seeds);
      progress.step(labels[i]);
    }
    against = std::max(against, bar.y[4] / bar.y[0]);
    bars.push_back(std::move(bar));
  }
  lesson.bars("recover", labels, bars,
              {.y = "squared error, over that of 0",
               .log_y = true,
               .caption = "The same net, data and optimizer; only the arithmetic differs."});
  for (size_t i = 0; i < labels.size(); ++i) {
    lesson.value(fmt::format("error, {}", labels[i]), worst[i]);
    lesson.value(fmt::format("least error, {}", labels[i]), least[i]);
    lesson.value(fmt::format("hidden gradients lost, {}, %", labels[i]), 100 * lost[i]);
  }
  lesson.expect("f16 without a scale: the least error of all seeds (1 is no learning)", least[1], Above{0.8},
                Needs::training);
  lesson.expect("f16 without a scale: share of the hidden layer's gradients that are 0", lost[1], Above{0.99},
                Needs::training);
  lesson.expect("a static S = 8 loses most of them too", lost[2], Within{0.5, 0.99}, Needs::training);
  const Toy loud(0x1p-5, numbers);  // 32 times as large: a fixed scale that is too large leaves out every step
  const int64_t few = std::min<int64_t>(steps, 50);
  const ToyRun stuck = loud.train({"S = 2^24", f16, {.scale = 0x1p24, .dynamic = false}}, few, lesson.seed() + 1),
               freed = loud.train({"from 2^24", f16, {.scale = 0x1p24}}, few, lesson.seed() + 1);
  lesson.expect("A = 2^-5 and a static S = 2^24: steps left out of the first 50", double(stuck.skipped), Equals{50},
                Needs::training);
  lesson.expect("and by a dynamic scale that starts there", double(freed.skipped), Within{1, 10}, Needs::training);
  lesson.expect("f16 with a dynamic scale: the largest error of all seeds", worst[4], Below{0.08}, Needs::full_run);
  lesson.expect("and what it loses", lost[4], Below{0.01}, Needs::training);
  lesson.expect("its error over that of f32, the worst seed", against, Below{3}, Needs::full_run);
}

inline void the_digits(Lesson& lesson, const TensorDataset& digits, int64_t steps, int64_t seeds,
                       const Options& numbers) {
  lesson.section("7. The digits, eight layers deep");
  const std::pair<Recipe, Keep> rows[] = {{{"f32"}, Keep::masters},
                                          {{"f16, no scale", f16}, Keep::masters},
                                          {{"f16, dynamic", f16, {.growth_interval = 200}}, Keep::masters},
                                          {{"bf16", bf16}, Keep::masters},
                                          {{"bf16 weights", bf16}, Keep::nothing},
                                          {{"bf16 weights, stochastic", bf16}, Keep::stochastic}};
  std::vector<std::vector<double>> last(std::size(rows));
  std::vector<Series> curves;
  for (int64_t s = 0; s < seeds; ++s)
    for (size_t i = 0; i < std::size(rows); ++i) {
      const DigitsRun run =
          train_digits(digits, rows[i].first, steps, lesson.seed() + uint64_t(s) + 1, numbers, rows[i].second);
      last[i].push_back(run.last);
      if (s > 0) continue;
      Series c{.name = rows[i].first.name};
      const size_t window = std::max<size_t>(1, run.losses.size() / 60);
      for (size_t k = 0; k + window <= run.losses.size(); k += window) {
        double mean = 0;
        for (size_t j = k; j < k + window; ++j) mean += run.losses[j] / double(window);
        c.x.push_back(double(k)), c.y.push_back(mean);
      }
      curves.push_back(std::move(c));
    }
  lesson.plot("digits", curves,
              {.x = "steps",
               .y = "cross entropy",
               .caption = "64 pixels, eight layers of 32 sigmoids, 10 classes. Guessing costs ln 10 = 2.30."});
  double gap = INFINITY, near = 0;
  for (size_t s = 0; s < last[0].size(); ++s) {
    gap = std::min(gap, last[1][s] - last[0][s]);
    near = std::max(near, last[2][s] - last[0][s]);
  }
  for (size_t i = 0; i < std::size(rows); ++i) lesson.value(fmt::format("digits, {}", rows[i].first.name), last[i][0]);
  lesson.expect("f16 without a scale: its loss above that of f32, the closest seed", gap, Above{0.5}, Needs::full_run);
  lesson.expect("f16 with a dynamic scale: its loss above that of f32, the worst seed", near, Below{0.4},
                Needs::full_run);
}

}  // namespace ink::lesson
