// What lesson 01 shows step by step: heap, deque, block maxima, doubling, the gradient, a square in two passes, and a
// sum that is un-added.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "examples/01_sliding_window_max/lesson.h"
#include "examples/01_sliding_window_max/pairs.h"
#include "examples/01_sliding_window_max/pictures.h"
#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"

namespace ink::lesson {

using Row = std::vector<double>;

inline Row row(const Samples& x) { return {x.begin(), x.end()}; }

// The window of k samples that ends at `last`.
inline std::vector<Place> window_at(size_t last, size_t k) {
  std::vector<Place> cells;
  for (size_t j = last + 1 < k ? 0 : last + 1 - k; j <= last; ++j) cells.push_back({0, int64_t(j)});
  return cells;
}

// The heap after each change; the comparisons of all.
inline int64_t heap_step_by_step(Lesson& lesson, const Samples& x, size_t k) {
  lesson.player("the heap");
  Compare c;
  size_t seen = 0;
  heap(x, k, c, [&](const char* what, const std::vector<size_t>& kept) {
    const bool enters = std::string(what) == "enters";
    seen += enters ? 1 : 0;
    std::vector<std::string> words;
    for (size_t i : kept) words.push_back(fmt::format("{}@{}", x[i], i));
    const bool answers = kept.front() + k >= seen && seen >= k;
    lesson.frame(enters ? fmt::format("sample {} enters", x[seen - 1]) : "the top is too old",
                 {{"x", row(x), window_at(seen - 1, k)},
                  {"heap, value@index", words, {{0, 0}}},
                  {"comparisons so far", c.count}},
                 !enters    ? "It left the window some time ago; only now, on top, is it in the way."
                 : answers  ? "The top is the largest, and inside the window. Old samples below it may stay."
                 : seen < k ? "The window is not full yet."
                            : "The top is the largest, but it has left the window.");
  });
  return c.count;
}

// The deque after each change; the comparisons of all.
inline int64_t deque_step_by_step(Lesson& lesson, const Samples& x, size_t k) {
  lesson.player("the deque");
  MonotonicDeque window(k);
  Compare c;
  Row maxima(x.size() - k + 1, NAN);
  for (size_t i = 0; i < x.size(); ++i) {
    auto show = [&](const std::string& title, const std::string& text) {
      std::vector<std::string> words = window.words();
      if (words.empty()) words = {"empty"};
      lesson.frame(title,
                   {{"x", row(x), window_at(i, k)},
                    {"deque, value@index", words},
                    {"maxima", maxima},
                    {"comparisons so far", c.count}},
                   text);
    };
    const float m = window.push(x[i], c, [&](const std::string& what) {
      if (what == "too old")
        show(fmt::format("sample {}: the front leaves", x[i]), fmt::format("It stands {} places back.", k));
      else if (what == "older, smaller")
        show(fmt::format("sample {}: the back leaves", x[i]),
             fmt::format("It is smaller than {} and leaves the window sooner: it can never be a maximum.", x[i]));
    });
    if (i + 1 >= k) maxima[i + 1 - k] = double(m);
    show(fmt::format("sample {} enters", x[i]),
         i + 1 < k ? "The window is not full yet." : fmt::format("The front, {}, is the window's maximum.", m));
  }
  return c.count;
}

// A curve with a gap between blocks of k.
inline Series by_block(const char* name, const Samples& y, size_t k) {
  Series s{.name = name};
  for (size_t i = 0; i < y.size(); ++i) {
    if (i && i % k == 0) s.x.push_back(double(i) - 0.5), s.y.push_back(NAN);
    s.x.push_back(double(i)), s.y.push_back(double(y[i]));
  }
  return s;
}

// L from the left, R from the right, then their merge, cell by cell.
inline void blocks_step_by_step(Lesson& lesson, const Samples& x, size_t k) {
  if (!lesson.wants_frames()) return;
  lesson.player("the block maxima");
  Compare c;
  auto larger = [&](float a, float b) { return c.max(a, b); };
  const Row left = row(since_block_start(x, k, larger)), right = row(until_block_end(x, k, larger));
  const Row out = row(blocks(x, k, larger));
  const size_t n = x.size();
  Row l(n, NAN), r(n, NAN), o(out.size(), NAN);
  int64_t comparisons = 0;
  auto show = [&](const std::string& title, const std::string& text, std::vector<Place> in_x, std::vector<Place> in_l,
                  std::vector<Place> in_r) {
    lesson.frame(title, {{"x", row(x), in_x}, {"L", l, in_l}, {"R", r, in_r}, {"out", o}, {"comparisons", comparisons}},
                 text);
  };
  for (size_t i = 0; i < n; ++i) {
    l[i] = left[i], comparisons += i % k ? 1 : 0;
    show(fmt::format("L, place {}", i),
         i % k ? "The larger of this sample and L before it." : "A block begins: L starts anew.", {{0, int64_t(i)}}, {},
         {});
  }
  for (size_t i = n; i-- > 0;) {
    const bool ends = (i + 1) % k == 0 || i + 1 == n;
    r[i] = right[i], comparisons += ends ? 0 : 1;
    show(fmt::format("R, place {}", i),
         ends ? "A block ends here: from the right, R starts anew." : "The larger of this sample and R behind it.",
         {{0, int64_t(i)}}, {}, {});
  }
  for (size_t i = 0; i < out.size(); ++i) {
    o[i] = out[i], comparisons += i % k ? 1 : 0;
    show(fmt::format("window {}", i),
         i % k ? fmt::format("The end of one block, R = {}, and the start of the next, L = {}.", right[i],
                             left[i + k - 1])
               : "The window is a block: R alone is its maximum.",
         window_at(i + k - 1, k), {{0, int64_t(i + k - 1)}}, {{0, int64_t(i)}});
  }
}

// Windows of 1, 2, 4, ... and at last k samples, cell by cell.
inline void doubling_step_by_step(Lesson& lesson, const Samples& x, size_t k) {
  if (!lesson.wants_frames()) return;
  lesson.player("doubling");
  std::vector<Shot> rows{{"M of 1 sample: x", row(x)}};
  for (size_t w = 1; w < k;) {
    const size_t shift = std::min(w, k - w);
    Compare c;
    const Row next = row(doubling(x, w + shift, c));
    const Row before = w == 1 ? row(x) : row(doubling(x, w, c));
    Row known(next.size(), NAN);
    for (size_t i = 0; i < next.size(); ++i) {
      known[i] = next[i];
      std::vector<Shot> shots = rows;
      shots.back() = {rows.back().name, before, {{0, int64_t(i)}, {0, int64_t(i + shift)}}};
      shots.push_back({fmt::format("M of {} samples", w + shift), known});
      lesson.frame(fmt::format("windows of {}, place {}", w + shift, i), shots,
                   shift == w
                       ? fmt::format("Two windows of {} side by side make one of {}.", w, 2 * w)
                       : fmt::format("Two windows of {} that overlap make one of {}: a maximum may be taken twice.", w,
                                     k));
    }
    w += shift;
    rows.push_back({fmt::format("M of {} samples", w), next});
  }
}

// Each window hands its gradient to the sample that won it.
inline void gradient_step_by_step(Lesson& lesson, const Samples& x, size_t k) {
  if (!lesson.wants_frames()) return;
  lesson.player("where the gradient goes");
  const size_t windows = x.size() - k + 1;
  Row g(windows, 1), dx(x.size(), 0);
  lesson.frame("before", {{"x", row(x)}, {"dL/dout", g}, {"dL/dx", dx}}, "The loss is the sum of all outputs.");
  for (size_t i = 0; i < windows; ++i) {
    const size_t winner =
        size_t(std::max_element(x.begin() + std::ptrdiff_t(i), x.begin() + std::ptrdiff_t(i + k)) - x.begin());
    dx[winner] += g[i];  // (1.9)
    lesson.frame(
        fmt::format("window {}", i),
        {{"x", row(x), window_at(i + k - 1, k)}, {"dL/dout", g, {{0, int64_t(i)}}}, {"dL/dx", dx}},
        fmt::format("Its first maximum is x_{} = {}: the others could move a little, and nothing would change.", winner,
                    x[winner]));
  }
}

// A 3 x 3 maximum as rows, then columns, of a small picture.
inline void rows_then_columns(Lesson& lesson) {
  if (!lesson.wants_frames()) return;
  lesson.player("a square in two passes");
  Tensor x = zeros({7, 7}, f64);
  for (auto [i, j, v] : {std::array{1, 1, 4}, {1, 5, 2}, {3, 3, 9}, {4, 3, 7}, {5, 1, 3}})
    x.index_put_({i, j}, full({}, v, f64));
  const Tensor wide = sliding_window_max(x, 3, 1), both = sliding_window_max(wide, 3, 0);
  Tensor rows = full({7, 5}, NAN, f64), square = full({5, 5}, NAN, f64);
  for (int64_t i = 0; i < 7; ++i) {
    select(rows, 0, i).copy_(select(wide, 0, i));
    lesson.frame(fmt::format("row {}", i), {{"x", x, {{i}}}, {"maxima of 3 in a row", rows}, {"of 3 x 3", square}},
                 "Along the row: every number becomes the largest of three neighbours.");
  }
  for (int64_t j = 0; j < 5; ++j) {
    select(square, 1, j).copy_(select(both, 1, j));
    lesson.frame(fmt::format("column {}", j),
                 {{"x", x}, {"maxima of 3 in a row", rows, {{-1, j}}}, {"of 3 x 3", square}},
                 "Down the column, over what the rows left: a maximum of maxima is one of the whole square.");
  }
}

// A windowed sum of e^x, k = 3, in f32: by adding what enters and taking off what leaves, and by merged pairs.
inline void un_adding_step_by_step(Lesson& lesson) {
  if (!lesson.wants_frames()) return;
  lesson.player("un-adding, and merging");
  const size_t k = 3;
  const Samples x{0, 1, 0, 30, 1, 0, 0, 1};
  const Row exact = log_sum_exp(x, k), merged = log_sum_exp_merged(x, k);
  Row unadded, right, pairs;
  float s = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    s += std::exp(x[i]) - (i >= k ? std::exp(x[i - k]) : 0);
    if (i + 1 < k) continue;
    unadded.push_back(double(s)), right.push_back(std::exp(exact[i + 1 - k]));
    pairs.push_back(std::exp(merged[i + 1 - k]));
    auto padded = [&](Row r) { return r.resize(x.size() - k + 1, NAN), r; };
    const bool inside = i >= 3 && i < 3 + k;
    lesson.frame(fmt::format("window {}", i + 1 - k),
                 {{"x", row(x), window_at(i, k)},
                  {"sum of e^x", padded(right)},
                  {"un-added, f32", padded(unadded)},
                  {"merged pairs, f32", padded(pairs)}},
                 i < 3    ? "Small numbers: both ways agree."
                 : inside ? "e^30 is about 10^13. Beside it f32 has no digit for a 1 or a 2.7."
                          : "e^30 is taken off again, and what the others had added in the meantime is not there.");
  }
}

}  // namespace ink::lesson
