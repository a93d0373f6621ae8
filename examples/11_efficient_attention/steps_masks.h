// Lesson 11 step by step: what a mask reaches layer by layer, the largest scores row by row, a pattern laid out.
#pragma once
#include "examples/11_efficient_attention/lesson.h"

namespace ink::lesson {

// What `layers` layers of one mask join, bool [n, n]; and how many it takes to join all pairs, 0 if it never does.
inline Tensor reach_of(const AttentionMask& mask, int64_t n, int64_t layers) {
  Tensor seen = mask.dense(n, n).to(f32), heard = eye(n);
  for (int64_t layer = 0; layer < layers; ++layer) heard = (matmul(seen, heard) > 0).to(f32);
  return heard > 0;
}
inline int64_t layers_to_join(const AttentionMask& mask, int64_t n) {
  for (int64_t layers = 1; layers <= n; ++layers)
    if (all(reach_of(mask, n, layers)).item<bool>()) return layers;
  return 0;
}

// Three masks over eight tokens: after how many layers each query has heard of each key.
inline void reach_by_layers(Lesson& lesson) {
  if (!lesson.wants_frames()) return;
  lesson.player("layer by layer: who has heard of whom");
  const int64_t n = 8;
  const AttentionMask list[] = {masks::local(1), masks::atrous(3), masks::local(1) | masks::atrous(3)};
  Tensor heard[3];
  for (Tensor& h : heard) h = full({n, n}, NAN, f64);
  for (int64_t layer = 0; layer < n; ++layer) {
    int64_t news[3];
    for (int i = 0; i < 3; ++i) {
      Tensor now = reach_of(list[i], n, layer) & (heard[i] != heard[i]);  // NaN: not yet
      news[i] = count_nonzero(now).item<int64_t>();
      heard[i] = where(now, full_like(heard[i], double(layer)), heard[i]);
    }
    std::string text =
        layer == 0
            ? "Before the first layer a token knows itself. A cell will show the layer that told row $i$ of column $j$."
        : layer == 1 ? "One layer: the masks themselves."
                     : fmt::format("Who sees somebody who had heard of $j$ hears of it now. New pairs: {}, {} and {}.",
                                   news[0], news[1], news[2]);
    if (layer == 2) text += " The atrous mask stays within its remainder for ever.";
    lesson.frame(fmt::format("after {} layer{}", layer, layer == 1 ? "" : "s"),
                 {{"local 1", heard[0]}, {"atrous 3", heard[1]}, {"either", heard[2]}}, text);
  }
}

// A window below, an atrous layer above, query by query: some keys stay unheard by some remainders.
inline void two_layers_by_query(Lesson& lesson) {
  if (!lesson.wants_frames()) return;
  lesson.player("a window, then an atrous layer, query by query");
  const int64_t n = 8;
  Tensor first = masks::local(2).dense(n, n).to(f64), second = masks::atrous(4).dense(n, n).to(f64);
  Tensor joined = two_layer_reach(masks::local(2), masks::atrous(4), n).to(f64), shown = full({n, n}, NAN, f64);
  lesson.frame("two masks", {{"above: atrous 4", second}, {"below: local 2", first}, {"joined", shown}},
               "1 is seen. Queries are rows. The lower layer has run already.");
  for (int64_t i = 0; i < n; ++i) {
    std::vector<Place> rows;
    std::vector<int64_t> middle, missed;
    for (int64_t m = 0; m < n; ++m) {
      if (second[i][m].item() > 0) middle.push_back(m), rows.push_back({m});
      if (joined[i][m].item() == 0) missed.push_back(m);
    }
    select(shown, 0, i).copy_(joined[i]);
    lesson.frame(fmt::format("query {}", i),
                 {{"above: atrous 4", second, {{i}}}, {"below: local 2", first, rows}, {"joined", shown, {{i}}}},
                 fmt::format("It sees {}; their windows together hold {}.", fmt::join(middle, " and "),
                             missed.empty() ? "all keys" : fmt::format("all keys but {}", fmt::join(missed, ", "))));
  }
}

// Softmax over the two largest scores of each row, a tie kept.
inline void largest_by_row(Lesson& lesson) {
  if (!lesson.wants_frames()) return;
  lesson.player("the two largest scores of each row");
  const int64_t n = 6;
  Tensor q = from_data(std::vector<double>{2, 0, 0, 2, 1, 1, -1, 2, 2, -1, 1, 2}, {n, 2}).to(lesson.device()),
         k = from_data(std::vector<double>{2, 0, 1, 1, 0, 2, -1, 1, 0, -1, 2, 1}, {n, 2}).to(lesson.device());
  Tensor scores = matmul(q, transpose(k, 0, 1)) / std::sqrt(2.), kept = topk_attention(q, k, eye(n, q.options()), 2),
         shown = full({n, n}, NAN, q.options());
  lesson.frame("all scores", {{"$s_{ij}$", scores}, {"weights", shown}},
               "Every pair is computed before most are thrown away.");
  for (int64_t i = 0; i < n; ++i) {
    std::vector<Place> places;
    for (int64_t j = 0; j < n; ++j)
      if (kept[i][j].item() > 0) places.push_back({i, j});
    select(shown, 0, i).copy_(kept[i]);
    std::string text = fmt::format("The second largest score is {:.3g}; what lies below has no weight.",
                                   std::get<0>(sort(scores[i], -1, true))[1].item());
    if (places.size() > 2)
      text += fmt::format(" {} keys tie and stay: no rule would choose among them.", places.size());
    lesson.frame(fmt::format("row {}", i), {{"$s_{ij}$", scores, places}, {"weights", shown, {{i}}}}, text);
  }
}

// Every second key, in tiles of 2 x 2: sorted by the remainder, half of the tiles are empty.
inline void tiles_by_order(Lesson& lesson) {
  if (!lesson.wants_frames()) return;
  lesson.player("atrous 2, sorted by remainder");
  const int64_t n = 8;
  Tensor mask = masks::atrous(2).dense(n, n).to(f64);
  std::vector<int64_t> order{0, 1, 2, 3, 4, 5, 6, 7};
  Tensor now, tiles;
  auto show = [&](const std::string& title, const std::string& text, const std::vector<Place>& at = {}) {
    std::vector<std::string> names;
    for (int64_t i : order) names.push_back(std::to_string(i));
    Tensor places = from_data(std::span<const int64_t>(order), {n}).to(mask.device());
    now = index_select(index_select(mask, 0, places), 1, places);
    tiles = now.reshape({4, 2, 4, 2}).sum({1, 3});
    lesson.frame(title, {{"order", names}, {"mask in this order", now}, {"pairs in a tile of 2 x 2", tiles, at}}, text);
  };
  show("as the tokens stand", "Every tile holds two of its four pairs: all sixteen must be computed.");
  for (int64_t place : {1, 2, 3}) {  // 2, 4 and 6 move to the front
    const int64_t token = 2 * place;
    order.erase(std::find(order.begin(), order.end(), token));
    order.insert(order.begin() + place, token);
    show(fmt::format("{} moves to the other even ones", token),
         place < 3 ? "Queries and keys move together; no pair is lost."
                   : "Even tokens first, odd ones behind: eight tiles are full, eight empty.");
  }
  int64_t visited = 0;
  for (int64_t a = 0; a < 4; ++a)
    for (int64_t b = 0; b < 4; ++b)
      if (tiles[a][b].item() > 0)
        show(fmt::format("tile ({}, {})", a, b),
             fmt::format("Visited: {} of 16. A full tile is a plain product.", ++visited), {{a, b}});
}

}  // namespace ink::lesson
