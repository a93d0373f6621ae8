// Lesson 11: Reformer's hash, what it finds, and what of it is causal.
#pragma once
#include "examples/11_efficient_attention/lesson.h"
#include "examples/11_efficient_attention/steps_hash.h"

namespace ink::lesson {

// How often two vectors meet: against their angle with two buckets, and in some of several rounds.
inline void how_often_two_meet(Lesson& lesson, const Setup& setup, Generator& g) {
  const std::vector<double> cosines{-1, -0.5, 0, 0.25, 0.5, 0.65, 0.8, 0.9, 0.95, 0.99};
  std::vector<Series> collision, recall;
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
}

// Tokens of a few kinds, sorted by bucket; and how much of the softmax's weight the pairs hold that a hash finds.
inline void what_a_hash_finds(Lesson& lesson, Generator& g) {
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
  lesson.expect("a window sees about its share of pairs: difference in %", std::abs(seen.y[0] - density.y[0]), Below{1},
                Needs::training);

  // Counted once, the pairs of all rounds are one softmax; all rounds' pairs are the weights that are not 0.
  x = slice(x, 0, 0, 40) / 8;
  Tensor once_each = lsh_weights(x, {.bucket_size = 8, .rounds = 3, .deduplicate = true, .seed = 3});
  Tensor scores = matmul(x, transpose(x / norm(x, {-1}, true), 0, 1)) / 4;
  lesson.expect("three rounds, each pair counted once: largest difference from one softmax over all that met",
                largest(once_each - softmax(where(once_each > 0, scores, full_like(scores, -INFINITY)), 1)),
                Below{1e-12});
}

inline void the_hash_and_the_future(Lesson& lesson, Generator& g) {
  Tensor x = slice(clusters(96, 16, 6, 0.25, g), 0, 0, 40);
  LshOptions causal{.bucket_size = 8, .rounds = 2, .causal = true, .seed = 3};
  auto of = [&](const Tensor& in) { return lsh_attention(in, x, causal); };
  lesson.expect("causal: the largest weight of a later token", largest(triu(lsh_weights(x, causal), 1)), Equals{0});
  lesson.expect("but the hashes of later tokens move the ends of the chunks: outputs do depend on them",
                !verify::causality(of, x, 0).ok);
  causal.strict = true;
  lesson.expect("strict: only the nearest of its own bucket, and nothing later matters",
                verify::causality(of, x, 0).ok);
}

inline void hashing(Lesson& lesson, const Setup& setup) {
  lesson.section(
      "5. Reformer: let a hash choose",
      R"(h(x) = \text{argmax}\,[x R, -x R], \qquad P(\text{two meet in one of } r \text{ rounds}) = 1 - (1 - p)^r)",
      "Andoni et al. 2015; Kitaev et al. 2020");
  Generator g(lesson.seed() + 2);
  hash_sort_chunk(lesson);
  how_often_two_meet(lesson, setup, g);
  what_a_hash_finds(lesson, g);
  rounds_by_lse(lesson);
  the_hash_and_the_future(lesson, g);
}

}  // namespace ink::lesson
