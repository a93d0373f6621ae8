// Lesson 09c, section 2: four ways to compute h_t = a_t h_{t-1} + b_t. Each is written out over a list of numbers, with
// every joining counted, and held to the library's.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <vector>

#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"

namespace ink::lesson {

// What a stretch of steps does to the state: h -> a h + b.
struct Stretch {
  double a, b;
};
// A multiplication and a multiply-add; depth: how many must wait for each other.
struct Counted {
  std::vector<double> h;
  int64_t work = 0, depth = 0;
};
inline Stretch joined(const Stretch& first, const Stretch& then) {
  return {then.a * first.a, then.a * first.b + then.b};  // (9.54)
}

inline Counted one_by_one(const std::vector<Stretch>& s) {
  Counted c{.h = {s[0].b}};
  for (size_t t = 1; t < s.size(); ++t) c.h.push_back(s[t].a * c.h.back() + s[t].b), ++c.work, ++c.depth;
  return c;
}

// After the round of width w, entry t spans the steps t - 2w + 1 .. t.
inline Counted hillis_steele(std::vector<Stretch> s) {
  Counted c;
  for (size_t w = 1; w < s.size(); w *= 2, ++c.depth) {
    const std::vector<Stretch> before = s;
    for (size_t t = w; t < s.size(); ++t) s[t] = joined(before[t - w], before[t]), ++c.work;
  }
  for (const Stretch& x : s) c.h.push_back(x.b);
  return c;
}

// Up: pairs become one stretch each, half as many. Down: the state after a pair is the state before the next one. A
// power of two of steps.
inline Counted blelloch(const std::vector<Stretch>& s) {
  if (s.size() == 1) return {.h = {s[0].b}};
  std::vector<Stretch> pairs;
  for (size_t t = 0; t < s.size(); t += 2) pairs.push_back(joined(s[t], s[t + 1]));
  Counted c = blelloch(pairs);
  const std::vector<double> after_pair = c.h;
  c.h = {s[0].b, after_pair[0]};
  for (size_t p = 1; p < pairs.size(); ++p) {
    c.h.push_back(s[2 * p].a * after_pair[p - 1] + s[2 * p].b);
    c.h.push_back(after_pair[p]);
  }
  c.work += 2 * int64_t(pairs.size()) - 1;
  c.depth += pairs.size() > 1 ? 2 : 1;
  return c;
}

// sqrt(n) chunks of sqrt(n) steps, side by side; the ends of chunks one after the other; then all steps of a chunk get
// what the chunks before have left.
inline Counted in_chunks(const std::vector<Stretch>& s) {
  const size_t size = size_t(std::lround(std::sqrt(double(s.size()))));
  Counted c{.h = std::vector<double>(s.size())};
  std::vector<Stretch> within = s;
  for (size_t t = 0; t < s.size(); ++t)
    if (t % size) within[t] = joined(within[t - 1], s[t]), ++c.work;
  double before = 0;
  for (size_t start = 0; start < s.size(); start += size) {
    for (size_t t = start; t < std::min(s.size(), start + size); ++t) {
      c.h[t] = within[t].a * before + within[t].b;
      c.work += start > 0;
    }
    before = c.h[std::min(s.size(), start + size) - 1];
  }
  c.depth = int64_t(size - 1) + int64_t((s.size() + size - 1) / size - 1) + 1;
  return c;
}

struct Way {
  const char* name;
  ScanAlgorithm algorithm;
  Counted (*count)(std::vector<Stretch>);
};
inline const Way kWays[] = {
    {"sequential", ScanAlgorithm::sequential, [](std::vector<Stretch> s) { return one_by_one(s); }},
    {"Hillis-Steele", ScanAlgorithm::hillis_steele, [](std::vector<Stretch> s) { return hillis_steele(s); }},
    {"Blelloch", ScanAlgorithm::blelloch, [](std::vector<Stretch> s) { return blelloch(s); }},
    {"chunked", ScanAlgorithm::chunked, [](std::vector<Stretch> s) { return in_chunks(s); }}};

// Work and depth of all ways for powers of four; the largest difference to the library's result.
inline void count_the_ways(Lesson& lesson, int64_t longest) {
  std::vector<Series> work, depth;
  double worst = 0;
  Generator g(lesson.seed());
  for (const Way& way : kWays) {
    Series w{.name = way.name}, d{.name = way.name};
    for (int64_t n = 16; n <= longest; n *= 4) {
      const Tensor a = rand({n}, f64, &g), b = randn({n}, f64, &g);
      std::vector<Stretch> s;
      const std::vector<double> as = a.to_vector<double>(), bs = b.to_vector<double>();
      for (int64_t t = 0; t < n; ++t) s.push_back({as[size_t(t)], bs[size_t(t)]});
      const Counted c = way.count(s);
      const Tensor mine = from_data(c.h, {n});
      worst = std::max(worst, max(abs(mine - linear_recurrence(a, b, 0, {.algorithm = way.algorithm}))).item());
      w.x.push_back(double(n)), w.y.push_back(double(c.work));
      d.x.push_back(double(n)), d.y.push_back(double(c.depth));
    }
    work.push_back(w), depth.push_back(d);
  }
  lesson.plot("work", work, {.x = "steps n", .y = "joinings", .log = true, .caption = "Work: all joinings, counted."});
  lesson.plot("depth", depth,
              {.x = "steps n", .y = "joinings in a row", .log = true, .caption = "Depth: those that must wait."});
  lesson.expect("four ways, written out and in the library: largest difference", worst, Below{1e-12});
  const double n = work[0].x.back(), log2n = std::log2(n), root = std::sqrt(n);
  lesson.value("steps counted", n);
  lesson.expect("sequential: joinings, n - 1", work[0].y.back(), Equals{n - 1});
  lesson.expect("Hillis-Steele: joinings, n log2 n - n + 1", work[1].y.back(), Equals{n * log2n - n + 1});
  lesson.expect("Blelloch: joinings, 2 n - 2 - log2 n", work[2].y.back(), Equals{2 * n - 2 - log2n});
  lesson.expect("chunked: joinings, 2 n - 2 sqrt n", work[3].y.back(), Equals{2 * n - 2 * root});
  lesson.expect("depths: n - 1, log2 n, 2 log2 n - 1, 2 sqrt n - 1",
                depth[0].y.back() == n - 1 && depth[1].y.back() == log2n && depth[2].y.back() == 2 * log2n - 1 &&
                    depth[3].y.back() == 2 * root - 1);
}

// Blelloch's two sweeps over eight steps, in place: each cell holds the stretch that ends there.
inline void two_sweeps(Lesson& lesson) {
  if (!lesson.wants_frames()) return;
  lesson.player("Blelloch, up and down");
  const int64_t n = 8;
  const std::vector<double> first_a{0, 1, 0.5, 1, 0.5, 1, 0.5, 1}, first_b{1, 1, 1, 2, 1, 2, 2, 1};
  std::vector<double> a = first_a, b = first_b, h(size_t(n), NAN);
  const auto frame = [&](const std::string& title, const std::string& text, int64_t at = -1, int64_t from = -1) {
    std::vector<Place> here;
    if (at >= 0) here.push_back({0, at});
    if (from >= 0) here.push_back({0, from});
    lesson.frame(title, {{"$a$", a, here}, {"$b$", b, here}, {"$h$", h, here}}, text);
  };
  frame("eight steps",
        "Cell $t$ takes $h$ to $a h + b$. The first one takes whatever was before to $b$: its $a$ is 0.");
  for (int64_t w = 1; w < n; w *= 2)
    for (int64_t t = 2 * w - 1; t < n; t += 2 * w) {
      const Stretch s = joined({a[size_t(t - w)], b[size_t(t - w)]}, {a[size_t(t)], b[size_t(t)]});
      a[size_t(t)] = s.a, b[size_t(t)] = s.b;
      frame(fmt::format("up: steps {} to {} become one", t - 2 * w + 1, t),
            fmt::format("Cell {} joins the {} of cell {} to its own. All joinings of this round could run at once.", t,
                        w == 1 ? "step" : fmt::format("{} steps", w), t - w),
            t, t - w);
    }
  h[size_t(n - 1)] = b[size_t(n - 1)];
  frame("the top",
        "Cell 7 spans all steps, so its $b$ is $h_7$. So are those of cells 0, 1 and 3, which span all up to them.",
        n - 1);
  for (int64_t t : {0, 1, 3}) h[size_t(t)] = b[size_t(t)];
  for (int64_t w = n / 4; w >= 1; w /= 2)
    for (int64_t t = 3 * w - 1; t < n; t += 2 * w) {
      h[size_t(t)] = a[size_t(t)] * h[size_t(t - w)] + b[size_t(t)];
      frame(fmt::format("down: $h_{}$ from $h_{}$", t, t - w),
            fmt::format("Cell {} spans the {} since step {}, whose state is known.", t,
                        w == 1 ? "one step" : fmt::format("{} steps", w), t - w),
            t, t - w);
    }
  double expected = 0, off = 0;
  for (int64_t t = 0; t < n; ++t) {
    expected = first_a[size_t(t)] * expected + first_b[size_t(t)];
    off = std::max(off, std::abs(h[size_t(t)] - expected));
  }
  lesson.expect("the two sweeps, cell by cell, end with every state: largest difference", off, Below{1e-12});
}

// h_t = lambda^t (sum of lambda^{-k} b_k): one cumulative sum, until lambda^{-k} overflows. The first step at which the
// result is no longer finite.
inline int64_t first_overflow(double lambda, int64_t n) {
  const Tensor k = arange(0, n, 1, f64);
  const Tensor up = exp(k * -std::log(lambda)).to(f32), down = exp(k * std::log(lambda)).to(f32);
  const Tensor h = down * cumsum(up, 0);  // b = 1; (9.55)
  const std::vector<double> values = h.to_vector<double>();
  for (int64_t t = 0; t < n; ++t)
    if (!std::isfinite(values[size_t(t)])) return t;
  return n;
}

// Milliseconds of each way over `n` steps of 16 numbers, and of attention with one head of 16 for comparison.
inline void race(Lesson& lesson, int64_t longest, const Options& numbers) {
  NoGrad guard;
  const auto least_ms = [](const auto& f) {
    double least = INFINITY;
    for (int i = 0; i < 3; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      f().flatten()[0].item();
      least = std::min(least, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
    return least * 1e3;
  };
  std::vector<Series> curves;
  for (const Way& way : kWays) curves.push_back({.name = way.name});
  curves.push_back({.name = "attention", .mark = Mark::dashed});
  for (int64_t n = 256; n <= longest; n *= 4) {
    const Tensor a = rand({n, 16}, numbers), b = randn({n, 16}, numbers), q = randn({1, 1, n, 16}, numbers);
    for (size_t i = 0; i < 4; ++i) {
      curves[i].x.push_back(double(n));
      curves[i].y.push_back(least_ms([&] { return linear_recurrence(a, b, 0, {.algorithm = kWays[i].algorithm}); }));
    }
    if (n > 16384) continue;
    curves[4].x.push_back(double(n));
    curves[4].y.push_back(
        least_ms([&] { return scaled_dot_product_attention(q, q, q, {.causal = Causal::top_left}); }));
  }
  lesson.plot("race", curves,
              {.x = "steps n",
               .y = "ms",
               .log = true,
               .caption = "16 channels. The loop has a kernel; the others are plain ops over whole arrays. Attention: "
                          "one head of 16, causal."});
  for (const Series& s : curves) lesson.measured(fmt::format("race, {}, ms of the longest", s.name), s.y.back(), "ms");
}

}  // namespace ink::lesson
