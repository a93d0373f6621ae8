// The algorithms of lesson 01: the maximum of every k neighbours, five ways, each counting its comparisons.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <deque>
#include <queue>
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
    for (size_t j = i + 1; j < i + k; ++j) m = c.max(m, x[j]);
    out.push_back(m);
  }
  return out;
}

// ---- O(n log n): the largest sample is on top of a heap; it is thrown away when it is found to be too old.
inline Samples heap(const Samples& x, size_t k, Compare& c) {
  auto lower = [&](size_t a, size_t b) { return c.less(x[a], x[b]); };
  std::priority_queue<size_t, std::vector<size_t>, decltype(lower)> indices(lower);
  Samples out;
  for (size_t i = 0; i < x.size(); ++i) {
    indices.push(i);
    while (indices.top() + k <= i) indices.pop();
    if (i + 1 >= k) out.push_back(x[indices.top()]);
  }
  return out;
}

// ---- O(n): only samples that can still become a maximum are kept. Indices rise from front to back, samples fall. As a
// class it serves a stream: push a sample, read the maximum of the last k, in O(1) amortised and O(k) memory.
class MonotonicDeque {
 public:
  explicit MonotonicDeque(size_t k) : k_(k) {}
  float push(float value, Compare& c) {
    if (!kept_.empty() && kept_.front().index + k_ <= seen_) kept_.pop_front();    // expired
    while (!kept_.empty() && c.less(kept_.back().value, value)) kept_.pop_back();  // older and smaller: never a maximum
    kept_.push_back({seen_++, value});
    return kept_.front().value;
  }
  size_t size() const { return kept_.size(); }
  std::string str() const {
    std::string s;
    for (const Kept& e : kept_) s += fmt::format("{:>3}@{}", e.value, e.index);
    return s;
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

// ---- O(n), no branch on the data: a window of k samples touches at most two blocks of k samples. Its maximum is the
// larger of R, running from the end of the first block back to i, and L, running from the start of the second up to
// i + k - 1. Nothing but an associative merge is asked for: it serves sums, and the (m, l) pairs below, too.
template <class T, class Merge>
std::vector<T> since_block_start(const std::vector<T>& x, size_t k, Merge merge) {
  std::vector<T> left = x;
  for (size_t i = 1; i < x.size(); ++i)
    if (i % k) left[i] = merge(left[i - 1], x[i]);
  return left;
}
template <class T, class Merge>
std::vector<T> until_block_end(const std::vector<T>& x, size_t k, Merge merge) {
  std::vector<T> right = x;
  for (size_t i = x.size() - 1; i-- > 0;)
    if ((i + 1) % k) right[i] = merge(x[i], right[i + 1]);
  return right;
}
template <class T, class Merge>
std::vector<T> blocks(const std::vector<T>& x, size_t k, Merge merge) {
  std::vector<T> left = since_block_start(x, k, merge), right = until_block_end(x, k, merge), out;
  for (size_t i = 0; i + k <= x.size(); ++i) out.push_back(i % k ? merge(right[i], left[i + k - 1]) : right[i]);
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
    for (size_t i = 0; i + shift < m.size(); ++i) m[i] = c.max(m[i], m[i + shift]);
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

// The log of a windowed sum of exponentials is built from pairs (m, l): maximum, and sum of e^{x - m}.
struct Pair {
  float m, l;
};
inline Pair merge(Pair a, Pair b) {
  float m = std::max(a.m, b.m);
  return {m, a.l * std::exp(a.m - m) + b.l * std::exp(b.m - m)};
}

// log sum e^x over every window: afresh in f64; by blocks of pairs; and by adding what enters and subtracting what
// leaves.
inline std::vector<double> log_sum_exp(const Samples& x, size_t k) {
  std::vector<double> out;
  for (size_t i = 0; i + k <= x.size(); ++i) {
    double sum = 0;
    for (size_t j = i; j < i + k; ++j) sum += std::exp(double(x[j]));
    out.push_back(std::log(sum));
  }
  return out;
}
inline std::vector<double> log_sum_exp_merged(const Samples& x, size_t k) {
  std::vector<Pair> pairs;
  for (float v : x) pairs.push_back({v, 1});
  std::vector<double> out;
  for (Pair p : blocks(pairs, k, merge)) out.push_back(double(p.m + std::log(p.l)));
  return out;
}
inline std::vector<double> log_sum_exp_unadded(const Samples& x, size_t k) {
  std::vector<double> out;
  float s = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    s += std::exp(x[i]) - (i >= k ? std::exp(x[i - k]) : 0);
    if (i + 1 >= k) out.push_back(s > 0 ? std::log(double(s)) : NAN);
  }
  return out;
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
