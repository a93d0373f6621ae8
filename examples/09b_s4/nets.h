// The net that reads pixels one after the other, and its training.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <string>

#include "examples/09b_s4/digits.h"
#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ssm.h"

namespace ink::lesson {

// What is compared; all else is the same.
struct Contestant {
  std::string name;
  std::function<AnyMixer()> layer;
};

// pixels [batch, time, 1] -> scores of ten classes: a mean over time of what two blocks make of them.
struct PixelReader : Module {
  Linear in;
  std::vector<TransformerBlock> blocks;
  LayerNorm norm;
  Linear out;
  PixelReader(int64_t dim, int64_t depth, const Contestant& c) : in(1, dim), norm(dim), out(dim, 10) {
    for (int64_t i = 0; i < depth; ++i) blocks.push_back(s4_block(dim, c.layer()));
  }
  Tensor forward(const Tensor& pixels) const {
    Tensor x = in.forward(pixels);
    for (const TransformerBlock& b : blocks) x = b.forward(x);
    return out.forward(norm.forward(mean(x, {1})));
  }
  // The scores after each pixel, [batch, time, 10], one pixel at a time: the mean so far is a running sum.
  Tensor while_reading(const Tensor& pixels) const {
    std::vector<BlockState> states(blocks.size());
    std::vector<Tensor> scores;
    Tensor total;
    for (int64_t t = 0; t < pixels.size(1); ++t) {
      Tensor x = in.forward(narrow(pixels, 1, t, 1));
      for (size_t i = 0; i < blocks.size(); ++i) x = blocks[i].step(x, states[i]);
      total = total.defined() ? total + x : x;
      scores.push_back(out.forward(norm.forward(total / double(t + 1))));
    }
    return cat(scores, 1);
  }
  void fields(Fields& f) override { f("in", in)("blocks", blocks)("norm", norm)("out", out); }
};

// Poles and what makes them learn slowly and without weight decay, as Gu et al. do.
inline bool learns_slowly(const std::string& name) {
  for (const char* slow : {"log_step", "log_decay", "frequency", ".P", ".B"})
    if (name.ends_with(slow)) return true;
  return false;
}

inline double share_right(const PixelReader& net, const Drawn& test) {
  NoGrad guard;
  return (argmax(net.forward(test.pixels), -1) == test.labels).to(f32).mean().item();
}

// The net as a recurrent one: what it thinks of ten digits after each of their pixels.
inline void reading(Lesson& lesson, const PixelReader& net, const Drawn& some) {
  NoGrad guard;
  const Tensor scores = net.while_reading(some.pixels), all = net.forward(some.pixels);
  lesson.expect("pixel by pixel equals all at once: largest difference of a score",
                max(abs(select(scores, 1, kPixels - 1) - all)).item(), Below{1e-3});
  const Tensor sure = softmax(scores, -1);
  std::vector<Series> curves;
  for (int64_t i = 0; i < 4; ++i) {
    const int64_t digit = some.labels[i].item<int64_t>();
    curves.push_back({.name = "a " + std::to_string(digit), .y = select(sure[i], 1, digit).to_vector<double>()});
  }
  lesson.plot("reading", curves,
              {.x = "pixels read",
               .y = "probability of the right digit",
               .y_low = 0,
               .y_high = 1.02,
               .caption = "The same net as a recurrent one."});
}

struct Trained {
  Series accuracy;  // on fresh digits
  PixelReader net;
};
inline Trained train_reader(Lesson& lesson, const Contestant& c, int64_t dim, int64_t steps, int64_t batch, double rate,
                            uint64_t seed, int64_t tested) {
  default_generator() = Generator(seed);
  PixelReader net(dim, 2, c);
  net.to(lesson.device());
  Group<AdamWOptions> fast{{}, {.lr = rate, .weight_decay = 0.01}},
      slow{{}, {.lr = std::min(rate, 1e-3), .weight_decay = 0}};
  for (auto& [name, p] : net.named_parameters()) (learns_slowly(name) ? slow : fast).params.push_back(p);
  AdamW optimizer({fast, slow});
  Scheduler schedule(optimizer, Cosine{.steps = steps, .warmup = std::min<int64_t>(40, steps / 4), .floor = 0.05});
  Generator training(seed + 1), testing(7);
  const Drawn test = draw_digits(tested, testing);
  Series curve{.name = c.name};
  Progress progress = lesson.progress(c.name, steps);
  for (int64_t step = 1; step <= steps; ++step) {
    const Drawn digits = draw_digits(batch, training);
    const Tensor loss = cross_entropy(net.forward(digits.pixels), digits.labels);
    loss.backward();
    clip_grad_norm_(net.parameters(), 1);
    optimizer.step();
    optimizer.zero_grad();
    schedule.step();
    if (step % std::max<int64_t>(1, steps / 8) == 0)
      curve.x.push_back(double(step)), curve.y.push_back(share_right(net, test));
    progress.update(step, "loss " + std::to_string(loss.item()));
  }
  return {curve, net};
}

inline void digits(Lesson& lesson, int64_t dim, int64_t state, int64_t steps, int64_t batch, int64_t seeds,
                   int64_t tested) {
  lesson.section("9. Digits, pixel by pixel", R"(y = K * u + D u, \quad x + \text{GLU}(W\, \text{gelu}(y)))",
                 "after Gu et al. 2021, section 4.3");
  Generator pictures(3);
  const Drawn some = draw_digits(10, pictures);
  lesson.images("digits", some.pixels.reshape({10, kSide, kSide}),
                {.low = 0,
                 .high = 1,
                 .per_row = 5,
                 .caption = "Drawn anew for every batch: turned, slanted, stretched, moved, with noise."});
  std::vector<Contestant> all{{"S4D", [&] { return mixer("ssm", S4D({.dim = dim, .state = state})); }}};
  if (lesson.mode() == Mode::full) {
    all.push_back({"S4", [&] { return mixer("ssm", S4({.dim = dim, .length = kPixels, .state = state})); }});
    all.push_back({"RTF", [&] { return mixer("ssm", RTF({.dim = dim, .length = kPixels, .state = state})); }});
  }
  std::vector<Series> curves;
  for (const Contestant& c : all) {
    double least = 1;
    for (int64_t seed = 0; seed < seeds; ++seed) {
      const Trained t = train_reader(lesson, c, dim, steps, batch, 1e-2, uint64_t(seed) + lesson.seed(), tested);
      least = std::min(least, t.accuracy.y.back());
      if (seed > 0) continue;
      curves.push_back(t.accuracy);
      if (c.name == "S4D") reading(lesson, t.net, some);
    }
    lesson.value(fmt::format("least accuracy, {}", c.name), least);
    lesson.expect(fmt::format("{}: accuracy on fresh digits, the least of {} seeds", c.name, seeds), least,
                  Above{c.name == "RTF" ? 0.9 : 0.97}, Needs::full_run);
    lesson.expect(fmt::format("{}: better than guessing", c.name), least, Above{0.3}, Needs::training);
  }
  if (curves[0].y.size() > 1)
    lesson.plot("accuracy", curves,
                {.x = "step",
                 .y = "share right",
                 .y_low = 0,
                 .y_high = 1.02,
                 .references = {{0.1, "guessing"}},
                 .caption = "196 pixels in a row; all but the layer is the same. One seed each."});
}

}  // namespace ink::lesson
