// What lesson 09d shows step by step: a memory as keys are written again, the logarithmic wkv, the chunked form.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "examples/09d_linear_rnn/memory.h"
#include "nn/ssm/rwkv/wkv.h"

namespace ink::lesson {

// Two keys at an angle of 60 degrees and a third at right angles to both; "a" is written a second time, then "b".
inline void keys_written_again(Lesson& lesson, const Options& numbers) {
  if (!lesson.wants_frames()) return;
  const Tensor keys = tensor({{1, 0, 0}, {0.5, std::sqrt(0.75), 0}, {0, 0, 1}}, f64).to(numbers);
  struct Write {
    int64_t key;
    double value[3];
    const char* text;
  };
  const Write writes[] = {
      {0, {1, 0, 0}, "The first pair: all rules write $k v^\\top$, there is nothing to erase."},
      {1, {0, 1, 0}, "b leans on a: half of a's value stands under b already. The delta rule takes it off."},
      {2, {0, 0, 1}, "c is at right angles to both: nothing under it, and nothing of it under a or b."},
      {0, {0, 0, 2}, "a again, with a new value. Adding leaves the old one beside it; the delta rule replaces it."},
      {1,
       {2, 0, 0},
       "b again. To write under b changes what stands under a by half of the change: keys that are not "
       "at right angles disturb each other under every rule."},
      {0,
       {0, 0, 2},
       "a with the same value once more: the delta rule writes only what is missing, adding doubles it."}};
  const std::vector<std::string> names{"a", "b", "c"};
  lesson.player("three rules, keys written again");
  std::vector<Tensor> states(4);
  std::vector<std::string> read;
  Tensor wanted = full({3, 3}, NAN, numbers);
  for (const Write& w : writes) {
    const Tensor key = keys.narrow(0, w.key, 1), value = tensor({w.value[0], w.value[1], w.value[2]}, f64).to(numbers);
    select(wanted, 0, w.key).copy_(value);
    read.push_back(names[size_t(w.key)]);
    for (size_t r = 0; r < 4; ++r)
      states[r] = written(kRules[r], unsqueeze(key, 0), value.reshape({1, 1, 3}), states[r]);
    const auto under = [&](size_t r) { return matmul(keys, states[r][0]); };
    lesson.frame(fmt::format("write {}", read.size()),
                 {{"written", read, {{0, int64_t(read.size()) - 1}}},
                  {"last values of a, b, c", wanted, {{w.key}}},
                  {"add: read under a, b, c", under(0), {{w.key}}},
                  {"add, decay 0.97", under(1), {{w.key}}},
                  {"delta: read under a, b, c", under(2), {{w.key}}},
                  {"S of delta", states[2][0]}},
                 w.text);
  }
}

// One channel of wkv: keys of up to 300, whose exponentials no float holds.
inline void wkv_in_log_space(Lesson& lesson, const Options& numbers) {
  if (!lesson.wants_frames()) return;
  lesson.player("wkv, token by token");
  const std::vector<double> keys{0, 2, 300, 298, 1, 301, -300, 299}, values{1, 2, 3, 4, 5, 6, 7, 8};
  const double w = -1, u = 0.5;
  WkvSums sums;
  std::vector<double> outputs;
  double o_before = -INFINITY;
  for (size_t t = 0; t < keys.size(); ++t) {
    const auto one = [&](double x) { return full({1, 1, 1}, x, numbers); };
    const Tensor y = wkv(one(keys[t]), one(values[t]), full({1}, w, numbers), full({1}, u, numbers), sums);
    outputs.push_back(y.item());
    const double o = sums.exponent.item();
    const bool new_top = t == 0 || keys[t] > o_before + w;
    lesson.frame(fmt::format("token {}", t + 1),
                 {{"$k$", keys, {{0, int64_t(t)}}},
                  {"$v$", values, {{0, int64_t(t)}}},
                  {"$o_t$", o},
                  {"$p_t$", sums.numerator.item()},
                  {"$q_t$", sums.denominator.item()},
                  {"wkv", outputs, {{0, int64_t(t)}}}},
                 t == 0 ? "Nothing stands before the first token: whatever $u$ is, its own value comes out."
                 : new_top
                     ? fmt::format("$k_t = {}$ is above $o_{{t-1}} + w$: it is the new unit $e^{{o_t}}$; old sums "
                                   "shrink by $e^{{w + o_{{t-1}} - o_t}}$.",
                                   keys[t])
                     : fmt::format("$k_t = {}$ is below $o_{{t-1}} + w$: the unit fades with the sums, and "
                                   "$e^{{k_t - o_t}}$ of the value is added.",
                                   keys[t]));
    o_before = o;
  }
}

// Retention over nine tokens in chunks of three: which pairs are weighed, and what the state stands for.
inline void chunk_by_chunk(Lesson& lesson, const Options& numbers) {
  if (!lesson.wants_frames()) return;
  lesson.player("chunks of three tokens");
  const int64_t n = 9, chunk = 3, d = 2;
  const double gamma = 0.8;
  Generator g(3);
  const Tensor q = randn({n, d}, numbers, &g), k = randn({n, d}, numbers, &g), v = randn({n, d}, numbers, &g);
  Tensor pairs = full({n, n}, NAN, numbers), state = zeros({d, d}, numbers), out = full({n, d}, NAN, numbers);
  lesson.frame("the start", {{"weights", pairs}, {"S", state}, {"O", out}},
               "Nothing is computed. Row $i$, column $j$ of the weights is $\\gamma^{i-j} q_i \\cdot k_j$.");
  for (int64_t start = 0; start < n; start += chunk) {
    const auto rows = [&](const Tensor& x) { return x.narrow(0, start, chunk); };
    std::vector<Place> marks;
    for (int64_t i = start; i < start + chunk; ++i)
      for (int64_t j = start; j <= i; ++j) {
        pairs[i][j].copy_((q[i] * k[j]).sum() * std::pow(gamma, double(i - j)));
        marks.push_back({i, j});
      }
    const Tensor inside = nan_to_num(rows(pairs).narrow(1, start, chunk));
    rows(out).copy_(matmul(inside, rows(v)));
    lesson.frame(fmt::format("chunk {}: pairs inside", start / chunk + 1),
                 {{"weights", pairs, marks}, {"S", state}, {"O", out}},
                 "All pairs of the chunk at once, as the parallel form does: one small matrix product.");
    if (start > 0) {
      for (int64_t i = start; i < start + chunk; ++i)
        out[i].add_(std::pow(gamma, double(i - start + 1)) * matmul(q[i], state));
      lesson.frame(fmt::format("chunk {}: from the state", start / chunk + 1),
                   {{"weights", pairs}, {"S", state, {{0}, {1}}}, {"O", out}},
                   fmt::format("All {} tokens before stand in $S$: each row reads it, faded by its distance to the "
                               "chunk's start. Those weights are never made.",
                               start));
    }
    state.mul_(std::pow(gamma, double(chunk)));
    for (int64_t j = start; j < start + chunk; ++j)
      state.add_(std::pow(gamma, double(start + chunk - 1 - j)) * unsqueeze(k[j], 1) * unsqueeze(v[j], 0));
    lesson.frame(fmt::format("chunk {}: into the state", start / chunk + 1),
                 {{"weights", pairs}, {"S", state}, {"O", out}},
                 "$S$ fades by $\\gamma^3$ and takes in the chunk's pairs, each faded by its distance to the end.");
  }
}

}  // namespace ink::lesson
