// Lesson 12, section 2: how heads begin, and how they learn.
#pragma once
#include <string>
#include <vector>

#include "examples/12_medusa/setup.h"

namespace ink::lesson {

inline double largest(const Tensor& t) { return t.abs().max().to(f64).item(); }

// The mean of the heads' losses on some windows.
inline double loss_of_heads(const MedusaHeads& heads, const Tensor& ids) {
  NoGrad guard;
  double sum = 0;
  for (const Tensor& loss : medusa_head_losses(heads, ids)) sum += loss.item() / double(heads.count());
  return sum;
}

inline void the_heads_start_as_the_model(Lesson& lesson, const Setup& s) {
  MedusaHeads heads(s.models.model, {.heads = 4});
  const Tensor ids = s.held.narrow(0, 0, s.z.context).unsqueeze(0);
  NoGrad guard;
  const Tensor h = s.models.model.features(ids), own = s.models.model.logits(h);
  lesson.expect("before training every head says what the model's own head says: largest difference of the logits",
                largest(heads.all(h) - own), Equals{0});
  const double zero = loss_of_heads(heads, ids);
  Generator g(lesson.seed());
  const double bound = 1 / std::sqrt(double(s.z.dim));  // what a linear layer draws
  for (MedusaHead& head : heads.heads) head.blocks[0].bias.copy_((rand({s.z.dim}, s.numbers, &g) * 2 - 1) * bound);
  lesson.value("loss of untrained heads", zero, "nats");
  lesson.value("loss of untrained heads whose biases were drawn", loss_of_heads(heads, ids), "nats");
}

// Texts that the model writes after prompts, the prompts before them: some at a time.
inline Tensor own_texts(const Setup& s, const Tensor& text, int64_t count, double temperature, uint64_t seed) {
  const Tensor prompts = side_by_side(prompts_of(text, count, s.prompt_length()), text.device());
  Generator g(seed);
  std::vector<Tensor> parts;
  for (const Tensor& part : prompts.split(128, 0))
    parts.push_back(
        self_written(s.models.model, part, {.tokens = s.tokens, .temperature = temperature, .generator = &g}));
  return cat(parts);
}

// What heads may learn from; each draws batches of windows.
struct Lessons {
  Tensor book, drawn, greedy;
};
enum class LearnFrom { book, drawn, greedy };
const char* const kLearnFrom[] = {"the book", "texts drawn at T = 0.7", "greedy texts"};

inline Tensor batch_of(const Setup& s, const Lessons& lessons, LearnFrom from, Generator& g) {
  if (from == LearnFrom::book) return random_windows(lessons.book, s.z.batch, s.z.context, g).first;
  return some_rows(from == LearnFrom::drawn ? lessons.drawn : lessons.greedy, s.z.batch, g);
}

// The share of first guesses that are right, the mean over the heads.
inline double mean_top1(const MedusaHeads& heads, const Tensor& texts, int64_t first) {
  double sum = 0;
  for (const auto& head : rank_accuracy(head_hits(heads, texts, {.ranks = 1, .first = first}), 1))
    sum += head[0] / double(heads.count());
  return sum;
}

struct Learnt {
  std::vector<Series> curves;  // of the losses; one run's have names
  double least_fall = INFINITY;
  std::vector<double> on_greedy, on_book;  // top-1 after each seed's run
};
inline Learnt learn(Lesson& lesson, Setup& s, const Lessons& lessons, LearnFrom from, int64_t seeds) {
  Learnt all;
  const Tensor pages = side_by_side(prompts_of(s.held, s.tiny ? 1 : 64, s.z.context), s.held.device());
  for (int64_t seed = 0; seed < seeds; ++seed) {
    Generator g(lesson.seed() + 100 + uint64_t(seed));
    MedusaHeads heads(s.models.model, {.heads = 4});
    const Curves curves = train_heads(lesson, fmt::format("heads {}, {}", seed + 1, kLearnFrom[int(from)]), heads,
                                      s.z.head_steps, s.head_rate, [&] { return batch_of(s, lessons, from, g); });
    for (Series c : curves.series) {
      all.least_fall = std::min(all.least_fall, c.y.front() - c.y.back());
      if (seed) c.name = "";
      all.curves.push_back(c);
    }
    all.on_greedy.push_back(mean_top1(heads, s.others, s.prompt_length() - 1));
    all.on_book.push_back(mean_top1(heads, pages, 0));
    if (from == LearnFrom::drawn && seed == 0 && s.trained_here) s.models.heads.load_state_dict(heads.state_dict());
  }
  return all;
}

inline void train_all_heads(Lesson& lesson, Setup& s) {
  std::vector<Tensor> before;
  for (const Tensor& p : s.models.model.parameters()) before.push_back(p.detach().clone());
  const bool full = lesson.mode() == Mode::full;
  s.others = own_texts(s, s.held.narrow(0, 80, s.held.numel() - 80), s.tiny ? 1 : 96, 0, 0);
  const Lessons lessons{s.train, own_texts(s, s.train, s.z.written, 0.7, lesson.seed()),
                        full ? own_texts(s, s.train, s.z.written, 0, 0) : Tensor()};
  const Learnt drawn = learn(lesson, s, lessons, LearnFrom::drawn, s.z.seeds);
  if (drawn.curves[0].y.size() > 2)
    lesson.plot(
        "heads", drawn.curves,
        {.x = "step", .y = "nats per character", .caption = "On the model's own text; three seeds in a full run."});
  lesson.expect("every head learns: least fall of its loss", drawn.least_fall, Above{0}, Needs::training);
  if (full) {
    const Learnt book = learn(lesson, s, lessons, LearnFrom::book, s.z.seeds),
                 greedy = learn(lesson, s, lessons, LearnFrom::greedy, s.z.seeds);
    double gain = INFINITY, loss = INFINITY;
    for (size_t i = 0; i < drawn.on_greedy.size(); ++i) {
      gain = std::min(gain, drawn.on_greedy[i] - book.on_greedy[i]);
      loss = std::min(loss, book.on_book[i] - greedy.on_book[i]);
    }
    for (const auto& [name, learnt] : {std::pair{"the book", &book}, {"drawn", &drawn}, {"greedy", &greedy}}) {
      lesson.value(fmt::format("top-1 on greedy text, learnt from {}", name), learnt->on_greedy[0]);
      lesson.value(fmt::format("top-1 on the book, learnt from {}", name), learnt->on_book[0]);
    }
    lesson.expect("heads that learn from drawn texts against the book's, on greedy text: least gain over seeds", gain,
                  Above{0}, Needs::full_run);
    lesson.expect("heads that learn from greedy texts, on the book: least loss over seeds", loss, Above{0},
                  Needs::full_run);
  }
  if (full) {
    Generator g(lesson.seed() + 100);
    s.hydra.emplace(s.models.model);
    train_heads(lesson, "Hydra's heads", *s.hydra, s.z.head_steps, s.head_rate,
                [&] { return batch_of(s, lessons, LearnFrom::drawn, g); });
    s.hydra->to(lesson.dtype());
  }
  double moved = 0;
  const std::vector<Tensor> after = s.models.model.parameters();
  for (size_t i = 0; i < after.size(); ++i) moved = std::max(moved, largest(after[i].detach() - before[i]));
  lesson.expect("Medusa-1 leaves the model as it is: largest change of a weight", moved, Equals{0});
  s.models.to({lesson.dtype(), lesson.device()});
  s.hits = head_hits(s.models.heads, s.others, {.ranks = s.ranks, .first = s.prompt_length() - 1});
  const Tensor pages = side_by_side(prompts_of(s.held, s.tiny ? 1 : 64, s.z.context), s.held.device());
  s.book_hits = head_hits(s.models.heads, pages, {.ranks = s.ranks});
}

}  // namespace ink::lesson
