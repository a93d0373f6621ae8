// A matrix as a memory of pairs, written by different rules: how well each recalls, without any training.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"
#include "include/inkstone/ssm.h"
#include "nn/ssm/linear/heads.h"
#include "nn/ssm/matrix_state.h"

namespace ink::lesson {

// S fades by `decay`, then k v^T is added; with `erases` what stands under k is taken off first.
struct MemoryRule {
  const char* name;
  double decay;
  bool erases;
};
inline const MemoryRule kRules[] = {
    {"add", 1, false}, {"add, decay 0.97", 0.97, false}, {"delta", 1, true}, {"delta, decay 0.97", 0.97, true}};

// S [batch, d, dv] after all of keys [batch, n, d] and values [batch, n, dv].
inline Tensor written(const MemoryRule& rule, const Tensor& keys, const Tensor& values, Tensor state = {}) {
  const auto head = [](const Tensor& x) { return unsqueeze(x, 1); };
  MatrixStateInputs in{.q = head(keys), .k = head(keys), .v = head(values)};
  if (rule.decay < 1) in.log_decay = full({keys.size(0), 1, keys.size(1)}, std::log(rule.decay), keys.options());
  if (rule.erases) in.erase = -in.k, in.read = rule.decay * in.k;
  if (state.defined()) state = unsqueeze(state, 1);
  matrix_state(in, state);
  return select(state, 1, 0);
}

inline Tensor random_unit(const Shape& shape, const Options& numbers, Generator& g) {
  return unit_length(randn(shape, numbers, &g));
}

// Each of n keys is written R times, in a new order each time, with a new value. The share of keys whose last value is
// the one that lies nearest to what is read, of all values written.
inline double recall_of_last(const MemoryRule& rule, int64_t n, int64_t d, int64_t times, int64_t draws, Generator& g,
                             const Options& numbers) {
  const Tensor keys = random_unit({draws, n, d}, numbers, g), values = randn({draws, n * times, d}, numbers, &g);
  std::vector<Tensor> order;
  for (int64_t r = 0; r < times; ++r) order.push_back(argsort(rand({draws, n}, numbers, &g), -1));
  const auto rows = [](const Tensor& x, const Tensor& which) {
    return gather(x, 1, unsqueeze(which, -1).expand({which.size(0), which.size(1), x.size(2)}));
  };
  const Tensor state = written(rule, rows(keys, cat(order, 1)), values);
  const Tensor read = matmul(rows(keys, order.back()), state);  // under the keys of the last round
  const Tensor nearest = argmin(norm(unsqueeze(read, 2) - unsqueeze(values, 1), {-1}), -1);
  const Tensor last = arange(n * (times - 1), n * times, 1, {i64, keys.device()});
  return (nearest == last).to(f64).mean().item();
}

// The mean square error of what is read under n random keys, each written once with values of variance 1.
inline double read_error(const Tensor& state, const Tensor& keys, const Tensor& values) {
  return square(matmul(keys, state) - values).mean().item();
}

// S that minimises the sum of |S^T k - v|^2, the smallest of them: K^T (K K^T)^{-1} V, or (K^T K)^{-1} K^T V for more
// keys than dims.
inline Tensor least_squares(const Tensor& keys, const Tensor& values) {
  const Tensor turned = transpose(keys, 1, 2);
  return keys.size(1) <= keys.size(2) ? matmul(turned, solve(matmul(keys, turned), values))
                                      : solve(matmul(turned, keys), matmul(turned, values));
}

// What the delta rule's mean square error comes to on average, for random unit keys: its means obey a recursion. After
// m more writes let A be the mean of |S^T k|^2 / dv under a key, C that of (S^T k) . v / dv with its value, s that of
// |S|^2 / dv.
inline double expected_delta_error(int64_t n, int64_t d) {
  const double dims = double(d);
  double sum = 0;
  for (int64_t i = 1; i <= n; ++i) {  // the i-th write, read after the last one
    double A = 1, C = 1, s = dims * (1 - std::pow(1 - 1 / dims, double(i)));
    for (int64_t m = i; m < n; ++m) {
      A = A * (1 - 2 / dims + 2 / (dims * (dims + 2))) + s / (dims * (dims + 2)) + 1 / dims;  // (9.89)
      C *= 1 - 1 / dims;
      s = s * (1 - 1 / dims) + 1;
    }
    sum += A - 2 * C + 1;
  }
  return sum / double(n);
}

inline void without_training(Lesson& lesson, const Options& numbers, int64_t draws) {
  lesson.section("6. What is recalled, without training",
                 R"(\mathbb{E} \lvert S^\top k_i - v_i \rvert^2 = \frac{n-1}{d} \;\text{ per number, for adding})");
  const int64_t d = 64;
  Generator g(lesson.seed() + 5);
  std::vector<Series> recall;
  for (const MemoryRule& rule : kRules) {
    Series s{.name = rule.name};
    for (int64_t times : {1, 2, 4, 8}) {
      s.x.push_back(double(times)), s.y.push_back(recall_of_last(rule, 16, d, times, draws, g, numbers));
      lesson.value(fmt::format("recall, {}, written {} times", rule.name, times), s.y.back());
    }
    recall.push_back(s);
  }
  lesson.plot("rewritten", recall,
              {.x = "times each of 16 keys is written",
               .y = "share of last values recalled",
               .log_x = true,
               .y_low = 0,
               .y_high = 1.03,
               .caption = "Random keys in 64 dims. What is read under a key: is its last value the nearest?"});
  lesson.expect("written 8 times: adding recalls the last value, share", recall[0].y[3], Below{0.3});
  lesson.expect("with decay 0.97", recall[1].y[3], Above{0.8});
  lesson.expect("delta", recall[2].y[3], Above{0.99});

  Series add{.name = "add"}, delta{.name = "delta"}, squares{.name = "least squares"},
      law{.name = "(n - 1) / d", .mark = Mark::dashed}, law_delta{.name = "delta, by recursion", .mark = Mark::dashed};
  double off_add = 0, off_delta = 0;
  for (int64_t pairs : {2, 4, 8, 16, 24, 32, 48, 64, 80, 96}) {
    const Tensor keys = random_unit({draws, pairs, d}, numbers, g), values = randn({draws, pairs, d}, numbers, &g);
    for (Series* s : {&add, &delta, &squares, &law, &law_delta}) s->x.push_back(double(pairs));
    add.y.push_back(read_error(written(kRules[0], keys, values), keys, values));
    delta.y.push_back(read_error(written(kRules[2], keys, values), keys, values));
    squares.y.push_back(read_error(least_squares(keys.to(f64), values.to(f64)), keys.to(f64), values.to(f64)));
    law.y.push_back(double(pairs - 1) / double(d));  // (9.88)
    law_delta.y.push_back(expected_delta_error(pairs, d));
    if (pairs < 16) continue;  // few pairs, a mean of few numbers
    off_add = std::max(off_add, std::abs(add.y.back() / law.y.back() - 1));
    off_delta = std::max(off_delta, std::abs(delta.y.back() / law_delta.y.back() - 1));
  }
  lesson.plot("once", {add, law, delta, law_delta, squares},
              {.x = "pairs n",
               .y = "mean square error",
               .y_low = 0,
               .caption = "Each key written once, d = 64. Dashed: what the means must be."});
  // fewer draws scatter more
  const double allowed = lesson.mode() == ink::lesson::Mode::full    ? 0.03
                         : lesson.mode() == ink::lesson::Mode::quick ? 0.06
                                                                     : 0.6;
  lesson.expect("adding: error against (n - 1) / d, furthest relative difference", off_add, Below{allowed});
  lesson.expect("delta: error against its recursion, furthest relative difference", off_delta, Below{allowed});
  lesson.expect("least squares with 48 pairs: error", squares.y[6], Below{1e-9});
  lesson.value("error at 16 pairs, add", add.y[3]);
  lesson.value("error at 16 pairs, delta", delta.y[3]);
  lesson.value("error at 64 pairs, delta", delta.y[7]);
}

}  // namespace ink::lesson
