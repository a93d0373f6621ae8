// Of lesson 11, its sections on Reformer: hashing, and reversible layers.
#pragma once
#include "examples/11_efficient_attention/lesson.h"
#include "nn/layers/reversible.h"
#include "tensor/allocator.h"

namespace ink::lesson {

inline void hashing(Lesson& lesson, const Setup& setup) {
  lesson.section("5. Reformer: let a hash choose",
                 "h(x) = argmax [x R, -x R];   P(two meet in one of r rounds) = 1 - (1 - p)^r",
                 "Andoni et al. 2015; Kitaev et al. 2020");
  const std::vector<double> cosines{-1, -0.5, 0, 0.25, 0.5, 0.65, 0.8, 0.9, 0.95, 0.99};
  std::vector<Series> collision, recall;
  Generator g(lesson.seed() + 2);
  const int64_t hashes = lesson.mode() == Mode::tiny ? 8 : 64;
  double off_angle = 0, off_recall = 0;
  for (int64_t buckets : {2, 8, 16, 64}) {
    Series s{.name = fmt::format("{} buckets", buckets), .x = cosines};
    for (double c : cosines) s.y.push_back(meetings(pairs_at(c, setup.draws, 64, g), buckets, hashes, g).mean().item());
    collision.push_back(s);
  }
  for (size_t i = 0; i < cosines.size(); ++i)
    off_angle = std::max(off_angle, std::abs(collision[0].y[i] - (1 - std::acos(cosines[i]) / M_PI)));
  for (int64_t rounds : {1, 2, 4, 8}) {
    Series s{.name = fmt::format("{} round{}", rounds, rounds > 1 ? "s" : ""), .x = cosines};
    for (size_t i = 0; i < cosines.size(); ++i) {
      Tensor met = meetings(pairs_at(cosines[i], setup.draws, 64, g), 64, hashes, g);
      s.y.push_back(max(met.reshape({hashes / rounds, rounds, setup.draws}), {1}).mean().item());
      off_recall = std::max(off_recall, std::abs(s.y.back() - (1 - std::pow(1 - met.mean().item(), double(rounds)))));
    }
    recall.push_back(s);
  }
  PlotOptions axes{.x = "cosine of two vectors", .y = "probability to meet", .y_low = 0, .y_high = 1};
  axes.caption = "64 dims. More buckets are stricter.";
  lesson.plot("collision", collision, axes);
  axes.caption = "64 buckets. What one round misses another finds; strangers meet seldom.";
  lesson.plot("recall", recall, axes);
  lesson.expect("two buckets: largest distance from 1 - theta/pi", off_angle, Below{0.03}, Needs::training);
  lesson.expect("r rounds: largest distance from 1 - (1 - p)^r", off_recall, Below{0.03}, Needs::training);

  const int64_t n = 96;
  Tensor x = clusters(n, 16, 6, 0.25, g), full = shared_weights(x);
  LshOptions once{.bucket_size = 16, .rounds = 1, .buckets = 8, .seed = 5};
  Generator same(5);
  Tensor order = argsort(lsh_hash(x, 8, 1, &same)[0]), met = (lsh_weights(x, once) > 0).to(f64);
  auto sorted = [&](const Tensor& t) -> Tensor { return index_select(index_select(t, 0, order), 1, order); };
  auto grey = [&](const Tensor& t) -> Tensor { return (t / t.max()).to(f32); };
  lesson.images("lsh", stack({grey(full), grey(sorted(full)), grey(sorted(met)), grey(met)}),
                {.map = ColourMap::heat,
                 .per_row = 4,
                 .caption = "96 tokens of 6 kinds in random order. Sorted by bucket, what attends to each other stands "
                            "together; chunks of 16 see themselves and the chunk before."},
                {"softmax weights", "sorted by bucket", "chunks", "chunks, unsorted"});
  const int64_t many = lesson.mode() == Mode::tiny ? 64 : 1024;
  Tensor y = clusters(many, 64, many / 16, 0.1, g), weights = shared_weights(y);
  Series seen{.name = "of the softmax's weight"}, density{.name = "of all pairs"};
  std::vector<std::string> names;
  auto add = [&](const std::string& name, const Tensor& mask) {
    names.push_back(name), density.y.push_back(100 * mask.to(f64).mean().item());
    seen.y.push_back(100 * (weights * mask.to(f64)).sum().item() / double(many));
  };
  add("local 32", masks::local(32).dense(many, many));
  add("local 16 or atrous 16", (masks::local(16) | masks::atrous(16)).dense(many, many));
  for (int64_t rounds : {1, 2, 4, 8})
    add(fmt::format("hash, {} round{}", rounds, rounds > 1 ? "s" : ""),
        lsh_weights(y, {.bucket_size = 16, .rounds = rounds, .seed = 5}) > 0);
  lesson.bars("captured", names, {seen, density},
              {.y = "%",
               .caption = fmt::format("{} tokens of {} kinds. A pattern by hand sees its share of the weight; a hash "
                                      "sees what matters.",
                                      many, many / 16)});
  for (size_t i : {0, 2, 4, 5}) {
    lesson.value("weight seen: " + names[i], seen.y[i], "%");
    lesson.value("pairs seen: " + names[i], density.y[i], "%");
  }
  lesson.expect("four rounds see of the softmax's weight, in %", seen.y[4], Above{75}, Needs::training);
  lesson.expect("a window sees about its share of pairs: difference in %", std::abs(seen.y[0] - density.y[0]),
                Below{10});

  x = slice(x, 0, 0, 40);
  LshOptions causal{.bucket_size = 8, .rounds = 2, .causal = true, .seed = 3};
  auto of = [&](const Tensor& in) { return lsh_attention(in, x, causal); };
  lesson.expect("causal: the largest weight of a later token", largest(triu(lsh_weights(x, causal), 1)), Equals{0});
  lesson.expect("but the hashes of later tokens move the ends of the chunks: outputs do depend on them",
                !verify::causality(of, x, 0).ok);
  causal.strict = true;
  lesson.expect("strict: only the nearest of its own bucket, and nothing later matters",
                verify::causality(of, x, 0).ok);
}

// ---- reversible layers

struct Wide : ReversibleBlock {  // two layers of a net in a block: F and G
  LayerNorm norm_f, norm_g;
  Linear up_f, down_f, up_g, down_g;
  explicit Wide(int64_t dim)
      : norm_f(dim), norm_g(dim), up_f(dim, 2 * dim), down_f(2 * dim, dim), up_g(dim, 2 * dim), down_g(2 * dim, dim) {}
  Tensor f(const Tensor& x) const override { return down_f.forward(gelu(up_f.forward(norm_f.forward(x)))); }
  Tensor g(const Tensor& x) const override { return down_g.forward(gelu(up_g.forward(norm_g.forward(x)))); }
  void fields(Fields& f) override {
    f("norm_f", norm_f)("norm_g", norm_g)("up_f", up_f)("down_f", down_f)("up_g", up_g)("down_g", down_g);
  }
};
inline ReversibleSequence<Wide> stack_of(int64_t depth, int64_t dim) {
  std::vector<Wide> blocks;
  for (int64_t i = 0; i < depth; ++i) blocks.emplace_back(dim);
  return ReversibleSequence<Wide>(std::move(blocks));
}
enum class Keep { all, inputs, outputs };  // of every op; of each block (checkpoint); of the whole stack (reversible)
inline Tensor run_stack(ReversibleSequence<Wide>& stack, Keep keep, const Tensor& x) {
  Tensor x1 = x, x2 = x;
  stack.reconstruct = keep == Keep::outputs;
  if (keep != Keep::inputs) {
    std::tie(x1, x2) = stack.forward(x1, x2);
    return x1.sum() + square(x2).sum();
  }
  Tensor both = cat({x1, x2}, -1);
  for (const Wide& b : stack.blocks)
    both = checkpoint(
        [&b](const TensorList& in) {
          auto halves = chunk(in[0], 2, -1);
          auto [y1, y2] = b.forward(halves[0], halves[1]);
          return cat({y1, y2}, -1);
        },
        {both});
  auto halves = chunk(both, 2, -1);
  return halves[0].sum() + square(halves[1]).sum();
}

inline void reversing(Lesson& lesson) {
  lesson.section("7. Reversible layers", "y1 = x1 + F(x2),  y2 = x2 + G(y1);    x2 = y2 - G(y1),  x1 = y1 - F(x2)",
                 "Gomez et al. 2017, eq. 6-7; Kitaev et al. 2020, section 3");
  const int64_t dim = 32, rows = lesson.mode() == Mode::tiny ? 64 : 512;
  Series kept[3] = {{.name = "stored: all that rules need"},
                    {.name = "checkpointed: each block's inputs"},
                    {.name = "reversible: the last outputs"}},
         time = {.name = "reversible"};
  Series peak[3] = {kept[0], kept[1], kept[2]};
  std::vector<double> off;
  for (int64_t depth : {1, 2, 4, 8, 16}) {
    auto stack = stack_of(depth, dim);
    stack.to(lesson.device());
    Tensor x = randn({rows, dim}).requires_grad_(), stored;
    double stored_ms = 0;
    for (Keep keep : {Keep::all, Keep::inputs, Keep::outputs}) {
      const int64_t before = memory_stats(lesson.device()).live;
      Tensor loss = run_stack(stack, keep, x);
      const int64_t after = memory_stats(lesson.device()).live - before;
      allocator(lesson.device()).reset_peak();
      Tensor gradient = grad(loss, x);
      for (auto* s : {kept, peak}) s[int(keep)].x.push_back(double(depth));
      kept[int(keep)].y.push_back(double(after) / 1024);
      peak[int(keep)].y.push_back(double(memory_stats(lesson.device()).peak - before) / 1024);
      if (keep == Keep::all)
        stored = gradient;
      else
        off.push_back(relative(gradient, stored));
      loss = {};
      double ms = milliseconds([&] { return grad(run_stack(stack, keep, x), x); }, 3);
      if (keep == Keep::all) stored_ms = ms;
      if (keep == Keep::outputs) time.x.push_back(double(depth)), time.y.push_back(ms / stored_ms);
    }
  }
  lesson.plot("reversible", {kept[0], kept[1], kept[2]},
              {.x = "blocks",
               .y = "KiB kept for the backward pass",
               .log = true,
               .caption = "What a forward pass leaves behind. Only the reversible stack does not grow."});
  lesson.plot("reversible-peak", {peak[0], peak[1], peak[2]},
              {.x = "blocks",
               .y = "KiB at most during the backward pass",
               .log = true,
               .caption = "During the backward pass one block is stored at a time."});
  lesson.measured("stored, 16 blocks", kept[0].y[4], "KiB"),
      lesson.measured("reversible, 16 blocks", kept[2].y[4], "KiB");
  lesson.measured("time of 16 reversible blocks over stored ones", time.y[4]);
  lesson.expect("reversible: bytes kept by 16 blocks over those of one", kept[2].y[4] / kept[2].y[0], Equals{1});
  lesson.expect("stored: the same", kept[0].y[4] / kept[0].y[0], Above{10});
  lesson.expect("largest relative difference of the gradients", *std::max_element(off.begin(), off.end()), Below{1e-4});
  NoGrad guard;
  auto stack = stack_of(16, dim);
  stack.to(lesson.device());
  Tensor x1 = randn({rows, dim}), x2 = randn({rows, dim});
  auto [y1, y2] = stack.forward(x1, x2);
  for (size_t i = 16; i-- > 0;) std::tie(y1, y2) = stack.blocks[i].inverse(y1, y2);
  lesson.expect("16 blocks there and back, f32: largest error", std::max(largest(y1 - x1), largest(y2 - x2)),
                Below{1e-4});
}

}  // namespace ink::lesson
