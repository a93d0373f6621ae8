// Reading and writing one character at a time, over the keys and values that are kept; and both step by step.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"

namespace ink::lesson {

// Probabilities of the next character from the last row of logits [1, time, vocabulary]: [1, vocabulary].
inline Tensor next_character(const Tensor& logits, double temperature) {
  return softmax(select(logits, 1, -1).to(f32) / temperature, -1);  // (0.20)
}

// Writes on after `prompt`. The cache keeps the keys and values of what was read, so a character costs one position;
// when the context is full, its last half is read again. `seen` is told the ids so far, logits and the drawn id.
inline std::string sample(const GPT& model, const CharText& text, const std::string& prompt, int64_t length,
                          double temperature, Generator& generator, auto&& seen) {
  NoGrad guard;
  Tensor ids = text.encode(prompt).unsqueeze(0).to(model.head.weight.device());  // [1, time]
  std::vector<BlockState> states;
  Tensor logits = model.step(ids.slice(1, -model.options.context, ids.size(1)), states);
  for (int64_t i = 0; i < length; ++i) {
    Tensor next = multinomial(next_character(logits, temperature), 1, false, &generator);  // [1, 1]
    seen(ids, logits, next.item<int64_t>());
    ids = cat({ids, next}, 1);
    bool full = states[0].time() == model.options.context;
    if (full) states.clear();
    logits = model.step(full ? ids.slice(1, -(model.options.context + 1) / 2, ids.size(1)) : next, states);
  }
  return text.decode(ids[0]);
}
inline std::string sample(const GPT& model, const CharText& text, const std::string& prompt, int64_t length,
                          double temperature, Generator& generator) {
  return sample(model, text, prompt, length, temperature, generator, [](const Tensor&, const Tensor&, int64_t) {});
}

// Characters for a cell: those that cannot be seen have a sign.
inline std::string visible(const std::string& text) {
  std::string out;
  for (char c : text) out += c == ' ' ? "␣" : c == '\n' ? "⏎" : std::string(1, c);
  return out;
}

// Eighteen characters, drawn one by one: the eight likeliest at each moment, at three temperatures.
inline void draw_step_by_step(Lesson& lesson, const GPT& model, const CharText& text, const std::string& prompt) {
  if (!lesson.wants_frames()) return;
  lesson.player("drawing characters");
  const int64_t most = std::min<int64_t>(8, text.vocabulary());
  Generator generator(lesson.seed());
  sample(model, text, prompt, 18, 0.7, generator, [&](const Tensor& ids, const Tensor& logits, int64_t next) {
    Tensor order = argsort(select(logits, 1, -1)[0], 0, true).slice(0, 0, most);
    std::vector<std::string> candidates;
    std::vector<Tensor> rows;
    int64_t place = -1;
    for (int64_t i = 0; i < most; ++i) {
      candidates.push_back(visible(text.decode(order.slice(0, i, i + 1))));
      if (order[i].item<int64_t>() == next) place = i;
    }
    for (double temperature : {0.3, 0.7, 1.0})
      rows.push_back(index_select(next_character(logits, temperature)[0], 0, order));
    const std::string drawn = visible(text.decode(full({1}, next, i64)));
    lesson.frame(fmt::format("drawn: {}", drawn),
                 {{"read so far", visible(text.decode(ids[0]))},
                  {"the eight likeliest", candidates, {{0, place}}},
                  {"p; rows T = 0.3, 0.7, 1", stack(rows), {{1, place}}}},
                 place == 0  ? std::string("Drawn at T = 0.7: the likeliest.")
                 : place > 0 ? fmt::format("Drawn at T = 0.7: not the likeliest; at T = 0.3 its probability is {:.1g}.",
                                           rows[0][place].item())
                             : "Drawn at T = 0.7: none of the eight. What follows has to live with it.");
  });
}

// Eight characters read by `step`: what is kept after each, of the first head of the first block.
inline void cache_step_by_step(Lesson& lesson, const GPT& model, const CharText& text, const Tensor& held) {
  if (!lesson.wants_frames()) return;
  lesson.player("what is kept");
  NoGrad guard;
  const int64_t n = std::min<int64_t>(8, model.options.context);
  std::vector<BlockState> states;
  std::vector<std::string> read;
  for (int64_t i = 0; i < n; ++i) read.push_back(visible(text.decode(held.slice(0, i, i + 1))));
  for (int64_t i = 0; i < n; ++i) {
    model.step(held.slice(0, i, i + 1).unsqueeze(0), states);
    const Tensor key = states[0].tensors()[0]->to(f32)[0][0];  // [i + 1, width]
    const int64_t width = std::min<int64_t>(8, key.size(1));
    Tensor kept = full({n, width}, NAN, key.options());
    kept.slice(0, 0, i + 1).copy_(key.slice(1, 0, width));
    lesson.frame(fmt::format("character {}: {}", i + 1, read[size_t(i)]),
                 {{"read", read, {{0, i}}},
                  {"keys kept: a row each, first numbers", kept, {{i}}},
                  {"positions computed by step", i + 1},
                  {"by forward, each time anew", (i + 1) * (i + 2) / 2}},
                 i == 0
                     ? "Its key and value are computed and kept. Nothing else is there to be looked at."
                     : fmt::format("Only the new row is computed. Its query meets the {} keys that are kept; no older "
                                   "row ever changes, for none sees a later character.",
                                   i + 1));
  }
}

}  // namespace ink::lesson
