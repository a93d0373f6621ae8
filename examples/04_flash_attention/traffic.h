// Section 5 of lesson 04: the numbers that each loop order moves, counted, against the formulas, and what they cost on
// a GPU.
#pragma once
#include "examples/04_flash_attention/orders.h"

namespace ink::lesson {

inline Matrix random_matrix(int64_t rows, int64_t cols, double scale = 1) {
  Matrix m(rows, cols);
  m.values = (randn({rows, cols}, {f32, Device::cpu()}) * scale).to_vector<float>();
  return m;
}

// What the loops move, to the last number: in T = ceil(N / block) rounds over all queries (FA1) or all keys (FA2).
inline int64_t rounds(int64_t n, int64_t d, int64_t fast) {
  return (n + block_rows(fast, d) - 1) / block_rows(fast, d);
}
inline int64_t moved_by_standard(int64_t n, int64_t d) { return 4 * n * d + 4 * n * n; }
inline int64_t moved_by_flash1(int64_t n, int64_t d, int64_t fast) {
  return 2 * n * d + rounds(n, d, fast) * (3 * n * d + 4 * n);
}
inline int64_t moved_by_flash2(int64_t n, int64_t d, int64_t fast) {
  return 2 * n * d + n + rounds(n, d, fast) * 2 * n * d;
}

inline void the_traffic(Lesson& lesson, int64_t n) {
  lesson.section("5. Two loop orders, counted",
                 R"(\text{standard } 4 N d + 4 N^2, \quad \text{FA1 } \frac{12 N^2 d^2}{M}, \quad )"
                 R"(\text{FA2 } \frac{8 N^2 d^2}{M})",
                 "Dao et al. 2022, theorem 2; Dao 2023, section 3.1");
  const int64_t d = 64;
  const Matrix q = random_matrix(n, d, .3), k = random_matrix(n, d, .3), v = random_matrix(n, d);
  Slow standard;
  const Matrix expected = standard_attention(q, k, v, standard);
  auto curve = [](const char* name, Mark mark = Mark::line) { return Series{.name = name, .mark = mark}; };
  std::vector<Series> curves{curve("FA1, counted"), curve("FA2, counted"), curve("FA1, 12 N² d² / M", Mark::dashed),
                             curve("FA2, 8 N² d² / M", Mark::dashed)};
  bool exact = true, cheaper = true;
  double worst = 0;
  for (int64_t fast = 2048; fast <= 65536; fast *= 2) {
    Slow one, two;
    Row lse;
    worst = worse(worst, difference(flash1(q, k, v, fast, one), expected));
    worst = worse(worst, difference(flash2(q, k, v, fast, two, lse), expected));
    exact = exact && one.moved() == moved_by_flash1(n, d, fast) && two.moved() == moved_by_flash2(n, d, fast);
    cheaper = cheaper && two.moved() < one.moved() && (fast < 4 * d * d || one.moved() < standard.moved());
    const double unit = double(n * n) * double(d * d) / double(fast);
    const double y[] = {double(one.moved()), double(two.moved()), 12 * unit, 8 * unit};
    for (size_t s = 0; s < 4; ++s) curves[s].x.push_back(double(fast)), curves[s].y.push_back(y[s]);
    if (fast == 32768) lesson.value("FA1 over standard", y[0] / double(standard.moved()));
    if (fast == 32768) lesson.value("FA2 over standard", y[1] / double(standard.moved()));
  }
  lesson.plot("traffic", curves,
              {.x = "numbers that fit in fast memory (M)",
               .y = "numbers moved",
               .log = true,
               .references = {{double(standard.moved()), "standard"}},
               .caption = "Twice the fast memory, half the traffic. Below M = 2 d² (FA2) or 3 d² (FA1) storing the "
                          "scores is cheaper."});
  lesson.expect("both orders give the standard result, for every M: largest difference", worst, Below{1e-5});
  lesson.expect("FA1 moves 2 N d + T (3 N d + 4 N), FA2 2 N d + N + T 2 N d, T = ceil(N / block): to the last number",
                exact);
  lesson.expect("FA2 moves less than FA1, and FA1 less than standard from M = 4 d^2 on", cheaper);
  lesson.expect("FA1 over 12 N^2 d^2 / M at M = 8192", curves[0].y[2] / curves[2].y[2], Within{.95, 1.15});
  lesson.expect("FA2 over 8 N^2 d^2 / M at M = 8192", curves[1].y[2] / curves[3].y[2], Within{.95, 1.15});
  keys_outside(lesson);
  queries_outside(lesson);
}

// Where the time goes: an A100 multiplies 312e12 times a second and adds as often (halves, counted as 312 Tflop/s), and
// moves 1.555e12 bytes a second.
inline void on_a_gpu(Lesson& lesson) {
  const int64_t n = 8192, d = 64, fast = 32768;
  const double flops = 4. * double(n * n) * double(d), microseconds_of_flops = flops / 312e12 * 1e6;
  std::string table = fmt::format(
      "an A100, one head, N = {}, d = {}, halves, M = {}:\n"
      "           MB moved   their time   the products' time   flops a byte\n",
      n, d, fast);
  for (auto [name, moved] : {std::pair{"standard", moved_by_standard(n, d)},
                             {"FA1", moved_by_flash1(n, d, fast)},
                             {"FA2", moved_by_flash2(n, d, fast)}}) {
    const double bytes = 2. * double(moved), microseconds = bytes / 1.555e12 * 1e6;
    table += fmt::format("{:<8} {:>10.0f} {:>9.0f} µs {:>17.0f} µs {:>14.0f}\n", name, bytes / 1e6, microseconds,
                         microseconds_of_flops, flops / bytes);
    lesson.value(fmt::format("A100, {}: MB moved", name), bytes / 1e6);
    lesson.value(fmt::format("A100, {}: time of the traffic", name), microseconds, "µs");
    lesson.value(fmt::format("A100, {}: flops a byte", name), flops / bytes);
  }
  lesson.listing(table);
  lesson.value("A100: time of the products", microseconds_of_flops, "µs");
}

}  // namespace ink::lesson
