// The algorithms of lesson 01: the maximum of every k neighbours, five ways, each counting its comparisons.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace ink::lesson {

using Samples = std::vector<float>;

// All algorithms compare samples through this, so that their comparisons can be counted. At a tie the first sample
// wins.
struct Compare {
  int64_t count = 0;
  bool less(float a, float b) { return ++count, a < b; }
  float max(float a, float b) { return less(a, b) ? b : a; }
};

// ---- O(n k): look at every window afresh, k - 1 comparisons each.
inline Samples brute_force(const Samples& x, size_t k, Compare& c) {
  Samples out;
  for (size_t i = 0; i + k <= x.size(); ++i) {
    float m = x[i];
    for (size_t j = i + 1; j < i + k; ++j) m = c.max(m, x[j]);  // (1.1)
    out.push_back(m);
  }
  return out;
}

// ---- O(n log n): the largest sample is on top of a heap; it is thrown away when it is found to be too old.
// `happens` is told of each change: what, and the indices that the heap holds.
inline Samples heap(const Samples& x, size_t k, Compare& c, auto&& happens) {
  auto lower = [&](size_t a, size_t b) { return c.less(x[a], x[b]); };
  std::vector<size_t> kept;  // kept[0] is the top
  Samples out;
  for (size_t i = 0; i < x.size(); ++i) {
    kept.push_back(i), std::push_heap(kept.begin(), kept.end(), lower), happens("enters", kept);
    while (kept.front() + k <= i)
      std::pop_heap(kept.begin(), kept.end(), lower), kept.pop_back(), happens("too old", kept);
    if (i + 1 >= k) out.push_back(x[kept.front()]);
  }
  return out;
}
inline Samples heap(const Samples& x, size_t k, Compare& c) {
  return heap(x, k, c, [](const char*, const std::vector<size_t>&) {});
}

// ---- O(n): only samples that can still become a maximum are kept. Indices rise from front to back, samples fall. As a
// class it serves a stream: push a sample, read the maximum of the last k, in O(1) amortised and O(k) memory.
class MonotonicDeque {
 public:
  explicit MonotonicDeque(size_t k) : k_(k) {}
  // The maximum of the last k samples. `happens` is told of each change.
  float push(float value, Compare& c, auto&& happens) {
    if (!kept_.empty() && kept_.front().index + k_ <= seen_) kept_.pop_front(), happens("too old");           // (1.2)
    while (!kept_.empty() && c.less(kept_.back().value, value)) kept_.pop_back(), happens("older, smaller");  // (1.3)
    kept_.push_back({seen_++, value}), happens("enters");
    return kept_.front().value;
  }
  float push(float value, Compare& c) {
    return push(value, c, [](const char*) {});
  }
  size_t size() const { return kept_.size(); }
  std::vector<std::string> words() const {  // value@index
    std::vector<std::string> all;
    for (const Kept& e : kept_) all.push_back(fmt::format("{}@{}", e.value, e.index));
    return all;
  }

 private:
  struct Kept {
    size_t index;
    float value;
  };
  std::deque<Kept> kept_;
  size_t k_, seen_ = 0;
};
inline Samples deque(const Samples& x, size_t k, Compare& c) {
  MonotonicDeque window(k);
  Samples out;
  for (size_t i = 0; i < x.size(); ++i) {
    float m = window.push(x[i], c);
    if (i + 1 >= k) out.push_back(m);
  }
  return out;
}

// Comparisons of the dearest push there is: a large sample when all k that the deque holds are smaller.
inline int64_t dearest_push(size_t k) {
  MonotonicDeque window(k);
  Compare filling, last;
  for (size_t i = 0; i < k; ++i) window.push(-float(i), filling);
  window.push(1, last);
  return last.count;
}

