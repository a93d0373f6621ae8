// The second half of lesson 04, about the attention of the library: masks by tiles, memory and time, and a small
// language model that is trained with and without it.
#pragma once
#include <fmt/format.h>

#include <chrono>

#include "examples/04_flash_attention/softmax.h"
#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"
#include "nn/attention/mask.h"
#include "nn/data/text.h"
#include "tensor/allocator.h"

namespace ink::lesson {

// Attention of one head over n tokens, forward and backward.
struct BothPasses {
  int64_t n, d;
  AttentionAlgorithm algorithm;
  Options options;

  void run(Tensor& q, Tensor& k, Tensor& v, const Tensor& g) const {
    scaled_dot_product_attention(q, k, v, {.causal = Causal::top_left, .algorithm = algorithm}).backward(g);
    q.grad().select(0, 0).select(0, 0).item();  // waits for a device that runs behind
  }
  std::vector<Tensor> inputs() const {
    std::vector<Tensor> x;
    for (int i = 0; i < 4; ++i) x.push_back(randn({n, d}, options));
    for (int i = 0; i < 3; ++i) x[size_t(i)].requires_grad_();
    return x;
  }
  // The most that is live beyond the inputs at any time.
  int64_t peak_bytes() const {
    std::vector<Tensor> x = inputs();
    allocator(options.device).reset_peak();
    const int64_t before = memory_stats(options.device).live;
    run(x[0], x[1], x[2], x[3]);
    return memory_stats(options.device).peak - before;
  }
  double seconds() const {  // the better of two
    double best = INFINITY;
    for (int i = 0; i < 2; ++i) {
      std::vector<Tensor> x = inputs();
      const auto start = std::chrono::steady_clock::now();
      run(x[0], x[1], x[2], x[3]);
      best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
  }
};

// 0 skipped, 1 whole, 2 by its bits: [rows of tiles, columns of tiles].
inline Tensor kinds_of_tiles(const BlockMask& blocks) { return clamp(blocks.tiles.to(i64), 0, 2); }

// The tiles of three documents in 512 tokens, as blocks of queries come to them.
inline void tiles_by_queries(Lesson& lesson) {
  if (!lesson.wants_frames()) return;
  lesson.player("which tiles a block of queries looks at");
  std::vector<int64_t> documents;
  for (int64_t i = 0; i < 512; ++i) documents.push_back(i < 100 ? 0 : i < 320 ? 1 : 2);
  const Tensor kinds =
      kinds_of_tiles((masks::causal() & masks::document(documents)).blocks(512, 512)).to(f32).to(Device::cpu());
  Tensor seen = full({8, 8}, NAN, {f32, Device::cpu()});
  for (int64_t i = 0; i < 8; ++i) {
    Tensor row = select(kinds, 0, i);
    select(seen, 0, i).copy_(row);
    int64_t count[3] = {};
    for (float kind : row.to_vector<float>()) ++count[size_t(kind)];
    lesson.frame(
        fmt::format("queries {} to {}", i * 64 + 1, i * 64 + 64),
        {{"kind of tile", seen, {{i}}}, {"0", "skipped"}, {"1", "whole"}, {"2", "pair by pair"}},
        fmt::format("{} of 8 tiles are computed without a mask, {} pair by pair; the keys and values of the other "
                    "{} are not read.",
                    count[1], count[2], count[0]));
  }
}

// Trains a copy of the model with one of the algorithms; the loss of every step.
inline Series train(Lesson& lesson, GPT& start, AttentionAlgorithm algorithm, const Tensor& text, int64_t steps,
                    int64_t batch) {
  GPTOptions options = start.options;
  options.kind = kinds::Softmax{.algorithm = algorithm};
  GPT model(options);
  model.to(lesson.device());
  model.load_state_dict(start.state_dict());
  Series losses{.name = algorithm == AttentionAlgorithm::flash ? "flash" : "naive",
                .mark = algorithm == AttentionAlgorithm::flash ? Mark::dashed : Mark::line};
  AdamW optimizer(model.parameters(), {.lr = 3e-3, .beta2 = 0.99});
  Generator windows(lesson.seed());
  Progress progress = lesson.progress(losses.name, steps);
  for (int64_t step = 0; step < steps; ++step) {
    auto [inputs, targets] = random_windows(text, batch, model.options.context, windows);  // both [batch, time]
    Tensor loss = cross_entropy(model.forward(inputs).flatten(0, 1), targets.flatten());
    loss.backward();
    clip_grad_norm_(model.parameters(), 1);
    optimizer.step();
    optimizer.zero_grad();
    losses.x.push_back(double(step)), losses.y.push_back(loss.item());
    progress.update(step + 1);
  }
  return losses;
}

inline void the_masks(Lesson& lesson, int64_t n) {
  lesson.section("7. Masks by tiles", R"(\text{a tile that nobody sees is skipped, one that all see needs no mask})");
  std::vector<int64_t> documents;
  for (int64_t i = 0; i < n; ++i) documents.push_back(i < n / 5 ? 0 : i < n * 3 / 5 ? 1 : 2);
  const AttentionMask causal = masks::causal();
  const std::pair<const char*, AttentionMask> all[] = {{"causal", causal},
                                                       {"documents", causal & masks::document(documents)},
                                                       {"near or far",
                                                        causal & (masks::local(n / 16) | masks::atrous(n / 8))},
                                                       {"prompt", causal | masks::prefix(n / 3)}};
  Tensor q = randn({1, 2, n, 16}, lesson.options()), k = randn_like(q), v = randn_like(q);
  std::vector<Tensor> pictures;
  std::vector<std::string> names;
  double worst = 0;
  std::string table = fmt::format("{:<12} {:>8} {:>9} {:>7} {:>8}\n", "mask", "density", "skipped", "whole", "partly");
  for (const auto& [name, mask] : all) {
    const BlockMask blocks = mask.blocks(n, n);
    const TileCount count = count_tiles(blocks);
    table += fmt::format("{:<12} {:>8.3f} {:>9.3f} {:>7.3f} {:>8.3f}\n", name, mask.density(n, n), count.empty,
                         count.full, count.partial);
    const Tensor kinds = kinds_of_tiles(blocks);  // black 0, grey 1/2, white 1
    pictures.push_back((kinds == 0).to(f32) + (kinds == 2).to(f32) * .6), names.push_back(name);
    worst =
        worse(worst, (scaled_dot_product_attention(q, k, v, {.blocks = blocks}) -
                      scaled_dot_product_attention(q, k, v,
                                                   {.mask = mask.dense(n, n), .algorithm = AttentionAlgorithm::naive}))
                         .abs()
                         .max()
                         .item());
  }
  lesson.listing(table);
  lesson.images("tiles", stack(pictures),
                {.low = 0,
                 .high = 1,
                 .per_row = 4,
                 .caption =
                     "Tiles of 64 x 64, rows are queries: black ones are seen whole, grey ones in part, white ones "
                     "are skipped. Causal alone; within one document; near keys and every n/8-th; a prompt that "
                     "all see."},
                names);
  tiles_by_queries(lesson);
  lesson.expect("flash by tiles equals the formula with the whole mask: largest difference", worst,
                Below{is_half(lesson.dtype()) ? .02 : 1e-5});
  if (n > 64)
    lesson.expect("causal: the share of tiles that are skipped is (1 - 1/T) / 2 for T tiles a side",
                  count_tiles(causal.blocks(n, n)).empty - (1 - 64. / double(n)) / 2, Within{-1e-9, 1e-9});
}

inline void memory_and_time(Lesson& lesson, int64_t tokens) {
  lesson.section("8. Memory and time",
                 R"(\text{naive } O(N^2) \text{ bytes, flash } O(N); \quad \text{time } O(N^2 d) \text{ both})");
  Series bytes[] = {{.name = "naive"}, {.name = "flash"}}, time[] = {{.name = "naive"}, {.name = "flash"}};
  double naive_grows = 8, flash_grows = 0;
  for (int64_t n = std::max(tokens / 32, std::min<int64_t>(512, tokens / 8)); n <= tokens; n *= 2)
    for (int a : {0, 1}) {
      if (a == 0 && n > tokens / 2) continue;  // twice the length, four times the memory
      const BothPasses step{n, 64, a == 0 ? AttentionAlgorithm::naive : AttentionAlgorithm::flash, lesson.options()};
      bytes[a].x.push_back(double(n)), bytes[a].y.push_back(double(step.peak_bytes()));
      time[a].x.push_back(double(n)), time[a].y.push_back(step.seconds());
      const std::vector<double>& y = bytes[a].y;
      if (y.size() < 2) continue;
      const double grows = y.back() / y[y.size() - 2];
      if (a == 0)
        naive_grows = std::min(naive_grows, grows);
      else
        flash_grows = std::max(flash_grows, grows);
    }
  const double last = double(tokens / 2);
  lesson.plot("memory", {bytes[0], bytes[1]},
              {.x = "tokens",
               .y = "bytes beyond the inputs",
               .log = true,
               .caption = "The most that is in use during forward and backward, one causal head of width 64."});
  lesson.plot("time", {time[0], time[1]},
              {.x = "tokens", .y = "seconds", .log = true, .caption = "Forward and backward."});
  lesson.expect("naive: twice the tokens, four times the memory: least growth", naive_grows, Within{3.6, 4.1},
                Needs::training);
  lesson.expect("flash: twice the tokens, twice the memory: largest growth", flash_grows, AtMost{2.2}, Needs::training);
  lesson.value("tokens of the longest naive run", last);
  lesson.measured("naive memory there", bytes[0].y.back() / (1 << 20), "MiB");
  lesson.measured("flash memory there", bytes[1].y[bytes[1].y.size() - 2] / (1 << 20), "MiB");
  lesson.measured("naive over flash in time there", time[0].y.back() / time[1].y[time[1].y.size() - 2], "times");
}

inline void the_training(Lesson& lesson, const CharText& text, int64_t steps, int64_t context) {
  lesson.section("9. The same model, trained both ways", R"(\text{exact attention: the loss curves must coincide})");
  GPT model({.vocabulary = text.vocabulary(), .context = context, .dim = 64, .heads = 4, .layers = 2});
  model.to(lesson.device());
  const Tensor ids = text.ids().to(lesson.device());
  const Series naive = train(lesson, model, AttentionAlgorithm::naive, ids, steps, 4),
               flash = train(lesson, model, AttentionAlgorithm::flash, ids, steps, 4);
  Series apart{.mark = Mark::points};
  double worst = 0;
  for (size_t t = 0; t < naive.y.size(); ++t) {
    const double difference = std::abs(naive.y[t] - flash.y[t]);
    worst = worse(worst, difference);
    apart.x.push_back(double(t)), apart.y.push_back(std::max(difference, 1e-8));
  }
  lesson.plot("training", {naive, flash},
              {.x = "step",
               .y = "loss, nats per character",
               .caption = "One seed, one model, one order of text: two curves, one of them hidden behind the other."});
  lesson.plot("apart", {apart},
              {.x = "step",
               .y = "difference of the losses, nats",
               .log_y = true,
               .caption =
                   "What hides in one line: the last digits of f32, which every step passes on to the next. 1e-8 "
                   "stands for losses of the same bits."});
  lesson.value("context in training", double(context));
  lesson.value("tiles of keys a row, in training", double((context + 63) / 64));
  lesson.value("loss at the end", flash.y.back(), "nats per character");
  lesson.expect("largest difference between the two curves", worst, Below{lesson.mode() == Mode::full ? 1e-3 : 1e-4});
  lesson.expect("and both have learnt: loss at the end", flash.y.back(), Below{2.9}, Needs::training);
}

}  // namespace ink::lesson
