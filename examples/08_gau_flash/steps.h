// What lesson 08 shows step by step: GAU's attention row by row, a row of growing scores, FLASH chunk by chunk, and
// token by token.
#pragma once
#include <fmt/format.h>

#include <cmath>
#include <string>
#include <vector>

#include "examples/08_gau_flash/probes.h"

namespace ink::lesson {

// Gains and offsets that tell the affine pairs apart and give scores of both signs.
inline void mix_up(GatedUnit& unit, uint64_t seed) {
  NoGrad guard;
  Generator generator(seed);
  unit.gain.copy_(randn(unit.gain.shape(), unit.gain.options(), &generator) * 2.5);
  unit.offset.copy_(randn(unit.offset.shape(), unit.offset.options(), &generator) * 0.3);
}

// (8.2) to (8.5) a row at a time, causal, against the layer's own output.
inline void attention_row_by_row(Lesson& lesson) {
  lesson.player("GAU, row by row");
  NoGrad guard;
  Generator generator(3);
  const int64_t n = 4, s = 2, e = 2;
  GatedAttentionUnit unit({.dim = 4, .expansion = e, .s = s, .causal = true});
  mix_up(unit, 22);
  const Tensor x = randn({1, n, 4}, f32, &generator) * 2;
  const Parts p = parts_of(unit, x[0]);
  Tensor scores = full({n, n}, NAN), a = full({n, n}, NAN), mixed = full({n, e}, NAN), gated = full({n, e}, NAN);
  auto frame = [&](const std::string& title, const std::string& text, int64_t row = -1) {
    std::vector<Place> here;
    if (row >= 0) here.push_back({row});
    lesson.frame(title,
                 {{"Q", p.affine[0], here},
                  {"K", p.affine[1]},
                  {"U", p.u, here},
                  {"$Q K^\\top$", scores},
                  {"A", a},
                  {"V", p.v},
                  {"A V", mixed},
                  {"U ∘ A V", gated}},
                 text);
  };
  frame("before the first row", "Q and K are two images of one Z; U and V are as wide as e. Hatched: not computed.");
  for (int64_t i = 0; i < n; ++i) {
    Tensor row = matmul(p.affine[1].narrow(0, 0, i + 1), select(p.affine[0], 0, i));
    scores[i].narrow(0, 0, i + 1).copy_(row);
    frame(fmt::format("token {}: scores", i), fmt::format("Query {} meets the {} keys so far.", i, i + 1), i);
    a[i].narrow(0, 0, i + 1).copy_(square(relu(row)) / double(s * (i + 1)));
    frame(fmt::format("token {}: weights", i),
          fmt::format("What is negative weighs nothing; the rest is squared and divided by s c = {} x {}. The row need "
                      "not sum to 1.",
                      s, i + 1),
          i);
    mixed[i].copy_(matmul(select(a, 0, i).narrow(0, 0, i + 1), p.v.narrow(0, 0, i + 1)));
    gated[i].copy_(mixed[i] * p.u[i]);
    frame(fmt::format("token {}: mixed and gated", i),
          "One row of weights mixes all channels of V alike; U then chooses channel by channel.", i);
  }
  lesson.expect("row by row by hand, the layer's own output: largest difference",
                largest(unit.out.forward(gated) - unit.forward(x)[0]), Below{1e-5});
}

// Eight scores of one row that grow together: relu^2 follows their square, the Laplace function stops at 1.
inline void scores_that_grow(Lesson& lesson) {
  if (!lesson.wants_frames()) return;
  lesson.player("scores that grow");
  const std::vector<double> row{-1, -0.5, -0.1, 0, 0.1, 0.3, 0.6, 1};
  for (double scale : {0.25, 0.5, 1., 2., 4., 8.}) {
    std::vector<double> x, squares, laplace, softmax;
    double sum = 0;
    for (double r : row) {
      x.push_back(scale * r), squares.push_back(weight_of(GauNormaliser::count, x.back()));
      laplace.push_back(weight_of(GauNormaliser::laplace, x.back()));
      softmax.push_back(std::exp(x.back())), sum += softmax.back();
    }
    for (double& w : softmax) w /= sum;
    lesson.frame(fmt::format("scores times {:g}", scale),
                 {{"scores", x}, {"relu²", squares}, {"Laplace", laplace}, {"softmax", softmax}},
                 scale < 1    ? "Small scores: relu² is nearly nothing, Laplace never quite, softmax nearly even."
                 : scale == 1 ? "Around $\\sqrt{1/2}$ relu² and Laplace agree; below 0 only relu² is exactly 0."
                              : "Twice the scores: four times the weights under relu², at most 1 under Laplace, and "
                                "softmax moves to the largest.");
  }
}

// (8.9) to (8.11) a chunk at a time, causal, against the layer's own output.
inline void chunk_by_chunk(Lesson& lesson) {
  lesson.player("FLASH, chunk by chunk");
  NoGrad guard;
  Generator generator(5);
  const int64_t n = 8, c = 2, s = 2, e = 2;
  FlashGau unit({.dim = 4, .expansion = e, .s = s, .chunk = c, .causal = true});
  mix_up(unit, 9);
  const Tensor x = randn({1, n, 4}, f32, &generator) * 2;
  const Parts p = parts_of(unit, x[0]);
  Tensor pairs = full({n, n}, NAN), sum = zeros({s, e}), o = full({n, e}, NAN);
  int64_t tokens = 0;  // in the sum
  auto frame = [&](const std::string& title, int64_t g, const std::string& text) {
    std::vector<Place> here;
    for (int64_t i = g * c; i < (g + 1) * c; ++i) here.push_back({i});
    lesson.frame(title,
                 {{"weights of pairs", pairs}, {"V", p.v, here}, {"S", sum}, {"tokens in S", tokens}, {"O", o, here}},
                 text);
  };
  for (int64_t g = 0; g < n / c; ++g) {
    auto cut = [&](const Tensor& t) { return t.narrow(0, g * c, c); };
    Tensor near = tril(square(relu(matmul(cut(p.affine[0]), cut(p.affine[1]).t())))) / double(c * s);
    pairs.narrow(0, g * c, c).narrow(1, g * c, c).copy_(near.masked_fill(logical_not(tri(c, c)), NAN));
    cut(o).copy_(matmul(near, cut(p.v)));
    frame(fmt::format("chunk {}: within", g), g,
          fmt::format("Tokens {} and {} are weighed pair by pair, relu² of their scores over c s, and O is A V so far.",
                      g * c, g * c + 1));
    if (g > 0) {
      cut(o).add_(matmul(cut(p.affine[2]), sum) / double(g * c));
      frame(fmt::format("chunk {}: across", g), g,
            fmt::format("Q' reads S, divided by the {} tokens that are in it: all earlier tokens, in s x e numbers.",
                        g * c));
    }
    sum.add_(matmul(cut(p.affine[3]).t(), cut(p.v))), tokens += c;
    frame(fmt::format("chunk {}: into the sum", g), g,
          "$K'^\\top V$ of this chunk is added to S; its keys and values are not needed any more.");
  }
  lesson.expect("chunk by chunk by hand, the layer's own output: largest difference",
                largest(unit.out.forward(p.u * o) - unit.forward(x)[0]), Below{is_half(lesson.dtype()) ? 0.02 : 1e-5});
}

// What FlashGau::step keeps while it reads eight tokens, chunks of 3.
inline void token_by_token(Lesson& lesson) {
  if (!lesson.wants_frames()) return;
  lesson.player("FLASH, token by token");
  NoGrad guard;
  Generator generator(7);
  const int64_t n = 8, c = 3, s = 2, e = 2;
  FlashGau unit({.dim = 4, .expansion = e, .s = s, .chunk = c, .causal = true});
  mix_up(unit, 9);
  AttentionState state;
  auto kept = [&](const Tensor& t, int64_t width) {  // [c - 1, width], empty where nothing is kept
    Tensor all = full({c - 1, width}, NAN);
    if (t.defined()) all.narrow(0, 0, t.size(2)).copy_(t[0][0]);
    return all;
  };
  for (int64_t i = 0; i < n; ++i) {
    Tensor y = unit.step(randn({1, 1, 4}, f32, &generator) * 2, state);
    const bool folded = !state.key.defined();
    lesson.frame(fmt::format("token {}", i),
                 {{"K kept", kept(state.key, s)},
                  {"K' kept", kept(state.extra, s)},
                  {"V kept", kept(state.value, e)},
                  {"S", state.sum.defined() ? state.sum[0][0] : zeros({s, e})},
                  {"numbers kept", double(state.bytes()) / 4},
                  {"output", y[0]}},
                 folded ? "The chunk is full: its sum goes into S, its keys and values are forgotten."
                        : fmt::format("Weighed against {} key{} of its chunk{}.", i % c + 1, i % c ? "s" : "",
                                      i < c ? "" : fmt::format(", and against S over {} tokens", i / c * c)));
  }
}

}  // namespace ink::lesson
