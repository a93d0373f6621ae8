// Lesson 12, section 6: which distribution each rule of acceptance gives.
#pragma once
#include <numeric>
#include <string>
#include <vector>

#include "examples/12_medusa/acceptance.h"
#include "examples/12_medusa/setup.h"
#include "examples/12_medusa/steps.h"

namespace ink::lesson {

// A model of four tokens, a draft of three guesses below token 0: every outcome with its probability.
inline void exact_laws(Lesson& lesson) {
  const TableModel model;
  Draft draft{.token = {0}, .parent = {-1}};
  const int64_t first = draft.add(0, 1);
  draft.add(0, 3), draft.add(first, 1);
  const auto distribution = [&](int64_t node) { return model(draft.token[size_t(node)]); };
  const PairLaw plain = plain_law(model, 0);
  const PairLaw lossless =
      law_of(model, [&](Chance& c) { return tokens_of(draft, accept_lossless(draft, distribution, c)); });
  const PairLaw typical =
      law_of(model, [&](Chance& c) { return tokens_of(draft, accept_typical(draft, distribution, c)); });
  const std::vector<double> q = {0.1, 0.2, 0.3, 0.4};
  const PairLaw drawn = law_of(model, [&](Chance& c) {
    Draft guess{.token = {0}, .parent = {-1}};
    const int64_t x = c.draw(q);
    guess.add(0, x, q);
    return tokens_of(guess, accept_lossless(
                                guess, [&](int64_t node) { return model(guess.token[size_t(node)]); }, c));
  });
  lesson.expect("lossless, a tree of fixed guesses: variation from plain sampling, two tokens",
                variation(lossless, plain), Below{1e-12});
  lesson.expect("lossless, a guess drawn from another q", variation(drawn, plain), Below{1e-12});
  lesson.expect("typical acceptance", variation(typical, plain), Above{0.1});
  lesson.value("variation of typical acceptance, the small model", variation(typical, plain));
  std::vector<std::string> pairs;
  for (int a = 0; a < 4; ++a)
    for (int b = 0; b < 4; ++b) pairs.push_back(fmt::format("{}{}", a, b));
  lesson.bars("laws", pairs,
              {{.name = "plain", .y = plain}, {.name = "lossless", .y = lossless}, {.name = "typical", .y = typical}},
              {.x = "two tokens",
               .y = "probability",
               .caption = "Exact, by enumeration. Guesses: 1, then 11, and 3. Typical acceptance takes 1 always."});
}

inline void thresholds(Lesson& lesson) {
  struct Row {
    std::vector<double> p;
    double threshold;
    int64_t pass;
  };
  const std::vector<Row> rows = {{{.5, .25, .125, .125}, .089191, 4},
                                 {{.97, .01, .01, .01}, .09, 1},
                                 {std::vector<double>(100, .01), .003, 100},
                                 {{.6, .08, .08, .08, .08, .08}, .080399, 1}};
  double off = 0;
  int64_t wrong = 0;
  for (const Row& row : rows) {
    const double threshold = typical_threshold(row.p);
    off = std::max(off, std::abs(threshold - row.threshold));
    wrong += std::count_if(row.p.begin(), row.p.end(), [&](double p) { return p > threshold; }) != row.pass;
  }
  lesson.expect("thresholds of four distributions: largest difference", off, Below{1e-6});
  lesson.expect("and how many tokens pass: distributions where it differs", double(wrong), Equals{0});
}

// The real model: one draft, accepted many times.
inline void counts_of_the_model(Lesson& lesson, const Setup& s) {
  NoGrad guard;
  const GPT& model = s.models.model;
  SequenceCache cache(model);
  const std::vector<int64_t>& prompt = s.prompts.back();
  MedusaDrafter drafter(s.models.heads, grow_tree(s.accuracy(), s.tiny ? 3 : 8).shape);
  std::vector<int64_t> tokens = prompt;
  const Tensor feature = cache.begin({prompt})[0];
  tokens.push_back(most_likely(model.logits(feature)));
  const Draft draft = drafter.draft({{.tokens = &tokens, .feature = feature, .most_depth = 4}})[0];
  const Tensor logits = model.logits(cache.run({draft}))[0].to(Device{});
  std::vector<std::vector<double>> p;
  for (int64_t i = 0; i < draft.nodes(); ++i) p.push_back(next_distribution(logits[i]));
  const auto distribution = [&](int64_t node) { return p[size_t(node)]; };
  Generator g(lesson.seed());
  RandomChance chance(g);
  const int64_t n = s.z.draws, v = model.vocabulary();
  const std::vector<double> lossless =
                                first_tokens(v, n, draft, [&] { return accept_lossless(draft, distribution, chance); }),
                            typical =
                                first_tokens(v, n, draft, [&] { return accept_typical(draft, distribution, chance); });
  lesson.value("lossless: surprise of the counts", surprise(lossless, p[0]));
  lesson.value("typical: surprise of the counts", surprise(typical, p[0]));
  lesson.expect("lossless: chi-square of the counts, standard deviations above its mean", surprise(lossless, p[0]),
                Below{5});
  lesson.expect("typical: the same", surprise(typical, p[0]), Above{20}, Needs::training);
  std::vector<int64_t> order(size_t(v), 0);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return p[0][size_t(a)] > p[0][size_t(b)]; });
  order.resize(size_t(std::min<int64_t>(8, v)));
  Series plain_p{.name = "p"}, a{.name = "lossless"}, b{.name = "typical"};
  for (int64_t id : order) {
    plain_p.y.push_back(p[0][size_t(id)]), a.y.push_back(lossless[size_t(id)] / double(n));
    b.y.push_back(typical[size_t(id)] / double(n));
  }
  lesson.bars("counts", shown(s.text, order), {plain_p, a, b},
              {.x = "the next character",
               .y = "share",
               .caption =
                   "One place of the book, the eight likeliest characters, the same draft accepted again and again."});
}

