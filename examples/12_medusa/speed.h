// Lesson 12, section 5: every drafter writes the same texts.
#pragma once
#include <string>
#include <vector>

#include "examples/12_medusa/passes.h"
#include "examples/12_medusa/setup.h"

namespace ink::lesson {

struct SpeedCurves {
  Series product{.name = "product of accuracies"}, joint{.name = "hits at every place"};
  Series walked{.name = "hits from step to step"}, measured{.name = "measured"};
  Series speed{.name = "measured"}, promised{.name = "promised by this model's passes"};
  Series large{.name = "promised by the large layer's"};
  double worst_product = 0, worst_walk = 0, eight = 0, most = 0, fastest = 0;
  int64_t different = 0, fastest_nodes = 0;
};

// Where each step of greedy decoding comes, told by the hits on the text that it wrote; steps that differ.
inline int64_t steps_off_the_walk(const Setup& s, const TreeShape& shape, const Decoded& d) {
  BatchInvariant invariant;
  int64_t off = 0;
  for (size_t i = 0; i < d.rows.size(); ++i) {
    const std::vector<int64_t> all = whole_text(s.prompts[i], d.rows[i]);
    if (int64_t(all.size()) < s.prompt_length() + s.models.heads.count() + 2) continue;
    const Tensor ids = side_by_side({{all.begin(), all.begin() + std::min<int64_t>(int64_t(all.size()), s.z.context)}},
                                    s.held.device());
    const std::vector<int64_t> told =
        walk(shape, head_hits(s.models.heads, ids, {.ranks = s.ranks, .first = s.prompt_length() - 1}));
    for (size_t step = 0; step + 1 < told.size(); ++step)  // the last one may be cut off by the end of the text
      off += step >= d.rows[i].gained.size() || told[step] != d.rows[i].gained[step];
  }
  return off;
}

// Tokens per step of a walk over the other texts.
inline double tokens_of_a_walk(const Setup& s, const TreeShape& shape) {
  const int64_t texts = s.others.size(0), places = int64_t(s.hits.size()) / texts;
  int64_t tokens = 0, steps = 0;
  for (int64_t i = 0; i < texts; ++i)
    for (int64_t gained : walk(shape, {s.hits.begin() + i * places, s.hits.begin() + (i + 1) * places}))
      tokens += gained, ++steps;
  return double(tokens) / double(steps);
}

// A pass of so many rows over one of a single row: between the rows that were timed, on a line.
inline double slower(const Series& pass, double rows) {
  size_t j = 1;
  while (j + 1 < pass.x.size() && pass.x[j] < rows) ++j;
  const double share = (rows - pass.x[j - 1]) / (pass.x[j] - pass.x[j - 1]);
  return (pass.y[j - 1] + share * (pass.y[j] - pass.y[j - 1])) / pass.y[0];
}

inline SpeedCurves trees_of_all_sizes(Lesson& lesson, const Setup& s, const Decoded& plain) {
  SpeedCurves c;
  const Accuracy accuracy = s.accuracy();
  for (int64_t n : s.nodes) {
    const GrownTree tree = grow_tree(accuracy, n);
    MedusaDrafter drafter(s.models.heads, tree.shape);
    const Decoded d =
        decode(fmt::format("tree of {}", n), s.models.model, s.prompts, {.max_tokens = s.tokens}, drafter);
    c.different += different_texts(d, plain);
    const double x = double(n), got = d.per_step(), ratio = d.per_second() / plain.per_second();
    c.product.x.push_back(x), c.product.y.push_back(tree.expected);
    c.joint.x.push_back(x), c.joint.y.push_back(tokens_per_step(tree.shape, s.hits));
    c.walked.x.push_back(x), c.walked.y.push_back(tokens_of_a_walk(s, tree.shape));
    c.measured.x.push_back(x), c.measured.y.push_back(got);
    c.speed.x.push_back(x), c.speed.y.push_back(ratio);
    c.worst_product = std::max(c.worst_product, std::abs(tree.expected / got - 1));
    c.worst_walk = std::max(c.worst_walk, std::abs(c.walked.y.back() / got - 1));
    if (n <= 8) c.eight = got;
    c.most = std::max(c.most, got);
    if (ratio > c.fastest) c.fastest = ratio, c.fastest_nodes = n;
    lesson.value(fmt::format("tokens per step, tree of {}", n), got);
    lesson.value(fmt::format("predicted, tree of {}", n), tree.expected);
    lesson.value(fmt::format("predicted by hits at every place, tree of {}", n), c.joint.y.back());
    lesson.measured(fmt::format("tokens per second over plain, tree of {}", n), ratio);
    if (n == s.nodes.back())
      lesson.expect("hits of the heads on the text tell the gain of every step: steps that differ",
                    double(steps_off_the_walk(s, tree.shape, d)), Equals{0});
  }
  for (size_t i = 0; i < c.measured.x.size(); ++i) {
    const double x = c.measured.x[i], got = c.measured.y[i];
    c.promised.x.push_back(x), c.promised.y.push_back(got / slower(s.model_pass, x + 1));
    c.large.x.push_back(x), c.large.y.push_back(got / slower(s.layer_pass, x + 1));
    lesson.measured(fmt::format("promised by the large layer, tree of {}", x), c.large.y.back());
  }
  return c;
}

inline void other_drafters(Lesson& lesson, const Setup& s, const Decoded& plain, SpeedCurves& c) {
  std::vector<std::string> names;
  Series per_step{.name = "tokens per step"}, speed{.name = "speed over plain"};
  const auto add = [&](const std::string& name, Drafter& drafter) {
    const Decoded d = decode(name, s.models.model, s.prompts, {.max_tokens = s.tokens}, drafter);
    c.different += different_texts(d, plain);
    names.push_back(name), per_step.y.push_back(d.per_step()), speed.y.push_back(d.per_second() / plain.per_second());
    lesson.value(fmt::format("tokens per step, {}", name), d.per_step());
    lesson.measured(fmt::format("tokens per second over plain, {}", name), speed.y.back());
  };
  LookupDrafter lookup;
  ModelDrafter small(s.models.small, {.length = 4});
  MedusaDrafter chain(s.models.heads, TreeShape::chain(4)),
      tree(s.models.heads, grow_tree(s.accuracy(), s.tiny ? 3 : 16).shape);
  add("look-up", lookup);
  add("a small model", small);
  add("heads, a chain", chain);
  add("heads, a tree of 16", tree);
  if (s.hydra) {
    HydraDrafter hydra(*s.hydra, tree.shape());
    add("Hydra's, a tree of 16", hydra);
    lesson.expect("heads that are told their path, Hydra's, against Medusa's, one tree: tokens per step, difference",
                  per_step.y.back() - per_step.y[per_step.y.size() - 2], Above{0}, Needs::full_run);
  }
  lesson.bars("drafters", names, {per_step, speed},
              {.y = "tokens per step; times plain",
               .references = {{1, "plain decoding"}},
               .caption = "Ways to guess, one text. A small model's guesses are good, but each costs a pass of it."});
}

inline void decoding_the_book(Lesson& lesson, const Setup& s) {
  lesson.section("5. Decoding the book",
                 R"(\text{speed} = \frac{\text{tokens per step}}{t(n + 1) / t(1) + \text{draft}})",
                 "Leviathan et al. 2023, arXiv:2211.17192; Cai et al. 2024");
  PlainDrafter none;
  const Decoded plain = decode("plain", s.models.model, s.prompts, {.max_tokens = s.tokens}, none);
  lesson.measured("plain decoding", plain.per_second(), "tokens/s");
  SpeedCurves c = trees_of_all_sizes(lesson, s, plain);
  other_drafters(lesson, s, plain, c);
  lesson.plot("tokens", {c.product, c.joint, c.walked, c.measured},
              {.x = "nodes below the root",
               .y = "tokens per step",
               .log_x = true,
               .y_low = 1,
               .caption = "What accuracies and hits on other texts predict, and what decoding brings."});
  lesson.plot("speed", {c.speed, c.promised, c.large},
              {.x = "nodes below the root",
               .y = "times plain decoding",
               .log_x = true,
               .y_low = 0,
               .references = {{1, "plain decoding"}},
               .caption = "More nodes bring more tokens, and cost more time: in between lies the best."});
  lesson.expect("texts that differ from plain greedy decoding, all drafters", double(c.different), Equals{0});
  lesson.expect("tokens per step predicted by products, over all trees: largest relative error", c.worst_product,
                Below{0.15}, Needs::training);
  lesson.expect("and by a walk over other texts", c.worst_walk, Below{0.08}, Needs::training);
  lesson.expect("tokens per step of a tree of 8 nodes", c.eight, Above{2.2}, Needs::training);
  lesson.expect("63 nodes against one: tokens per step, difference", c.measured.y.back() - c.measured.y[0], Above{0.5},
                Needs::training);
  lesson.measured("best speed over plain", c.fastest);
  lesson.measured("nodes of the fastest tree", double(c.fastest_nodes));
}

}  // namespace ink::lesson
