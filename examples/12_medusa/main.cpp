// Several tokens a pass: heads that look ahead, trees of guesses checked at once, and what may be accepted
#include <fmt/format.h>

#include <memory>
#include <numeric>

#include "examples/12_medusa/sections.h"
#include "examples/support/lesson/lesson.h"

using namespace ink;
using namespace ink::lesson;

namespace {

void one_token_a_pass(Lesson& lesson, Setup& s, int64_t width) {
  lesson.section("1. One token a pass", R"(\frac{\text{operations}}{\text{bytes}} = \frac{2 n d^2}{4 d^2 + 8 n d})");
  const LayerPasses layer = layer_passes(width, s.rows, s.numbers, s.timings);
  const double most = double(s.rows.back());
  lesson.expect("one layer, 64 rows against one: operations", layer.flops.y.back() / layer.flops.y[0], Equals{most});
  lesson.expect("and bytes moved", layer.bytes.y.back() / layer.bytes.y[0], Below{1 + 4 * most / double(width)});
  Series intensity{.name = "operations per byte", .x = layer.flops.x};
  for (size_t i = 0; i < layer.flops.y.size(); ++i) intensity.y.push_back(layer.flops.y[i] / layer.bytes.y[i]);
  lesson.value("operations per byte, one row", intensity.y[0]);
  lesson.value("operations per byte, 64 rows", intensity.y.back());
  Series alone = layer.time, model = model_passes(s.models.model, s.prompts[0], s.rows, s.timings);
  s.layer_pass = alone, s.model_pass = model;
  alone.name = fmt::format("a layer of {} x {}", width, width);
  lesson.measured("ms of a pass, one row", model.y[0], "ms");
  lesson.measured("a pass of 64 rows over one of 1, the model", model.y.back() / model.y[0]);
  lesson.measured("a pass of 64 rows over one of 1, the layer", alone.y.back() / alone.y[0]);
  for (Series* each : {&alone, &model})
    for (double first = each->y[0]; double& y : each->y) y /= first;
  const Series each_row{.name = "one by one", .x = model.x, .y = model.x, .mark = Mark::dashed};
  lesson.plot("pass", {alone, model, each_row},
              {.x = "rows of a pass",
               .y = "time over that of one row",
               .log = true,
               .caption = "Weights are read once for all rows: a pass over several costs less than as many passes."});
}

void heads_look_ahead(Lesson& lesson, Setup& s) {
  lesson.section("2. Heads that look ahead",
                 R"(p_k = \text{softmax}(W_2 (h_t + \text{silu}(W_1^{(k)} h_t + b^{(k)}))))",
                 "Cai et al. 2024, arXiv:2401.10774, section 2.1.1");
  the_heads_start_as_the_model(lesson, s);
  train_all_heads(lesson, s);
  Series own{.name = "text the model wrote"}, book{.name = "the book"};
  const Accuracy on_own = rank_accuracy(s.hits, s.ranks), on_book = rank_accuracy(s.book_hits, s.ranks);
  for (size_t k = 0; k < on_own.size(); ++k) {
    own.x.push_back(double(k + 2)), own.y.push_back(on_own[k][0]);
    book.x.push_back(double(k + 2)), book.y.push_back(on_book[k][0]);
    lesson.value(fmt::format("top-1 of head {}, own text", k), on_own[k][0]);
    lesson.value(fmt::format("top-1 of head {}, book", k), on_book[k][0]);
  }
  lesson.plot("accuracy", {own, book},
              {.x = "places ahead",
               .y = "share right",
               .y_low = 0,
               .y_high = 1,
               .caption = "A head's first guess, on held-out pages and on what the model writes after them."});
  std::vector<Series> by_rank;
  std::vector<std::string> ranks;
  for (size_t k = 0; k < on_own.size(); ++k) by_rank.push_back({.name = fmt::format("head {}", k), .y = on_own[k]});
  for (int64_t r = 0; r < s.ranks; ++r) ranks.push_back(std::to_string(r + 1));
  lesson.bars(
      "ranks", ranks, by_rank,
      {.x = "guess", .y = "share right", .caption = "Second and third guesses are worth a place in the draft."});
  double falls = 1;
  for (size_t k = 1; k < own.y.size(); ++k) falls = std::min(falls, own.y[k - 1] - own.y[k]);
  lesson.expect("each head is right less often than the one before: least difference", falls, Above{0},
                Needs::training);
}

void trees(Lesson& lesson, Setup& s) {
  lesson.section("3. Trees of guesses",
                 R"(E = 1 + \sum_{\text{nodes } v} \prod_{u \le v} a_{\text{depth}(u)}^{(\text{rank}(u))})",
                 "Cai et al. 2024, sections 2.1.2 and 2.3.3");
  const Accuracy table = {{.5, .2, .1}, {.4, .15, .05}, {.3, .1, .05}};
  const GrownTree example = grow_tree(table, 8);
  const std::vector<std::vector<int64_t>> order = {{0}, {1}, {0, 0}, {2}, {1, 0}, {0, 1}, {0, 0, 0}, {2, 0}};
  lesson.expect("8 nodes of a table of 3 heads: the order in which they come", example.added == order);
  lesson.expect("tokens per step expected", example.expected, Within{2.255 - 1e-12, 2.255 + 1e-12});
  double behind = 0;
  for (int64_t n = 1; n <= 5; ++n)
    behind = std::max(behind, std::abs(best_by_trying(table, n) - grow_tree(table, n).expected));
  lesson.expect("no tree of 1 to 5 nodes expects more, all of them tried: difference", behind, Below{1e-12});
  a_tree_grows(lesson, table, example);
  the_buffers(lesson);
  the_models_tree(lesson, s);
}

void one_step_of_decoding(Lesson& lesson, const Setup& s) {
  lesson.section("4. One step", R"(\text{mask}_{uv} = 1 \iff v = u \text{ or } v \text{ above } u)");
  one_step(lesson, {s.text, s.models, s.prompts[0], grow_tree(s.accuracy(), s.tiny ? 3 : 8).shape});
  nodes_are_plain_sequences(lesson, s);
}

void rules(Lesson& lesson, Setup& s) {
  lesson.section(
      "6. What may be accepted",
      R"(p(x) > \min(\epsilon, \delta e^{-H(p)}) \quad \text{or with probability} \quad \min(1, p(x) / q(x)))",
      "Leviathan et al. 2023; Chen et al. 2023; Cai et al. 2024, section 2.3.1");
  exact_laws(lesson);
  one_acceptance(lesson);
  thresholds(lesson);
  counts_of_the_model(lesson, s);
  sampling_with_drafts(lesson, s);
}

void a_coloured_text(Lesson& lesson, const Setup& s) {
  lesson.section("7. A text in its steps");
  const size_t count = std::min<size_t>(s.prompts.size(), 4);
  const std::vector<std::vector<int64_t>> some(s.prompts.begin(), s.prompts.begin() + int64_t(count));
  MedusaDrafter drafter(s.models.heads, grow_tree(s.accuracy(), s.nodes.back()).shape);
  const Decoded d = decode("tree", s.models.model, some, {.max_tokens = s.tokens}, drafter);
  lesson.figure("text", coloured_text(s.text, some, d.rows, 16),
                "Gray: prompts from the book. Then a colour a step: what one pass of the model brought.");
  int64_t sum = 0, tokens = 0;
  for (const Generated& row : d.rows) {
    sum += std::accumulate(row.gained.begin(), row.gained.end(), int64_t(1));
    tokens += int64_t(row.tokens.size());
  }
  lesson.expect("characters that the steps bring, less those of the text", double(sum - tokens), Equals{0});
}

}  // namespace

