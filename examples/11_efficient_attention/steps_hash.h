// Lesson 11 step by step: LSH attention from the hash to the weights, and how rounds are merged.
#pragma once
#include "examples/11_efficient_attention/lesson.h"

namespace ink::lesson {

// Eight tokens, four buckets, chunks of two: what lsh_attention does for one round, in plain loops.
inline void hash_sort_chunk(Lesson& lesson) {
  lesson.player("hash, sort, chunks");
  const int64_t n = 8, buckets = 4, size = 2;
  Tensor x =
      from_data(std::vector<double>{2, 1, -1, 2, 2, 0, -2, -1, 1, -2, -1, 1, 1, 1, 0, -1}, {n, 2}).to(lesson.device());
  Generator g(4);
  Tensor r = randn({1, 2, buckets / 2}, x.options(), &g)[0];  // what lsh_attention draws with this seed
  Tensor along = matmul(x, r), both = cat({along, -along}, 1), hashed = argmax(both, 1);
  Tensor rows = full({n, buckets}, NAN, x.options()), unit = x / norm(x, {-1}, true);
  std::vector<std::string> bucket(size_t(n), "?"), sorted(size_t(n), "?");
  lesson.frame("eight tokens", {{"x", x}, {"R", r}, {"bucket of each token", bucket}},
               "Two random directions, the columns of R; with their opposites four buckets.");
  for (int64_t i = 0; i < n; ++i) {
    const int64_t h = hashed[i].item<int64_t>();
    select(rows, 0, i).copy_(both[i]);
    bucket[size_t(i)] = std::to_string(h);
    lesson.frame(fmt::format("hash of token {}", i),
                 {{"x", x, {{i}}}, {"[x R, -x R]", rows, {{i, h}}}, {"bucket of each token", bucket, {{0, i}}}},
                 fmt::format("The largest of four is number {}: the direction it is nearest to.", h));
  }
  std::vector<int64_t> order;
  for (int64_t b = 0; b < buckets; ++b)
    for (int64_t i = 0; i < n; ++i) {
      if (hashed[i].item<int64_t>() != b) continue;
      sorted[order.size()] = std::to_string(i);
      order.push_back(i);
      lesson.frame(fmt::format("place {}: token {}", order.size() - 1, i),
                   {{"bucket of each token", bucket, {{0, i}}},
                    {"tokens in order", sorted, {{0, int64_t(order.size()) - 1}}}},
                   fmt::format("Bucket {}, from the left: within a bucket the order of the text stays.", b));
    }
  Tensor seen = zeros({n, n}, x.options()), weights = full({n, n}, NAN, x.options());
  for (int64_t c = 0; c < n / size; ++c) {
    const int64_t before = (c + n / size - 1) % (n / size);
    std::vector<int64_t> keys;
    std::vector<Place> own, places;
    for (int64_t chunk : {before, c})
      for (int64_t s = 0; s < size; ++s)
        keys.push_back(order[size_t(chunk * size + s)]), places.push_back({0, chunk * size + s});
    for (int64_t s = 0; s < size; ++s) {
      const int64_t i = order[size_t(c * size + s)];
      double sum = 0;
      Tensor row = zeros({n}, x.options());
      for (int64_t j : keys)
        if (j != i) {
          Tensor e = exp((x[i] * unit[j]).sum() / std::sqrt(2.));
          row[j].copy_(e), seen[i][j].copy_(ones({}, x.options())), sum += e.item();
        }
      select(weights, 0, i).copy_(row / sum);
      own.push_back({i});
    }
    lesson.frame(fmt::format("chunk {} sees itself and {}", c, c ? fmt::format("chunk {}", c - 1) : "the last chunk"),
                 {{"tokens in order", sorted, places}, {"who sees whom", seen, own}, {"weights", weights, own}},
                 "Rows and columns are tokens in the order of the text again. No token sees itself: it sees others.");
  }
  lesson.expect("step by step gives lsh_attention's weights: largest difference",
                largest(weights - lsh_weights(x, {.bucket_size = size, .rounds = 1, .buckets = buckets, .seed = 4})),
                Below{1e-12});
}

// One query, six keys, three rounds: what each round holds and how they are joined.
inline void rounds_by_lse(Lesson& lesson) {
  lesson.player("three rounds, merged");
  const int64_t n = 6;
  const Options f{f64, lesson.device()};
  Tensor scores = from_data(std::vector<double>{0, 1, 3, 0.5, 2, 1.5}, {n}).to(f), values = eye(n, f);
  const std::vector<std::vector<int64_t>> met{{1, 2}, {2, 4}, {5}};
  Tensor out = zeros({1, n}, f), lse = full({1}, -INFINITY, f), counts = zeros({n}, f);
  lesson.frame("one query", {{"scores of the keys", scores}}, "Values are unit vectors, so $o$ shows the weights.");
  for (size_t r = 0; r < met.size(); ++r) {
    Tensor mask = zeros({n}, f);
    std::vector<Place> places;
    for (int64_t j : met[r]) mask[j].copy_(ones({}, f)), places.push_back({0, j});
    Tensor in_round = where(mask > 0, scores, full_like(scores, -INFINITY));
    Tensor o = softmax(in_round, 0), l = log(sum(mask * exp(scores)));
    counts = counts + mask;
    std::tie(out, lse) = merge_attention(out, lse, o.unsqueeze(0), l.reshape({1}));
    lesson.frame(fmt::format("round {}", r + 1),
                 {{"scores of the keys", scores, places},
                  {"$o_r$", o},
                  {"$\\text{lse}_r$", l.item()},
                  {"$o$ so far", out[0]},
                  {"lse so far", lse[0].item()}},
                 r == 1 ? "Key 2 was met before: its $e^s$ is in both sums."
                        : "The round's own softmax, and the log of its sum: all that a merge needs.");
  }
  Tensor counted = softmax(where(counts > 0, scores + log(counts), full_like(scores, -INFINITY)), 0);
  lesson.frame(
      "what came out",
      {{"scores of the keys", scores},
       {"rounds in which it was met", counts},
       {"$o$", out[0], {{0, 2}}},
       {"once each", softmax(where(counts > 0, scores, full_like(scores, -INFINITY)), 0), {{0, 2}}}},
      "A softmax over $s + \\ln \\mu$: key 2 counts twice, unless it is counted in the first of its rounds alone.");
  lesson.expect("rounds merged by lse: softmax of s + ln(meetings): largest difference", largest(out[0] - counted),
                Below{1e-12});
}

}  // namespace ink::lesson
