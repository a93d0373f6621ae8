// Lesson 11: the copy task, a model for it, and what rounds of hashing do to its accuracy.
#pragma once
#include "examples/11_efficient_attention/lesson.h"

namespace ink::lesson {

// ---- the copy task: 0 w 0 w with w random symbols 1 .. symbols; the second w can be known from the first.

inline Tensor copy_batch(int64_t batch, int64_t length, int64_t symbols, Generator& g) {  // [batch, length]
  Tensor w = randint(1, symbols + 1, {batch, length / 2 - 1}, i64, &g), zero = zeros({batch, 1}, i64);
  return cat({zero, w, zero, w}, 1);
}

// One layer of shared-QK attention and one of feed-forward, over learned positions.
struct CopyModel : Module {
  int64_t heads;
  Embedding tokens, positions;
  LayerNorm norm1, norm2, norm3;
  Linear query_key, value, out, up, down, head;
  LshCore core;
  CopyModel(int64_t symbols, int64_t length, int64_t dim, int64_t heads)
      : heads(heads),
        tokens(symbols + 1, dim),
        positions(length, dim),
        norm1(dim),
        norm2(dim),
        norm3(dim),
        query_key(dim, dim, {.bias = false}),
        value(dim, dim),
        out(dim, dim),
        up(dim, 2 * dim),
        down(2 * dim, dim),
        head(dim, symbols + 1) {
    NoGrad guard;
    tokens.weight.mul_(0.5);  // where to look is a matter of positions
  }
  // One chunk of all tokens is full attention; otherwise chunks of 16 and so many rounds of hashing.
  void look(int64_t rounds) {
    core.options = {.bucket_size = rounds ? 16 : positions.weight.size(0), .rounds = std::max<int64_t>(rounds, 1)};
    core.options.causal = true;
  }
  Tensor forward(const Tensor& ids) const {  // [batch, time] -> [batch, time, symbols + 1]
    const int64_t batch = ids.size(0), time = ids.size(1), dim = norm1.weight.numel();
    auto split = [&](const Tensor& t) { return permute(reshape(t, {batch, time, heads, dim / heads}), {0, 2, 1, 3}); };
    Tensor x = tokens.forward(ids) + positions.forward(arange(0, time, 1, {i64, ids.device()}));
    Tensor y = norm1.forward(x), qk = split(query_key.forward(y));
    Tensor seen = core.attend(qk, qk, split(value.forward(y)), {});
    x = x + out.forward(reshape(permute(seen, {0, 2, 1, 3}), {batch, time, dim}));
    x = x + down.forward(gelu(up.forward(norm2.forward(x))));
    return head.forward(norm3.forward(x));
  }
  void fields(Fields& f) override {
    f("tokens", tokens)("positions", positions)("norm1", norm1)("norm2", norm2)("norm3", norm3);
    f("query_key", query_key)("value", value)("out", out)("up", up)("down", down)("head", head)("core", core);
  }
};
// Logits and targets of the second w: what follows the second 0 and every symbol after it but the last.
inline std::pair<Tensor, Tensor> copied(const CopyModel& model, const Tensor& ids) {
  const int64_t half = ids.size(1) / 2, last = ids.size(1) - 1;
  return {slice(model.forward(ids), 1, half, last), slice(ids, 1, half + 1, last + 1)};
}
inline double copy_accuracy(CopyModel& model, int64_t rounds, int64_t batch, int64_t symbols, uint64_t seed) {
  NoGrad guard;
  Generator g(seed);
  model.look(rounds);
  auto [logits, targets] = copied(model, copy_batch(batch, model.positions.weight.size(0), symbols, g));
  return (argmax(logits, -1) == targets).to(f64).mean().item();
}

inline void copying(Lesson& lesson, const Setup& setup) {
  lesson.section("6. The copy task", R"(0\; w\; 0\; w)", "Kitaev et al. 2020, section 5");
  const bool tiny = lesson.mode() == Mode::tiny;
  const int64_t length = tiny ? 32 : 96, batch = tiny ? 2 : 12, symbols = 31;
  manual_seed(lesson.seed() + 2);  // whatever the sections before have drawn
  CopyModel model(symbols, length, 64, 2);
  AdamW optimizer(model.parameters(), {.lr = 1e-2, .beta2 = 0.99});
  Scheduler schedule(optimizer,
                     Cosine{.steps = setup.steps, .warmup = std::min<int64_t>(50, setup.steps / 4), .floor = 0.1});
  Generator g(lesson.seed() + 3);
  Series loss{.name = "loss of the second w"};
  Progress progress = lesson.progress("copying", setup.steps);
  for (int64_t step = 0; step < setup.steps; ++step) {
    model.look(0);
    auto [logits, targets] = copied(model, copy_batch(batch, length, symbols, g));
    Tensor l = cross_entropy(logits.flatten(0, 1), targets.flatten());
    l.backward();
    clip_grad_norm_(model.parameters(), 1);
    optimizer.step(), optimizer.zero_grad(), schedule.step();
    if (step % 10 == 0) loss.x.push_back(double(step)), loss.y.push_back(l.item());
    progress.step();
  }
  lesson.plot("copy-loss", {loss},
              {.x = "step",
               .y = "nats per symbol",
               .y_low = 0,
               .references = {{std::log(double(symbols)), "guessing"}},
               .caption = "A long plateau until the layer has found where to look, then a fall."});
  std::vector<std::string> names;
  Series accuracy{.name = "accuracy"};
  for (int64_t rounds : {1, 2, 4, 8, 0}) {
    names.push_back(rounds ? fmt::format("{} round{}", rounds, rounds > 1 ? "s" : "") : "full");
    accuracy.y.push_back(100 * copy_accuracy(model, rounds, 3 * batch, symbols, lesson.seed() + 4));
    lesson.value("accuracy, " + names.back(), accuracy.y.back(), "%");
  }
  lesson.bars("copy-rounds", names, {accuracy},
              {.y = "% of the second w",
               .caption = "Chunks of 16 of 96 tokens. Trained without hashing, read with it: each round mends "
                          "what the others missed."});
  lesson.expect("full attention copies, % right", accuracy.y[4], Above{98}, Needs::training);
  lesson.expect("one round misses some: % less than eight", accuracy.y[3] - accuracy.y[0], Above{2}, Needs::training);
  lesson.expect("eight rounds copy, % right", accuracy.y[3], Above{97}, Needs::training);
}

}  // namespace ink::lesson