int main(int argc, char** argv) {
  Lesson lesson(argc, argv,
                {.note = "12",
                 .name = "12_medusa",
                 .title = "Medusa",
                 .about =
                     "A pass of a language model gives one token. Heads that look ahead guess more of them, a tree "
                     "of guesses is checked in one pass, and the text is the same, or nearly.",
                 .full_time = "5 min"});
  Sizes12 z;
  z.steps = lesson.option("steps", Sizes{.full = 2000, .quick = 300, .tiny = 2}, "of training the model");
  z.head_steps = lesson.option("head-steps", Sizes{.full = 300, .quick = 40, .tiny = 1}, "of training heads");
  z.batch = lesson.option("batch", Sizes{.full = 8, .quick = 8, .tiny = 1}, "windows per step");
  z.context = lesson.option("context", Sizes{.full = 128, .quick = 128, .tiny = 24, .least = 24, .multiple = 4},
                            "characters the model sees");
  z.dim = lesson.option("dim", Sizes{.full = 128, .quick = 128, .tiny = 16, .multiple = 4}, "width of the model");
  z.layers = lesson.option("layers", Sizes{.full = 3, .quick = 3, .tiny = 1}, "blocks of attention and MLP");
  z.prompts = lesson.option("prompts", Sizes{.full = 64, .quick = 16, .tiny = 1}, "texts decoded by every drafter");
  z.written = lesson.option("written", Sizes{.full = 512, .quick = 48, .tiny = 1}, "texts the heads learn from");
  z.draws = lesson.option("draws", Sizes{.full = 20000, .quick = 4000, .tiny = 50}, "of tokens by each rule");
  z.seeds = lesson.option("seeds", Sizes{.full = 3, .quick = 1, .tiny = 1}, "of heads");
  z.width = lesson.option("width", Sizes{.full = 4096, .quick = 2048, .tiny = 64}, "of the layer timed alone");
  const double rate = lesson.option("lr", 3e-3, "highest learning rate", Number::positive);
  const std::string weights =
      lesson.option("weights", std::string(), "file of models to use instead of training some", Path::existing);
  const std::string save = lesson.option("save", std::string(), "file to save the models in", Path::output);
  const CharText text = lesson.text("opticks", 20 * z.context);
  const auto setup = std::make_unique<Setup>(lesson, text, z, rate);
  setup->make_models(lesson, weights);
  one_token_a_pass(lesson, *setup, z.width);
  heads_look_ahead(lesson, *setup);
  trees(lesson, *setup);
  one_step_of_decoding(lesson, *setup);
  decoding_the_book(lesson, *setup);
  rules(lesson, *setup);
  a_coloured_text(lesson, *setup);
  traps(lesson, *setup);
  if (!save.empty()) setup->models.save(save);
  return lesson.finish();
}
