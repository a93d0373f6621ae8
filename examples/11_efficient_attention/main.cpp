// Making attention cheaper: sparse patterns, hashing, reversible layers, low rank; errors, memory and speed of each
#include "examples/11_efficient_attention/lesson.h"

#include "examples/11_efficient_attention/compare.h"
#include "examples/11_efficient_attention/copy_task.h"
#include "examples/11_efficient_attention/low_rank.h"
#include "examples/11_efficient_attention/nystrom.h"
#include "examples/11_efficient_attention/reformer.h"
#include "examples/11_efficient_attention/reversible.h"
#include "examples/11_efficient_attention/steps_masks.h"
#include "examples/11_efficient_attention/trained.h"

using namespace ink;
using namespace ink::lesson;

namespace {

void two_roads(Lesson& lesson) {
  lesson.section(
      "1. Two roads",
      R"(o_i = \frac{\sum_j e^{s_{ij}} v_j}{\sum_j e^{s_{ij}}}, \quad s_{ij} = \frac{q_i \cdot k_j}{\sqrt{d}})",
      "Su 2020, kexue.fm 7546");
  lesson.say(
      "One road leaves pairs out: most weights of a softmax are small. The other gives up the softmax, so that the "
      "sums over j can be shared by all i; that is note 06. In between: keys and values replaced by a few mixtures.");
  Generator g(lesson.seed());
  std::vector<Series> curves;
  for (double sharpness : {0.5, 1.0, 2.0, 4.0}) {
    Triple t = normal_triple(256, 16, g);
    Tensor weights = scaled_dot_product_attention(t.q * sharpness, t.k, eye(256, f64));
    Tensor sorted = cumsum(std::get<0>(sort(weights, -1, true)), -1).mean({0});
    Series s{.name = fmt::format("|q| times {}", sharpness), .y = sorted.to_vector<double>()};
    for (size_t i = 0; i < s.y.size(); ++i) s.x.push_back(double(i + 1));
    curves.push_back(std::move(s));
  }
  lesson.plot("concentration", curves,
              {.x = "largest weights of a row",
               .y = "share of the row's sum",
               .log_x = true,
               .y_low = 0,
               .caption = "256 keys. The longer the queries, the fewer keys matter."});
  lesson.value("eight keys at 4", curves[3].y[7]);
  lesson.expect("with long queries the eight largest of 256 weights hold most of a row", curves[3].y[7], Above{0.8});
}

void reach(Lesson& lesson) {
  const int64_t n = 64;
  const AttentionMask local = masks::local(4), atrous = masks::atrous(8);
  auto reach = [&](const AttentionMask& a, const AttentionMask& b) { return two_layer_reach(a, b, n).to(f32); };
  Tensor four = stack({reach(local, local), reach(atrous, atrous), reach(local, atrous), reach(atrous, local)});
  lesson.images(
      "reach", 1 - four,
      {.low = 0,
       .high = 1,
       .per_row = 4,
       .caption =
           "What two layers join, the lower one named first: rows are queries, columns keys, black is joined. A "
           "window below an atrous layer leaves out pairs of the outermost keys, above it of the outermost queries."},
      {"local twice", "atrous twice", "local, then atrous", "atrous, then local"});
  const Tensor mixed = four[2], missed = 1 - mixed;
  lesson.value("reach of local 4, then atrous 8", 100 * mixed.mean().item(), "%");
  lesson.value("pairs missed of the first three keys", slice(missed, 1, 0, 3).sum().item());
  lesson.expect("local 4, then atrous 8: keys that some query misses are the three at each end",
                equal(max(missed, {0}), cat({ones({3}), zeros({n - 6}), ones({3})}, 0)));
  lesson.expect("local 7, then atrous 8 join all pairs: one side of the window meets every remainder",
                all(two_layer_reach(masks::local(7), atrous, n)).item<bool>());
  lesson.expect("two atrous layers join no pair that one does not", largest(four[1] - atrous.dense(n, n).to(f32)),
                Equals{0});
  lesson.expect("strided, twice, joins all causal pairs",
                equal(two_layer_reach(masks::strided(8), masks::strided(8), n), masks::causal().dense(n, n)));
  lesson.expect("layers of local 4 that join all of 64 tokens, 63 / 4 rounded up", double(layers_to_join(local, n)),
                Equals{16});
  lesson.value("layers of either", double(layers_to_join(local | atrous, n)));
  reach_by_layers(lesson);
  two_layers_by_query(lesson);
}

void patterns(Lesson& lesson) {
  lesson.section("2. Patterns by hand",
                 R"(\text{atrous: } (i - j) \bmod k = 0; \quad \text{local: } |i - j| \le k; \quad \text{either})",
                 "Child et al. 2019; Beltagy et al. 2020");
  const int64_t n = 64;
  const std::vector<std::pair<std::string, AttentionMask>> list{{"atrous 8", masks::atrous(8)},
                                                                {"local 4", masks::local(4)},
                                                                {"either", masks::local(4) | masks::atrous(8)},
                                                                {"causal", masks::causal()},
                                                                {"strided 8", masks::strided(8)},
                                                                {"fixed 8, 2", masks::fixed(8, 2)},
                                                                {"longformer", masks::local(4) | masks::global({0})},
                                                                {"documents", masks::causal() & masks::document([] {
                                                                                std::vector<int64_t> which(64, 0);
                                                                                std::fill(which.begin() + 40,
                                                                                          which.end(), 1);
                                                                                return which;
                                                                              }())}};
  std::vector<Tensor> pictures;
  std::vector<std::string> labels;
  for (const auto& [name, mask] : list) {
    pictures.push_back(mask.dense(n, n).to(f32));
    labels.push_back(fmt::format("{}: {:.0f}%", name, 100 * mask.density(n, n)));
    lesson.value("density: " + name, 100 * mask.density(n, n), "%");
  }
  lesson.images(
      "masks", 1 - stack(pictures),
      {.low = 0,
       .high = 1,
       .per_row = 4,
       .caption = "Rows are queries, columns keys, black is seen; with each name the share of pairs. The lower four: "
                  "Sparse Transformer's two (causal), Longformer with one global token, two documents (causal)."},
      labels);
  lesson.expect("n = 8: pairs of atrous 3", masks::atrous(3).density(8, 8) * 64, Equals{22});
  lesson.expect("n = 8: pairs of local 3", masks::local(3).density(8, 8) * 64, Equals{44});

  reach(lesson);
}

void chosen_scores(Lesson& lesson) {
  lesson.section("3. The largest scores, and a few global tokens",
                 R"(\text{softmax over } s_{ij} \ge t_i, \text{ the } k\text{-th largest of row } i)",
                 "Zhao et al. 2019, eq. 4-6; Beltagy et al. 2020");
  Generator g(lesson.seed() + 1);
  Triple t = normal_triple(48, 16, g);
  Tensor all = scaled_dot_product_attention(2 * t.q, t.k, eye(48, f64)),
         kept = topk_attention(2 * t.q, t.k, eye(48, f64), 8);
  lesson.images("topk", stack({all, kept}).to(f32),
                {.map = ColourMap::heat,
                 .per_row = 2,
                 .caption = "All weights, and softmax over the eight largest scores of each row."},
                {"softmax", "top 8"});
  lesson.expect("every row keeps eight", equal(count_nonzero(kept, {-1}), full({48}, 8, i64)));
  Tensor their_share = where(kept > 0, all, zeros_like(all));
  lesson.expect("and what it keeps is the softmax over them: largest difference",
                largest(kept - their_share / sum(their_share, {1}, true)), Below{1e-12});
  lesson.expect("no dropped weight is above a kept one",
                (max(where(kept > 0, zeros_like(all), all), {1}) <= min(where(kept > 0, all, ones_like(all)), {1}))
                    .all()
                    .item<bool>());
  largest_by_row(lesson);
  lesson.expect("k = n is softmax", largest(topk_attention(t.q, t.k, t.v, 48) - t.exact()), Below{1e-12});
  lesson.say("All scores are computed before most are thrown away: this is about focus, not about time.");

  auto dense = [&](const AttentionMask& m) {
    return scaled_dot_product_attention(t.q, t.k, t.v, {.mask = m.dense(48, 48)});
  };
  auto as = [&](const SparseRule& rule) { return sparse_attention(t.q, t.k, t.v, rule.pattern(48)); };
  lesson.expect("Longformer's parts, merged, equal one softmax over window and global keys",
                largest(as(sparse::longformer(4, {0, 30})) - dense(masks::local(4) | masks::global({0, 30}))),
                Below{1e-12});
  lesson.expect("a window of everything is full attention, a global token in it counting once",
                largest(as(sparse::longformer(48, {0})) - t.exact()), Below{1e-12});
}

void drawbacks(Lesson& lesson, const Setup& setup) {
  lesson.section(
      "4. Two drawbacks",
      R"(\text{share of pairs} \quad\text{against}\quad \text{share of } 64 \times 64 \text{ tiles that hold one})");
  tiles_by_order(lesson);
  const int64_t n = std::min<int64_t>(2048, setup.longest), k = 64;
  const std::vector<std::pair<std::string, SparseRule>> rules{{"local 64", sparse::local(k)},
                                                              {"atrous 64", sparse::atrous(k)},
                                                              {"strided 64", sparse::strided(k)},
                                                              {"fixed 64, last 8", sparse::fixed(k, 8)}};
  std::vector<std::string> names;
  Series pairs{.name = "pairs seen"}, natural{.name = "tiles, as the tokens stand"}, laid{.name = "tiles, laid out"};
  Series masked{.name = "full attention with a mask"}, sparse{.name = "laid out"};
  Tensor q = randn({1, 1, n, 64}), key = randn({1, 1, n, 64}), v = randn({1, 1, n, 64});
  NoGrad guard;
  for (const auto& [name, rule] : rules) {
    names.push_back(name);
    SparsePattern pattern = rule.pattern(n);
    BlockMask tiles = rule.mask.blocks(n, n);
    Tensor mask = tiles.dense();
    pairs.y.push_back(100 * rule.mask.density(n, n));
    natural.y.push_back(100 * (1 - count_tiles(tiles).empty)), laid.y.push_back(100 * pattern.work());
    masked.y.push_back(milliseconds([&] { return scaled_dot_product_attention(q, key, v, {.mask = mask}); }, 2));
    sparse.y.push_back(milliseconds([&] { return sparse_attention(q, key, v, pattern); }, 2));
  }
  lesson.say(
      "A machine computes tiles, not pairs. Every 64th key lies in every tile: in the order of the tokens the atrous "
      "pattern saves nothing. Sorted by i mod 64, what belongs together stands together. That is the special program.");
  lesson.bars("tiles", names, {pairs, natural, laid},
              {.y = "% of n²", .caption = fmt::format("n = {}: pairs, and what a machine computes.", n)});
  lesson.bars("sparse-time", names, {masked, sparse},
              {.y = "milliseconds", .caption = "A mask over full attention costs full attention."});
  lesson.measured("masked atrous", masked.y[1], "ms"), lesson.measured("laid out atrous", sparse.y[1], "ms");
  if (n < 1024) return;
  lesson.expect("atrous in natural order visits all tiles: % of them", natural.y[1], Equals{100});
  lesson.expect("laid out it visits at most", laid.y[1], AtMost{10});
}

}  // namespace

