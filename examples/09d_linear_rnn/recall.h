// Recall of keys that were written again, trained: one block, in which the rule of writing is all that changes.
#pragma once
#include <string>
#include <vector>

#include "examples/09d_linear_rnn/train.h"
#include "nn/models/transformer.h"
#include "nn/ssm/linear/delta_net.h"

namespace ink::lesson {

// Tokens that write a value under a key, `writes` of them over `keys` keys, each written once at least; then every key
// once, with the question for its last value. A kind of multi-query associative recall (Arora et al. 2024).
struct Rewrites {
  static constexpr int64_t kSymbols = 32, kValues = 32;
  Tensor keys, values;  // i64 [batch, writes + keys]; the value kValues asks
  Tensor targets;       // i64 [batch, keys]
  Rewrites(int64_t batch, int64_t count, int64_t writes, Generator& g, const Options& numbers) {
    const Options whole{i64, numbers.device};
    const Tensor symbol = argsort(rand({batch, kSymbols}, numbers, &g), -1).narrow(1, 0, count);  // different ones
    // which key a token writes: each once, the others at random, in a random order
    Tensor which = cat({arange(0, count, 1, whole).unsqueeze(0).expand({batch, count}),
                        randint(0, count, {batch, writes - count}, whole, &g)},
                       1);
    which = gather(which, 1, argsort(rand({batch, writes}, numbers, &g), -1));
    const Tensor value = randint(0, kValues, {batch, writes}, whole, &g);
    // the last place of each key: the largest place among its own
    const Tensor own = which.unsqueeze(1) == arange(0, count, 1, whole).reshape({1, count, 1});
    const Tensor last = argmax(own.to(i64) * arange(1, writes + 1, 1, whole), -1);
    keys = cat({gather(symbol, 1, which), symbol}, 1);
    values = cat({value, full({batch, count}, kValues, whole)}, 1);
    targets = gather(value, 1, last);
  }
};

struct Writer {
  std::string name;
  WriteRule rule;
  DeltaDecay decay;
};

// Two blocks of the same layer: projections, convolution, unit keys and queries, a matrix of one head, a norm.
struct RecallNet : Module {
  static constexpr int64_t kDim = 32;
  Embedding keys, values;
  std::vector<TransformerBlock> blocks;
  LayerNorm norm;
  Linear head;
  explicit RecallNet(const Writer& w)
      : keys(Rewrites::kSymbols, kDim), values(Rewrites::kValues + 1, kDim), norm(kDim), head(kDim, Rewrites::kValues) {
    for (int i = 0; i < 2; ++i) {
      std::vector<AnyMixer> mixers{
          mixer("memory", DeltaNet({.dim = kDim, .heads = 1, .decay = w.decay, .rule = w.rule, .conv = 2}))};
      mixers.push_back(mixer("", FeedForward(kDim, 2 * kDim)));
      blocks.emplace_back(kDim, mixers);
    }
  }
  Tensor forward(const Rewrites& task) const {  // logits at the questions, [batch, keys, values]
    Tensor x = keys.forward(task.keys) + values.forward(task.values);
    for (const TransformerBlock& b : blocks) x = b.forward(x);
    const int64_t asked = task.targets.size(1);
    return head.forward(norm.forward(x.narrow(1, x.size(1) - asked, asked)));
  }
  void fields(Fields& f) override { f("keys", keys)("values", values)("blocks", blocks)("norm", norm)("head", head); }
};

struct RecallSizes {
  int64_t steps, batch, keys, writes, tests;
  double rate;
};
// The share of last values that a net trained from this seed gives, and its loss on the way.
struct Recalled {
  double share;
  Series loss;
};
inline Recalled trained_recall(Lesson& lesson, const Writer& w, const RecallSizes& z, uint64_t seed,
                               const Options& numbers) {
  default_generator() = Generator(seed);
  RecallNet net(w);
  net.to(numbers.device);
  Generator tasks(seed + 100), tests(seed + 200);
  Recalled r;
  r.loss = train(lesson, w.name, net, {.steps = z.steps, .rate = z.rate}, [&] {
    const Rewrites task(z.batch, z.keys, z.writes, tasks, numbers);
    return cross_entropy(net.forward(task).flatten(0, 1), task.targets.flatten());
  });
  NoGrad guard;
  const Rewrites task(z.tests, z.keys, z.writes, tests, numbers);
  r.share = (argmax(net.forward(task), -1) == task.targets).to(f32).mean().item();
  return r;
}

inline void trained_to_recall(Lesson& lesson, const RecallSizes& z, int64_t seeds, const Options& numbers) {
  lesson.section("7. Recall, trained: the same block for every rule",
                 R"(\text{projections, convolution, } \lvert k \rvert = 1 \text{: only the rule of writing changes})",
                 "Arora et al. 2024");
  std::vector<Writer> writers{{"add", WriteRule::add, DeltaDecay::none}, {"delta", WriteRule::delta, DeltaDecay::none}};
  if (lesson.mode() == ink::lesson::Mode::full)
    writers.insert(writers.end(), {{"add, gated", WriteRule::add, DeltaDecay::per_head},
                                   {"delta, gated", WriteRule::delta, DeltaDecay::per_head}});
  std::vector<std::string> names;
  std::vector<Series> by_seed(static_cast<size_t>(seeds)), losses;
  double least = 1, least_delta = 1;
  for (const Writer& w : writers) {
    names.push_back(w.name);
    for (int64_t s = 0; s < seeds; ++s) {
      const Recalled r = trained_recall(lesson, w, z, lesson.seed() + uint64_t(s), numbers);
      by_seed[size_t(s)].name = fmt::format("seed {}", s);
      by_seed[size_t(s)].y.push_back(100 * r.share);
      lesson.value(fmt::format("trained, {}, seed {}", w.name, s), 100 * r.share, "%");
      least = std::min(least, r.share);
      if (w.rule == WriteRule::delta) least_delta = std::min(least_delta, r.share);
      if (s == 0) losses.push_back(r.loss);
    }
  }
  if (lesson.mode() == ink::lesson::Mode::full) {  // the control: the same nets on keys that are written once
    RecallSizes once = z;
    once.writes = once.keys;
    for (const Writer& w : {writers[0], writers[1]})
      for (int64_t s = 0; s < seeds; ++s)
        lesson.value(fmt::format("written once, {}, seed {}", w.name, s),
                     100 * trained_recall(lesson, w, once, lesson.seed() + uint64_t(s), numbers).share, "%");
  }
  lesson.bars("trained", names, by_seed,
              {.y = "% of last values",
               .y_low = 0,
               .references = {{100. / Rewrites::kValues, "guessing"}},
               .caption = "Keys written again and again, then each is asked for its last value. A bar a seed."});
  if (losses[0].y.size() > 2)
    lesson.plot("trained-loss", losses, {.x = "step", .y = "nats per answer", .y_low = 0, .caption = "Seed 0."});
  lesson.expect("every rule, every seed: times better than guessing, the least", least * Rewrites::kValues, Above{2},
                Needs::training);
  lesson.expect("rules that erase, every seed: the least share of last values", least_delta, Above{0.8},
                Needs::training);
}

}  // namespace ink::lesson
