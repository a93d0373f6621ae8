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

// Texts that the model writes, greedily, after prompts: some at a time.
inline Tensor own_texts(const Setup& s, const Tensor& text, int64_t count) {
  const Tensor prompts = side_by_side(prompts_of(text, count, s.prompt_length()), text.device());
  std::vector<Tensor> parts;
  for (const Tensor& part : prompts.split(128, 0))
    parts.push_back(self_written(s.models.model, part, {.tokens = s.tokens}));
  return cat(parts);
}
inline double mean_top1(const Setup& s, const MedusaHeads& heads, const Tensor& texts) {
  double sum = 0;
  for (const auto& head : rank_accuracy(head_hits(heads, texts, {.ranks = 1, .first = s.prompt_length() - 1}), 1))
    sum += head[0] / double(heads.count());
  return sum;
}

struct HeadsTrained {
  std::vector<double> gains;  // of each seed: what its own text gains over the book's
};
inline HeadsTrained train_all_heads(Lesson& lesson, Setup& s) {
  const std::vector<Tensor> before = [&] {
    std::vector<Tensor> copies;
    for (const Tensor& p : s.models.model.parameters()) copies.push_back(p.detach().clone());
    return copies;
  }();
  s.written = own_texts(s, s.train, s.z.written);
  const Tensor test = own_texts(s, s.held.narrow(0, 40, s.held.numel() - 40), s.tiny ? 1 : 64);
  HeadsTrained result;
  std::vector<Series> curves;
  double least_fall = INFINITY;
  for (int64_t seed = 0; seed < s.z.seeds; ++seed) {
    Generator rows(lesson.seed() + 100 + uint64_t(seed)), places(lesson.seed() + 200 + uint64_t(seed));
    MedusaHeads own(s.models.model, {.heads = 4}), book(s.models.model, {.heads = 4});
    const Curves learnt = train_heads(lesson, fmt::format("heads {}", seed + 1), own, s.z.head_steps, s.rate,
                                      [&] { return some_rows(s.written, s.z.batch, rows); });
    for (Series c : learnt.series) {
      least_fall = std::min(least_fall, c.y.front() - c.y.back());
      if (seed) c.name = "";
      curves.push_back(c);
    }
    if (seed == 0 && s.trained_here) s.models.heads.load_state_dict(own.state_dict());
    if (lesson.mode() != Mode::full) continue;
    train_heads(lesson, fmt::format("heads {}, the book", seed + 1), book, s.z.head_steps, s.rate,
                [&] { return random_windows(s.train, s.z.batch, s.z.context, places).first; });
    result.gains.push_back(mean_top1(s, own, test) - mean_top1(s, book, test));
    if (seed == 0) lesson.value("top-1 of heads trained on the book, own text", mean_top1(s, book, test));
  }
  if (curves[0].y.size() > 2)
    lesson.plot(
        "heads", curves,
        {.x = "step", .y = "nats per character", .caption = "On the model's own text; three seeds in a full run."});
  lesson.expect("every head learns: least fall of its loss", least_fall, Above{0}, Needs::training);
  double moved = 0;
  const std::vector<Tensor> after = s.models.model.parameters();
  for (size_t i = 0; i < after.size(); ++i) moved = std::max(moved, largest(after[i].detach() - before[i]));
  lesson.expect("Medusa-1 leaves the model as it is: largest change of a weight", moved, Equals{0});
  s.models.to({lesson.dtype(), lesson.device()});
  s.hits = head_hits(s.models.heads, test, {.ranks = s.ranks, .first = s.prompt_length() - 1});
  const int64_t windows = s.tiny ? 1 : 64;
  s.book_hits = head_hits(s.models.heads, side_by_side(prompts_of(s.held, windows, s.z.context), s.held.device()),
                          {.ranks = s.ranks});
  return result;
}

}  // namespace ink::lesson