int main(int argc, char** argv) {
  Lesson lesson(argc, argv,
                {.note = "11",
                 .name = "11_efficient_attention",
                 .title = "Making attention cheaper",
                 .about =
                     "Sparse patterns, hashing, reversible layers, low rank: what each costs and what it gives up.",
                 .full_time = "4 min"});
  Setup setup;
  setup.steps = lesson.option("steps", Sizes{.full = 1500, .quick = 220, .tiny = 2}, "training steps of the copy task");
  setup.draws = lesson.option("draws", Sizes{.full = 1000, .quick = 120, .tiny = 8}, "pairs of vectors hashed");
  setup.reading_steps = lesson.option("reading", Sizes{.full = 800, .quick = 120, .tiny = 1},
                                      "training steps of each kind in section 12");
  setup.reading_batch = lesson.mode() == ink::lesson::Mode::full    ? 32
                        : lesson.mode() == ink::lesson::Mode::quick ? 16
                                                                    : 2;
  setup.longest =
      lesson.option("longest", Sizes{.full = 8192, .quick = 4096, .tiny = 128, .least = 128}, "longest sequence timed");
  const int64_t n = lesson.option("tokens", Sizes{.full = 128, .quick = 128, .tiny = 32, .least = 32, .multiple = 32},
                                  "tokens where errors are measured");
  two_roads(lesson);
  patterns(lesson);
  chosen_scores(lesson);
  drawbacks(lesson, setup);
  hashing(lesson, setup);
  copying(lesson, setup);
  reversing(lesson);
  low_rank(lesson, n);
  down_sampling(lesson, n);
  nystrom(lesson, n);
  the_other_road(lesson);
  which_keep_their_quality(lesson, setup);
  speed(lesson, setup);
  the_table(lesson);
  return lesson.finish();
}