// ---- O(n), no branch on the data: a window of k samples touches at most two blocks of k samples. Its maximum is the
// larger of R, running from the end of the first block back to i, and L, running from the start of the second up to
// i + k - 1. Nothing but an associative merge is asked for: it serves sums, and the (m, l) pairs below, too.
template <class T, class Merge> std::vector<T> since_block_start(const std::vector<T>& x, size_t k, Merge merge) {
  std::vector<T> left = x;
  for (size_t i = 1; i < x.size(); ++i)
    if (i % k) left[i] = merge(left[i - 1], x[i]);  // (1.5)
  return left;
}
template <class T, class Merge> std::vector<T> until_block_end(const std::vector<T>& x, size_t k, Merge merge) {
  std::vector<T> right = x;
  for (size_t i = x.size() - 1; i-- > 0;)
    if ((i + 1) % k) right[i] = merge(x[i], right[i + 1]);  // (1.6)
  return right;
}
template <class T, class Merge> std::vector<T> blocks(const std::vector<T>& x, size_t k, Merge merge) {
  std::vector<T> left = since_block_start(x, k, merge), right = until_block_end(x, k, merge), out;
  for (size_t i = 0; i + k <= x.size(); ++i)
    out.push_back(i % k ? merge(right[i], left[i + k - 1]) : right[i]);  // (1.7)
  return out;
}
inline Samples van_herk(const Samples& x, size_t k, Compare& c) {
  return blocks(x, k, [&](float a, float b) { return c.max(a, b); });
}

// ---- O(n log k) in log2 k passes over the whole line: two windows of w samples make one of 2 w; the last pass
// overlaps.
inline Samples doubling(const Samples& x, size_t k, Compare& c) {
  Samples m = x;  // m[i]: maximum of the w samples from i
  size_t w = 1;
  auto widen = [&](size_t shift) {
    for (size_t i = 0; i + shift < m.size(); ++i) m[i] = c.max(m[i], m[i + shift]);  // (1.8)
    m.resize(m.size() - shift);
    w += shift;
  };
  while (2 * w <= k) widen(w);
  if (w < k) widen(k - w);
  return m;
}

struct Algorithm {
  const char* name;
  Samples (*run)(const Samples& x, size_t k, Compare& c);
  double (*expected)(double k);  // comparisons per sample of a long random line; the heap's have no short formula
};
inline constexpr Algorithm kAlgorithms[] = {
    {"brute force", brute_force, [](double k) { return k - 1; }},
    {"heap", heap, nullptr},
    // A sample leaves by a comparison unless it leaves by age (one in k); a push ends in a failed comparison unless it
    // empties the deque (one in k).
    {"deque", deque, [](double k) { return 2 - 2 / k; }},
    // L, R and their merge; none of the three at a block's edge (one in k).
    {"van Herk", van_herk, [](double k) { return 3 - 3 / k; }},
    {"doubling", doubling, [](double k) { return std::ceil(std::log2(k)); }},
};

inline double comparisons_per_sample(const Algorithm& a, const Samples& x, size_t k) {
  Compare c;
  a.run(x, k, c);
  return double(c.count) / double(x.size());
}

struct Stream {
  const char* name;
  Samples samples;
};
inline std::vector<Stream> streams(const Samples& random) {
  Stream rising{"rising", {}}, falling{"falling", {}}, constant{"constant", {}}, sawtooth{"sawtooth", {}};
  for (size_t i = 0; i < random.size(); ++i) {
    rising.samples.push_back(float(i)), falling.samples.push_back(-float(i));
    constant.samples.push_back(1), sawtooth.samples.push_back(100 - float(i % 100));
  }
  return {{"random", random}, rising, falling, constant, sawtooth};
}

// The best of five stretches of the stream: the others met a busy machine.
inline double nanoseconds_per_sample(const Samples& x, size_t k) {
  using Clock = std::chrono::steady_clock;
  MonotonicDeque window(k);
  Compare c;
  double best = INFINITY;
  for (size_t part = 0; part < 5; ++part) {
    auto start = Clock::now();
    for (size_t i = part * x.size() / 5; i < (part + 1) * x.size() / 5; ++i) window.push(x[i], c);
    best =
        std::min(best, std::chrono::duration<double, std::nano>(Clock::now() - start).count() * 5 / double(x.size()));
  }
  return best;
}

}  // namespace ink::lesson
