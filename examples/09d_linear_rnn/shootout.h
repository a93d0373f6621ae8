// The shoot-out of lesson 09d: one small language model over characters, whose blocks are of another kind each time.
#pragma once
#include <chrono>
#include <cmath>
#include <string>
#include <vector>

#include "examples/09d_linear_rnn/train.h"
#include "nn/data/text.h"
#include "nn/models/gpt.h"

namespace ink::lesson {

// Two blocks of the same kind. Softmax has learned positions, the others need none.
struct Racer {
  std::string name;
  std::vector<BlockKind> stack;
  bool positions = false;
};
inline Racer racer(const BlockKind& kind) {
  return {name_of(kind), {kind, kind}, std::holds_alternative<KindChoice>(kind)};
}

struct LmSizes {
  int64_t steps, windows, length, tests;  // windows of so many characters a step; windows of the held-out test
  int64_t dim = 64, heads = 4;
};

inline GPT language_model(const Racer& r, const LmSizes& z, int64_t vocabulary, int64_t context) {
  return GPT({.vocabulary = vocabulary,
              .context = context,
              .dim = z.dim,
              .heads = z.heads,
              .stack = r.stack,
              .positions = r.positions});
}
inline Tensor nats(const GPT& net, const Tensor& ids, int64_t windows, int64_t length, Generator& places) {
  auto [inputs, targets] = random_windows(ids, windows, length, places);
  return cross_entropy(net.forward(inputs).flatten(0, 1), targets.flatten());
}

struct Finish {
  double bits, parameters;  // per character of text that was not trained on
  Series loss;              // in bits
};
inline Finish race(Lesson& lesson, const Racer& r, const LmSizes& z, const Tensor& training, const Tensor& held,
                   int64_t vocabulary) {
  default_generator() = Generator(lesson.seed());
  GPT net = language_model(r, z, vocabulary, z.length);
  net.to(lesson.device());
  Generator places(lesson.seed() + 1), tests(lesson.seed() + 2);
  Finish f;
  f.loss = train(lesson, r.name, net, {.steps = z.steps, .rate = 4e-3},
                 [&] { return nats(net, training, z.windows, z.length, places); });
  for (double& y : f.loss.y) y /= std::log(2.);
  NoGrad guard;
  f.bits = nats(net, held, z.tests, z.length, tests).item() / std::log(2.);
  f.parameters = double(net.num_parameters());
  return f;
}

// What an untrained model of that kind costs: characters per second when a text of `n` is read at once, and when one
// more is written after it; the bytes that are kept.
struct Pace {
  double prefill, step, bytes;
};
inline Pace pace_at(const Racer& r, const LmSizes& z, int64_t n, int64_t vocabulary, Device device) {
  NoGrad guard;
  const int tries = 3, repeats = 8;  // of tries the fastest counts: others use the machine too
  const GPT net = [&] {
    GPT made = language_model(r, z, vocabulary, n + tries * repeats);
    made.to(device);
    return made;
  }();
  const Tensor ids = randint(0, vocabulary, {1, n}, {i64, device}), one = ids.narrow(1, 0, 1);
  const auto seconds = [](auto f) {
    const auto begin = std::chrono::steady_clock::now();
    f();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  std::vector<BlockState> states;
  double reading = INFINITY, writing = INFINITY;
  for (int i = 0; i < tries; ++i) {
    states.clear();
    reading = std::min(reading, seconds([&] { net.step(ids, states).flatten()[0].item(); }));
  }
  for (int i = 0; i < tries; ++i)
    writing = std::min(writing, seconds([&] {
                         for (int j = 0; j < repeats; ++j) net.step(one, states).flatten()[0].item();
                       }));
  Pace p{.prefill = double(n) / reading, .step = repeats / writing, .bytes = 0};
  for (const BlockState& s : states) p.bytes += double(s.bytes());
  return p;
}

inline void the_race(Lesson& lesson, const CharText& text, const std::vector<Racer>& racers, const LmSizes& z) {
  lesson.section("8. A race on characters", R"(\text{the same text, steps, windows and widths})",
                 "Su 2023, kexue.fm 9554");
  auto [training, held] = split_text(text.ids().to(lesson.device()), 0.9);
  std::vector<std::string> names;
  std::vector<Series> losses;
  Series bits;
  double worst = 0;
  for (const Racer& r : racers) {
    const Finish f = race(lesson, r, z, training, held, text.vocabulary());
    names.push_back(r.name), bits.y.push_back(f.bits), losses.push_back(f.loss);
    lesson.value(fmt::format("bits, {}", r.name), f.bits, "bits per character");
    lesson.value(fmt::format("parameters, {}", r.name), f.parameters);
    worst = std::max(worst, f.bits);
  }
  if (losses[0].y.size() > 2)
    lesson.plot("race", losses,
                {.x = "step", .y = "bits per character", .y_high = 4.6, .caption = "While training; one seed."});
  lesson.bars("bits", names, {bits},
              {.y = "bits per character", .y_low = 0, .caption = "Of text that was not trained on."});
  lesson.expect("the last of all: bits per character of held-out text", worst, Below{3.9}, Needs::training);
}

inline void what_they_cost(Lesson& lesson, const std::vector<Racer>& racers, const LmSizes& z, int64_t vocabulary,
                           int64_t longest) {
  lesson.section("9. What reading and writing cost", R"(\text{state: } O(1) \;\text{ against }\; O(n))");
  std::vector<Series> prefill, step, bytes;
  for (const Racer& r : racers) {
    for (auto* all : {&prefill, &step, &bytes}) all->push_back({.name = r.name});
    for (int64_t n = 64; n <= longest; n *= 2) {
      const Pace p = pace_at(r, z, n, vocabulary, lesson.device());
      for (auto [all, y] : {std::pair(&prefill, p.prefill), {&step, p.step}, {&bytes, p.bytes}})
        all->back().x.push_back(double(n)), all->back().y.push_back(y);
    }
    const Series& kept = bytes.back();
    const bool grows = r.positions;
    if (grows)
      lesson.expect(fmt::format("{}: bytes kept per character", r.name),
                    (kept.y.back() - kept.y[0]) / (kept.x.back() - kept.x[0]), Equals{double(2 * 2 * z.dim * 4)});
    else
      lesson.expect(fmt::format("{}: bytes more after {} characters than after 64", r.name, longest),
                    kept.y.back() - kept.y[0], Equals{0});
    lesson.value(fmt::format("state, {}", r.name), kept.y.back(), "bytes");
    lesson.measured(fmt::format("prefill, {}", r.name), prefill.back().y.back(), "characters/s");
    lesson.measured(fmt::format("step, {}", r.name), step.back().y.back(), "characters/s");
  }
  lesson.plot("prefill", prefill, {.x = "characters read at once", .y = "characters per second", .log = true});
  lesson.plot("step", step,
              {.x = "characters read before", .y = "characters per second, one by one", .log_x = true, .y_low = 0});
  lesson.plot("bytes", bytes,
              {.x = "characters read", .y = "bytes kept", .log = true, .caption = "Two layers of width 64."});
}

}  // namespace ink::lesson
