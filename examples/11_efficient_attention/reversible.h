// Lesson 11: reversible layers, what they keep and what they cost; and their way forth and back step by step.
#pragma once
#include "examples/11_efficient_attention/lesson.h"
#include "nn/layers/reversible.h"
#include "tensor/allocator.h"

namespace ink::lesson {

struct Wide : ReversibleBlock {  // two layers of a net in a block: f and g
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
// of every op; of each block (checkpoint); of the whole stack (reversible)
enum class Keep { all, inputs, outputs };
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

// Two streams of two numbers through three blocks, and back: a column for each place between blocks, empty where
// nothing is held.
inline void forth_and_back(Lesson& lesson) {
  struct Toy : ReversibleBlock {
    Tensor w;
    explicit Toy(Tensor w) : w(std::move(w)) {}
    Tensor f(const Tensor& x) const override { return tanh(matmul(w, x)); }
    Tensor g(const Tensor& x) const override { return tanh(matmul(transpose(w, 0, 1), x)); }
    void fields(Fields&) override {}
  };
  lesson.player("three blocks, forth and back");
  NoGrad guard;
  Generator random(7);
  const int64_t depth = 3, d = 2;
  const Options numbers{f64, lesson.device()};
  std::vector<Toy> blocks;
  for (int64_t t = 0; t < depth; ++t) blocks.emplace_back(randn({d, d}, numbers, &random));
  Tensor x1 = randn({d}, numbers, &random), x2 = randn({d}, numbers, &random),
         held = full({2 * d, depth + 1}, NAN, numbers);
  auto put = [&](int stream, int64_t place, const Tensor& value) {
    slice(select(held, 1, place), 0, stream * d, (stream + 1) * d).copy_(value);
  };
  auto drop = [&](int64_t place) { select(held, 1, place).copy_(full({2 * d}, NAN, numbers)); };
  const Tensor first1 = x1, first2 = x2;
  put(0, 0, x1), put(1, 0, x2);
  lesson.frame("the inputs", {{"held: two streams, before each block", held}},
               "Rows 0, 1 are the first stream, 2, 3 the second. A column is a place between blocks.");
  for (int64_t t = 0; t < depth; ++t) {
    x1 = x1 + blocks[size_t(t)].f(x2);
    put(0, t + 1, x1);
    lesson.frame(fmt::format("block {}: $y_1 = x_1 + f(x_2)$", t + 1), {{"held: two streams, before each block", held}},
                 "$x_2$ is what $f$ reads, and it stays as it is.");
    x2 = x2 + blocks[size_t(t)].g(x1);
    put(1, t + 1, x2), drop(t);
    lesson.frame(fmt::format("block {}: $y_2 = x_2 + g(y_1)$", t + 1), {{"held: two streams, before each block", held}},
                 "Both outputs are there: the inputs are forgotten.");
  }
  for (int64_t t = depth; t-- > 0;) {
    x2 = x2 - blocks[size_t(t)].g(x1);
    put(1, t, x2);
    lesson.frame(fmt::format("back, block {}: $x_2 = y_2 - g(y_1)$", t + 1),
                 {{"held: two streams, before each block", held}},
                 "$y_1$ is at hand, so $g(y_1)$ can be had again, and taken off.");
    x1 = x1 - blocks[size_t(t)].f(x2);
    put(0, t, x1), drop(t + 1);
    lesson.frame(
        fmt::format("back, block {}: $x_1 = y_1 - f(x_2)$", t + 1), {{"held: two streams, before each block", held}},
        "The block's inputs are known: it is run once more, now with its gradient, and the place above is free.");
  }
  lesson.expect("step by step, three blocks there and back in f64: largest error",
                std::max(largest(x1 - first1), largest(x2 - first2)), Below{1e-12});
}

inline void reversing(Lesson& lesson) {
  lesson.section("7. Reversible layers",
                 R"(y_1 = x_1 + f(x_2), \quad y_2 = x_2 + g(y_1); \qquad x_2 = y_2 - g(y_1), \quad x_1 = y_1 - f(x_2))",
                 "Gomez et al. 2017, eq. 6-7; Kitaev et al. 2020, section 3");
  forth_and_back(lesson);
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
