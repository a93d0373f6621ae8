// What needs no net: how surprised one is by a text who knows the counts of characters, or of pairs, of another.
#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"

namespace ink::lesson {

// Nats per character of the held-out text under counts of the training text, a tenth added to every count.
inline double unigram_loss(const Tensor& train, const Tensor& held, int64_t v) {
  Tensor counts = index_add(zeros({v}, f64), 0, train, ones({train.numel()}, f64)) + 0.1;  // (0.14)
  return -log(counts / counts.sum()).index({held}).mean().item();
}
// count(b c), [v, v]: row b, column c.
inline Tensor pair_counts(const Tensor& ids, int64_t v) {
  Tensor pairs = ids.slice(0, 0, ids.numel() - 1) * v + ids.slice(0, 1, ids.numel());
  return index_add(zeros({v * v}, f64), 0, pairs, ones({ids.numel() - 1}, f64)).reshape({v, v});
}
inline double bigram_loss(const Tensor& train, const Tensor& held, int64_t v) {
  Tensor counts = pair_counts(train, v) + 0.1;
  Tensor p = counts / counts.sum({1}, true);  // (0.15)
  Tensor before = held.slice(0, 0, held.numel() - 1), after = held.slice(0, 1, held.numel());
  return -log(p).index({before, after}).mean().item();
}

// "banana" pair by pair, small enough to be counted in the head.
inline void counting_step_by_step(Lesson& lesson) {
  const CharText text("banana");  // a, b, n
  const std::vector<std::string> letters{"b", "a", "n", "a", "n", "a"};
  if (lesson.wants_frames()) {
    lesson.player("counting pairs");
    for (int64_t t = 1; t <= text.ids().numel(); ++t) {
      Tensor counts = pair_counts(text.ids().slice(0, 0, t), 3), smooth = counts + 0.1;
      const int64_t from = t > 1 ? text.ids()[t - 2].item<int64_t>() : -1, to = text.ids()[t - 1].item<int64_t>();
      std::vector<Place> pair;
      if (t > 1) pair.push_back({from, to});
      lesson.frame("read: " + letters[size_t(t - 1)],
                   {{"text", letters, {{0, t - 1}}},
                    {"count(b c); rows and columns a, b, n", counts, pair},
                    {"p(c | b)", smooth / smooth.sum({1}, true)}},
                   t == 1 ? "A first character has none before it: nothing to count, all are equally likely."
                          : fmt::format("{} after {}: one more in its row, so the others of that row lose.",
                                        letters[size_t(t - 1)], letters[size_t(t - 2)]));
    }
  }
  // In "ana" n follows a, then a follows n: both 2 of 2, with a tenth added to each of three.
  lesson.expect("counted in \"banana\", asked for \"ana\": loss less log(2.3 / 2.1)",
                std::abs(bigram_loss(text.ids(), text.encode("ana"), 3) - std::log(2.3 / 2.1)), Below{1e-12});
}

}  // namespace ink::lesson
