// The players of lesson 04 about order: FlashAttention 1 and 2 tile by tile, and the backward pass key by key.
#pragma once
#include "examples/04_flash_attention/steps.h"

namespace ink::lesson {

// Eight queries and keys of two numbers, in blocks of two: 4 x 4 tiles; fast memory holds 16 numbers.
struct SmallHead {
  static constexpr int64_t n = 8, d = 2, fast = 16, block = 2;
  Matrix q{n, d}, k{n, d}, v{n, d};
  SmallHead() {
    for (int64_t i = 0; i < n * d; ++i) {
      q.values[size_t(i)] = float(i * 5 % 7 - 3) / 2, k.values[size_t(i)] = float(i * 3 % 5 - 2);
      v.values[size_t(i)] = float(i * 7 % 9);
    }
  }
};
inline std::string rows_of(const char* what, int64_t first) {
  return fmt::format("{} {}-{}", what, first + 1, first + SmallHead::block);
}

// Keys outside, queries inside: O comes and goes.
inline void keys_outside(Lesson& lesson) {
  lesson.player("FlashAttention 1: keys outside");
  const SmallHead h;
  Slow slow;
  Tensor order = full({4, 4}, NAN);
  int64_t tiles = 0, before = 0;
  flash1(h.q, h.k, h.v, h.fast, slow, [&](int64_t i, int64_t j, const Block& all) {
    const int64_t row = i / h.block, col = j / h.block;
    select(select(order, 0, row), 0, col).fill_(double(++tiles));
    const int64_t more = slow.moved() - before;
    before = slow.moved();
    std::string text = fmt::format("{} come with their o, m, l, take the tile in, and go back: {} numbers.{}",
                                   rows_of("Queries", i), more, col == 3 ? " These outputs are final." : "");
    if (i == 0)
      text = fmt::format(
          "{} and their values are read and stay; the queries begin to pass by with their o, m, l: {} numbers.",
          rows_of("Keys", j), more);
    const std::vector<Place> rows{{i}, {i + 1}};
    lesson.frame(fmt::format("tile {}", tiles),
                 {{"tiles of S, in the order they are made", order, {{row, col}}},
                  {"on the chip", {rows_of("K", j), rows_of("V", j), rows_of("Q", i), rows_of("O", i)}},
                  {"in slow memory: O", as_tensor(all.o), rows},
                  {"m", from_data(as_row(all.m), {h.n, 1}), rows},
                  {"l", column(all.l), rows},
                  {"numbers moved", slow.moved()}},
                 text);
  });
}

// Queries outside, keys inside: O is written once.
inline void queries_outside(Lesson& lesson) {
  lesson.player("FlashAttention 2: queries outside");
  const SmallHead h;
  Slow slow;
  Row lse;
  Tensor order = full({4, 4}, NAN);
  int64_t tiles = 0, before = 0;
  flash2(h.q, h.k, h.v, h.fast, slow, lse, [&](int64_t i, int64_t j, const Block& b, const Matrix& o, const Row& kept) {
    const int64_t row = i / h.block, col = j / h.block, more = slow.moved() - before;
    before = slow.moved();
    std::vector<Place> tile, rows;
    std::vector<std::string> chip{rows_of("Q", i), rows_of("O", i)};
    std::string title = fmt::format("{} are written", rows_of("O", i)),
                text = fmt::format("Divided by $l$ once and written once, with one lse a query: {} numbers.", more);
    if (j >= 0) {
      select(select(order, 0, row), 0, col).fill_(double(++tiles)), tile = {{row, col}};
      chip.insert(chip.begin() + 1, {rows_of("K", j), rows_of("V", j)});
      title = fmt::format("tile {}", tiles);
      text = col == 0
                 ? fmt::format("{} are read and stay, with o, m, l beside them; the keys begin to pass by: {} numbers.",
                               rows_of("Queries", i), more)
                 : fmt::format("{} and their values pass by: {} numbers. No output moves.", rows_of("Keys", j), more);
    } else {
      rows = {{i}, {i + 1}};
    }
    lesson.frame(title,
                 {{"tiles of S, in the order they are made", order, tile},
                  {"on the chip", chip},
                  {"on the chip: o", as_tensor(b.o)},
                  {"in slow memory: O", as_tensor(o), rows},
                  {"lse", column(kept), rows},
                  {"numbers moved", slow.moved()}},
                 text);
  });
}

// Four queries and keys: a column of P and of dS at a time.
inline void backward_by_keys(Lesson& lesson) {
  lesson.player("the backward pass, key by key");
  const Matrix q = matrix_of(4, 2, {1, 0, 0, 1, 1, 1, -1, 1}), k = matrix_of(4, 2, {1, 1, 0, 1, 2, 0, 1, -1}),
               v = matrix_of(4, 2, {1, 0, 0, 1, 1, 1, 2, 0}), dout = matrix_of(4, 2, {1, 0, 0, 1, 1, -1, 0, 2});
  Slow slow;
  Row lse, D;
  const Matrix o = flash2(q, k, v, 16, slow, lse);
  for (int64_t i = 0; i < 4; ++i) D.push_back(dot(o[i], dout[i], 2));
  lesson.frame("what the forward pass left",
               {{"O", as_tensor(o)}, {"lse", column(lse)}, {"dO", as_tensor(dout)}, {"D", column(D)}},
               "$P$ is gone. Each query has its output and its lse; $D_i = dO_i \\cdot O_i$ is made once.");
  flash_backward(q, k, v, o, lse, dout, [&](int64_t j, const Row& p, const Row& dp, const Row& ds, const Gradients& d) {
    auto only = [&](const Row& x) {
      Tensor all = full({4, 4}, NAN);
      select(all, 1, j).copy_(from_data(x, {4}));
      return all;
    };
    auto done = [&](const Matrix& x) {
      Tensor all = as_tensor(x);
      if (j < 3) all.slice(0, j + 1, 4).fill_(NAN);
      return all;
    };
    lesson.frame(
        fmt::format("key {}", j + 1),
        {{"P = e^{S - lse}", only(p)},
         {"dP = dO Vᵀ", only(dp)},
         {"dS = P ⊙ (dP - D)", only(ds)},
         {"dV", done(d.v), {{j}}},
         {"dK", done(d.k), {{j}}},
         {"dQ", as_tensor(d.q)}},
        fmt::format("Column {0} of $P$ is made again and thrown away. $dV_{0}$ and $dK_{0}$ are complete; $dQ$ is a "
                    "sum over keys{1}.",
                    j + 1, j < 3 ? " and goes on" : " and complete now"));
  });
}

}  // namespace ink::lesson
