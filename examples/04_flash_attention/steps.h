// What lesson 04 shows step by step: one query key by key, states that merge, tiles, the two loop orders, the backward
// pass. The algorithms are those of softmax.h and tiles.h, watched.
#pragma once
#include <fmt/format.h>

#include "examples/04_flash_attention/tiles.h"
#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"

namespace ink::lesson {

inline Tensor as_tensor(const Matrix& m) { return from_data(m.values, {m.rows, m.cols}); }
inline Tensor column(const Row& x) { return from_data(x, {int64_t(x.size()), 1}); }
// A state that has seen nothing has m = -inf and is drawn as an empty cell.
inline std::vector<double> as_row(const Row& x) {
  std::vector<double> y;
  for (float v : x) y.push_back(std::isinf(v) ? NAN : v);
  return y;
}
inline Matrix matrix_of(int64_t rows, int64_t cols, Row values) {
  Matrix m(rows, cols);
  m.values = std::move(values);
  return m;
}

// One query of scores 1 3 2 5 4 0 meets its keys, whose values are 10 ... 60.
inline void key_by_key(Lesson& lesson) {
  lesson.player("online softmax, key by key");
  const Row x{1, 3, 2, 5, 4, 0};
  const Matrix v = matrix_of(6, 1, {10, 20, 30, 40, 50, 60});
  lesson.frame("nothing is read yet",
               {{"scores x", as_row(x)},
                {"values v", as_row(v.values)},
                {"weights, if the row ended here", std::vector<double>(6, NAN)},
                {"m", -INFINITY},
                {"l", 0},
                {"o", 0}},
               "Before the first key $m = -\\infty$, $l = 0$, $o = 0$.");
  Slow slow;
  float before = 0;
  fused_attention(x, v, slow, [&](int64_t k, float m, float l, const Row& o, float factor) {
    std::vector<double> weights(6, NAN);
    for (int64_t t = 0; t <= k; ++t) weights[size_t(t)] = std::exp(x[size_t(t)] - m) / l;
    std::string text = fmt::format("{} is no new maximum: nothing is rescaled, $e^{{{}}}$ is added to $l$.",
                                   x[size_t(k)], x[size_t(k)] - m);
    if (k == 0) text = "The first score is the maximum, its weight $e^0 = 1$, the answer its value.";
    if (k > 0 && factor != 1)
      text = fmt::format(
          "{} is larger than {}: $l$ and $o$ are first multiplied by $e^{{{}}}$ = {:.4f}, then 1 and {} "
          "are added. All earlier weights shrink.",
          m, before, before - m, factor, v[k][0]);
    before = m;
    lesson.frame(fmt::format("key {}", k + 1),
                 {{"scores x", as_row(x), {{0, k}}},
                  {"values v", as_row(v.values), {{0, k}}},
                  {"weights, if the row ended here", weights},
                  {"m", m},
                  {"l", l},
                  {"o", o[0]},
                  {"o / l", o[0] / l}},
                 text);
  });
}

// Six keys in four parts, one of them empty, merged in two orders; the two answers.
inline std::pair<double, double> merges(Lesson& lesson) {
  lesson.player("four parts, two orders");
  const Partial<double> parts[] = {{{3, std::exp(-2.) + 1}, {10 * std::exp(-2.) + 20}},
                                   {{5, std::exp(-3.) + 1}, {30 * std::exp(-3.) + 40}},
                                   {{}, {0}},
                                   {{4, 1 + std::exp(-4.)}, {50 + 60 * std::exp(-4.)}}};
  std::vector<Partial<double>> now;
  auto frame = [&](const std::string& title, int64_t at, const std::string& text) {
    std::vector<double> m, l, o;
    for (const Partial<double>& s : now) {
      const bool gone = s.o.empty();
      m.push_back(s.sum.m), l.push_back(gone ? NAN : s.sum.l), o.push_back(gone ? NAN : s.o[0]);
    }
    const std::vector<Place> marks = at < 0 ? std::vector<Place>{} : std::vector<Place>{{0, at}};
    lesson.frame(title,
                 {{"keys of the part", {"1, 2", "3, 4", "none", "5, 6"}, marks},
                  {"m", m, marks},
                  {"l", l, marks},
                  {"o", o, marks}},
                 text);
  };
  auto take = [&](int64_t a, int64_t b, const std::string& text) {
    now[size_t(a)] = merge(now[size_t(a)], now[size_t(b)]), now[size_t(b)] = {};
    frame(fmt::format("part {} takes in part {}", a + 1, b + 1), a, text);
  };
  now.assign(std::begin(parts), std::end(parts));
  frame("four parts", -1, "Each part knows its own maximum only; the third has seen no key: (-∞, 0, 0).");
  take(0, 1, "The larger maximum is 5: the first part's $l$ and $o$ are multiplied by $e^{3-5}$, then both are added.");
  take(2, 3, "What has seen nothing takes the other's state as it is: its factor is 0 by decree.");
  take(0, 2, "The right side's maximum is 4, so it is multiplied by $e^{4-5}$. All keys are in one state.");
  const double first = now[0].o[0] / now[0].sum.l;
  now.assign(std::begin(parts), std::end(parts));
  frame("the same four parts again", -1, fmt::format("The answer was $o / l$ = {:.4f}. Now in another order.", first));
  take(3, 1, "From the right this time: the last part is multiplied by $e^{4-5}$.");
  take(3, 2, "Nothing is added, nothing changes.");
  take(3, 0, "And the first part last.");
  const double second = now[3].o[0] / now[3].sum.l;
  frame("the same answer", 3, fmt::format("$o / l$ = {:.4f} again.", second));
  return {first, second};
}

// Two queries against six keys in tiles of two; values as above. Gives the answers.
inline Matrix by_tiles(Lesson& lesson) {
  lesson.player("a tile's m, l and o");
  const Matrix q = matrix_of(2, 2, {1, 0, 0, 1}), k = matrix_of(6, 2, {1, 4, 3, 1, 2, 3, 5, 2, 4, 4, 0, 3}),
               v = matrix_of(6, 1, {10, 20, 30, 40, 50, 60}), all = scores(q, k);
  Block b(2, 1);
  for (int64_t j = 0; j < 6; j += 2) {
    Slow slow;
    absorb(b, q, slow.load(k, j, 2), slow.load(v, j, 2), [&](Stage stage, const Matrix& s, const Row& factor) {
      const char* titles[] = {"scores", "maxima", "sums"};
      const bool grew = std::min(factor[0], factor[1]) < 1;
      std::string text = "One small product gives the tile of $S$: two queries, two keys.";
      if (stage == Stage::rescaled)
        text = j == 0 ? "Both rows get their first maximum; there is nothing yet to rescale."
               : grew ? fmt::format(
                            "Row by row: query 1's maximum grew, its $l$ and $o$ are multiplied by {:.4f}; query 2's "
                            "did not, its factor is {}.",
                            factor[0], factor[1])
                      : "No maximum grew: the factors are 1, and a kernel skips the product.";
      if (stage == Stage::added)
        text = "The tile becomes $e^{S - m}$: row sums go to $l$, its product with two values to $o$.";
      lesson.frame(fmt::format("keys {} and {}: {}", j + 1, j + 2, titles[int(stage)]),
                   {{"S as a whole, never stored", as_tensor(all), {{0, j}, {0, j + 1}, {1, j}, {1, j + 1}}},
                    {stage == Stage::added ? "$e^{S - m}$ of the tile" : "S of the tile", as_tensor(s)},
                    {"values", as_row(v.values), {{0, j}, {0, j + 1}}},
                    {"factor", column(stage == Stage::scores ? Row(2, NAN) : factor)},
                    {"m", from_data(as_row(b.m), {2, 1})},
                    {"l", column(b.l)},
                    {"o", as_tensor(b.o)}},
                   text);
    });
  }
  divide_by_sums(b);
  lesson.frame("the answers", {{"o / l", as_tensor(b.o)}},
               "One division a query, at the end. What is kept for the gradients is $m + \\log l$ alone.");
  return b.o;
}

}  // namespace ink::lesson