// Whole texts at T = 1 and below: what each rule brings, and how likely its texts are to the model.
inline void sampling_with_drafts(Lesson& lesson, const Setup& s) {
  MedusaDrafter drafter(s.models.heads, grow_tree(s.accuracy(), s.tiny ? 3 : 16).shape);
  PlainDrafter none;
  Generator g(lesson.seed());
  const auto run = [&](const std::string& name, GenerateOptions o, Drafter& d) {
    o.max_tokens = s.tokens, o.generator = &g;
    return decode(name, s.models.model, s.prompts, o, d);
  };
  const SamplingOptions at_one;
  const Decoded plain = run("plain", {.sampling = at_one}, none);
  const Decoded lossless = run("lossless", {.sampling = at_one}, drafter);
  const double nats = mean_nats(s.models.model, s.prompts, plain),
               same = mean_nats(s.models.model, s.prompts, lossless);
  lesson.value("nats per character, plain sampling", nats);
  lesson.value("nats per character, lossless", same);
  lesson.value("tokens per step, lossless at T = 1", lossless.per_step());
  Series steps{.name = "tokens per step"}, moved{.name = "nats per character of the text"};
  double at_paper = 0, nats_at_paper = 0;
  for (double epsilon : s.tiny ? std::vector<double>{0.09} : std::vector<double>{0.3, 0.2, 0.09, 0.04, 0.01}) {
    const Decoded d = run("typical",
                          {.sampling = at_one,
                           .acceptance = Acceptance::typical,
                           .typical = {.epsilon = epsilon, .delta = std::sqrt(epsilon)}},
                          drafter);
    steps.x.push_back(epsilon), steps.y.push_back(d.per_step());
    moved.x.push_back(epsilon), moved.y.push_back(mean_nats(s.models.model, s.prompts, d));
    if (epsilon == 0.09) at_paper = d.per_step(), nats_at_paper = moved.y.back();
  }
  lesson.value("tokens per step, typical", at_paper);
  lesson.value("nats per character, typical", nats_at_paper);
  const Decoded swapped =
      run("swapped",
          {.sampling = at_one, .acceptance = Acceptance::typical, .typical = {.epsilon = 0.3, .delta = 0.09}}, drafter);
  lesson.value("tokens per step, thresholds swapped", swapped.per_step());
  const Decoded sharp =
      run("argmax", {.sampling = at_one, .acceptance = Acceptance::typical, .typical = {.draw_next = false}}, drafter);
  lesson.value("nats per character, roots by argmax", mean_nats(s.models.model, s.prompts, sharp));
  if (steps.x.size() > 1)
    lesson.plot("typical", {steps, moved},
                {.x = "epsilon; delta is its root",
                 .y = "tokens; nats",
                 .log_x = true,
                 .y_low = 0,
                 .references = {{nats, "nats of plain sampling"}, {lossless.per_step(), "tokens per step, lossless"}},
                 .caption = "The lower the bar, the more guesses are taken: likely ones first, which no coin refuses, "
                            "then unlikely ones too."});
  lesson.expect("typical acceptance brings more tokens per step than lossless: difference",
                at_paper - lossless.per_step(), Above{0}, Needs::training);
  lesson.expect("and its texts are likelier than the model's own: nats per character, difference", nats - nats_at_paper,
                Above{0.05}, Needs::training);
}

}  // namespace ink::lesson
