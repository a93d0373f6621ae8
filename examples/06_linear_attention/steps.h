// What lesson 06 shows step by step: the two orders of a product cell by cell, and the state token by token.
#pragma once
#include <fmt/format.h>

#include <cmath>

#include "autograd/attention.h"
#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"
#include "nn/attention/linear/linear.h"

namespace ink::lesson {

// Four queries, keys and values of two numbers, small whole ones, so that every product can be done in the head.
struct SmallTokens {
  Tensor q, k, v;
  explicit SmallTokens(const Options& o)
      : q(from_data(std::vector<float>{1, 0, 0, 1, 1, 1, 2, 1}, {4, 2}).to(o)),
        k(from_data(std::vector<float>{1, 1, 0, 1, 2, 0, 1, 2}, {4, 2}).to(o)),
        v(from_data(std::vector<float>{1, 0, 0, 1, 1, 1, 2, 0}, {4, 2}).to(o)) {}
};

// (Q K^T) V a row at a time: every row of weights is made before a value is read.
inline Tensor pairs_first(Lesson& lesson, const Options& numbers) {
  lesson.player("(Q Kᵀ) V: pairs first");
  const SmallTokens t(numbers);
  Tensor a = full({4, 4}, NAN, numbers), o = full({4, 2}, NAN, numbers);
  int64_t products = 0;
  lesson.frame("nothing is computed yet", {{"Q", t.q}, {"K", t.k}, {"A = Q Kᵀ", a}, {"V", t.v}, {"O = A V", o}});
  for (int64_t i = 0; i < 4; ++i) {
    select(a, 0, i).copy_(matmul(t.k, select(t.q, 0, i)));
    products += 4 * 2;
    lesson.frame(fmt::format("row {} of A", i + 1),
                 {{"Q", t.q, {{i}}}, {"K", t.k}, {"A = Q Kᵀ", a}, {"V", t.v}, {"O = A V", o}},
                 fmt::format("Query {} meets every key. {} products so far.", i + 1, products));
  }
  for (int64_t i = 0; i < 4; ++i) {
    select(o, 0, i).copy_(matmul(select(a, 0, i), t.v));
    products += 4 * 2;
    lesson.frame(fmt::format("row {} of O", i + 1),
                 {{"Q", t.q}, {"K", t.k}, {"A = Q Kᵀ", a, {{i}}}, {"V", t.v}, {"O = A V", o}},
                 fmt::format("Row {} of A weighs the values. {} products so far: 2 n² d.", i + 1, products));
  }
  return o;
}

// Q (K^T V): keys and values are added up first; no matrix has n rows and n columns.
inline Tensor sums_first(Lesson& lesson, const Options& numbers) {
  lesson.player("Q (Kᵀ V): sums first");
  const SmallTokens t(numbers);
  Tensor s = zeros({2, 2}, numbers), o = full({4, 2}, NAN, numbers);
  int64_t products = 0;
  lesson.frame("nothing is computed yet", {{"K", t.k}, {"V", t.v}, {"S = Kᵀ V", s}, {"Q", t.q}, {"O = Q S", o}});
  for (int64_t j = 0; j < 4; ++j) {
    s.add_(unsqueeze(select(t.k, 0, j), 1) * unsqueeze(select(t.v, 0, j), 0));
    products += 2 * 2;
    lesson.frame(fmt::format("token {} goes into S", j + 1),
                 {{"K", t.k, {{j}}}, {"V", t.v, {{j}}}, {"S = Kᵀ V", s}, {"Q", t.q}, {"O = Q S", o}},
                 fmt::format("Key {} times value {} is added. {} products so far.", j + 1, j + 1, products));
  }
  for (int64_t i = 0; i < 4; ++i) {
    select(o, 0, i).copy_(matmul(select(t.q, 0, i), s));
    products += 2 * 2;
    lesson.frame(fmt::format("row {} of O", i + 1),
                 {{"K", t.k}, {"V", t.v}, {"S = Kᵀ V", s}, {"Q", t.q, {{i}}}, {"O = Q S", o}},
                 fmt::format("Query {} reads S. {} products so far: 2 n d².", i + 1, products));
  }
  return o;
}

inline void a_product_cell_by_cell(Lesson& lesson, const Options& numbers) {
  const Tensor one = pairs_first(lesson, numbers), other = sums_first(lesson, numbers);
  lesson.expect("cell by cell: both orders end with the same O", equal(one, other));
}

// The recurrent form of elu + 1 over eight tokens: what the state holds, and what is read out of it.
inline void token_by_token(Lesson& lesson, const Options& numbers) {
  if (!lesson.wants_frames()) return;
  lesson.player("the state, token by token");
  const std::vector<std::string> words{"the", "rays", "of", "light", "bend", "the", "more", "rays"};
  const int64_t n = int64_t(words.size()), d = 4;
  Generator generator(6);
  Tensor keys = randn({128, d}, numbers, &generator), values = randn({128, d}, numbers, &generator);
  LinearState state;
  for (int64_t i = 0; i < n; ++i) {
    const std::string& word = words[size_t(i)];
    const int64_t id = word[0];  // equal words have equal vectors; a query is the key of its word
    auto row = [&](const Tensor& table) { return table.narrow(0, id, 1); };
    Tensor o =
        linear_attention(row(keys), row(keys), row(values), {.causal = true, .form = LinearForm::recurrent}, &state);
    lesson.frame(fmt::format("token {}: {}", i + 1, word),
                 {{"read", words, {{0, i}}},
                  {"$\\phi(k_i)$", feature_map(FeatureMap::elu_plus_one, row(keys))},
                  {"$v_i$", row(values)},
                  {"$S_i$", state.sum},
                  {"$z_i$", state.norm},
                  {"$o_i$", o}},
                 i == 0 ? "One token: $o_1 = v_1$, whatever the key is."
                        : "$\\phi(k_i) v_i^\\top$ is added to $S$, $\\phi(k_i)$ to $z$; the size of both stays.");
  }
}

}  // namespace ink::lesson
