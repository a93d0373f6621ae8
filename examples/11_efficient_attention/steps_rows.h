// Lesson 11 step by step: keys and values mixed down to a few rows (Linformer), and Nystrom's three factors.
#pragma once
#include "examples/11_efficient_attention/lesson.h"
#include "nn/attention/lowrank/nystrom.h"

namespace ink::lesson {

// Eight keys become two mixtures, here means of four; then every query weighs those two.
inline void projection_by_row(Lesson& lesson) {
  lesson.player("eight keys become two rows");
  const int64_t n = 8, m = 2, d = 2;
  Generator g(8);
  Triple t = smooth_triple(n, d, 1, g);
  Tensor e = landmarks(eye(n, t.k.options()), m);
  auto blank = [&](int64_t rows, int64_t columns) { return full({rows, columns}, NAN, t.k.options()); };
  Tensor keys = blank(m, d), values = blank(m, d), weights = blank(n, m), out = blank(n, d);
  lesson.frame("before", {{"E = F", e}, {"K", t.k}, {"V", t.v}},
               "Two rows of E for eight keys. Trained, E holds any numbers.");
  for (int64_t r = 0; r < m; ++r) {
    std::vector<Place> read;
    for (int64_t j = 4 * r; j < 4 * r + 4; ++j) read.push_back({j});
    select(keys, 0, r).copy_(matmul(e[r], t.k)), select(values, 0, r).copy_(matmul(e[r], t.v));
    lesson.frame(
        fmt::format("row {} of E K and F V", r),
        {{"E = F", e, {{r}}}, {"K", t.k, read}, {"E K", keys, {{r}}}, {"V", t.v, read}, {"F V", values, {{r}}}},
        "A mixture of positions, later ones included: what no causal mask can undo.");
  }
  for (int64_t i = 0; i < n; ++i) {
    select(weights, 0, i).copy_(softmax(matmul(keys, t.q[i]) / std::sqrt(double(d)), 0));
    select(out, 0, i).copy_(matmul(weights[i], values));
    lesson.frame(fmt::format("query {}", i),
                 {{"Q", t.q, {{i}}}, {"E K", keys}, {"weights", weights, {{i}}}, {"F V", values}, {"O", out, {{i}}}},
                 "Softmax over two mixtures instead of eight keys.");
  }
  lesson.expect("row by row gives linformer_attention: largest difference",
                largest(out - linformer_attention(t.q, t.k, t.v, e, e)), Below{1e-12});
}

// Eight tokens, four landmarks: the three factors, and the inverse by iteration.
inline void nystrom_by_factor(Lesson& lesson) {
  lesson.player("three factors and an inverse");
  const int64_t n = 8, m = 4, d = 4;
  Generator g(3);
  Triple t = smooth_triple(n, d, 2, g);
  auto scores = [&](const Tensor& a, const Tensor& b) {
    return softmax(matmul(a, transpose(b, 0, 1)) / std::sqrt(double(d)), 1);
  };
  Tensor qm = landmarks(t.q, m), km = landmarks(t.k, m), one = eye(m, t.q.options());
  lesson.frame("landmarks", {{"Q", t.q}, {"$Q_m$", qm}, {"K", t.k}, {"$K_m$", km}}, "Means of two rows each.");
  Tensor left = scores(t.q, km), a = scores(qm, km), right = scores(qm, t.k), exact = scores(t.q, t.k);
  lesson.frame("what is computed of the softmax",
               {{"$P_{nm}$, all queries", left}, {"$A$, landmarks alone", a}, {"$P_{mn}$, all keys", right}},
               "Three softmaxes, none of them $n \\times n$: landmarks stand for the keys, for both, for the queries.");
  for (int64_t step = 0; step <= 6; ++step) {
    Tensor z = iterative_inverse(a, step), product = matmul(matmul(left, z), right);
    lesson.frame(fmt::format("{} iteration{}", step, step == 1 ? "" : "s"),
                 {{"A", a},
                  {"Z", z},
                  {"$\\lVert I - A Z \\rVert$", norm(one - matmul(a, z)).item()},
                  {"$P_{nm} Z P_{mn}$", product},
                  {"relative error of $O$", relative(matmul(product, t.v), matmul(exact, t.v))}},
                 step == 0 ? "$Z_0$ is $A^\\top$, made small enough."
                           : "While $A Z$ is small it grows by 13/4; near $I$ the distance is cubed.");
  }
  Tensor best = matmul(matmul(left, inverse(a)), right);
  lesson.frame("beside the softmax matrix", {{"$P_{nm} A^{-1} P_{mn}$", best}, {"softmax", exact}},
               "Only this comparison needs $n \\times n$ matrices; the method multiplies from right to left.");
  lesson.expect("Nystrom by its three factors gives nystrom_attention: largest difference",
                largest(matmul(matmul(matmul(left, iterative_inverse(a)), right), t.v) -
                        nystrom_attention(t.q, t.k, t.v, {.landmarks = m})),
                Below{1e-12});
}

}  // namespace ink::lesson
