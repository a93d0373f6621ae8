// Lesson 09c: the selective scan step by step, what it costs to keep, and the chunks of SSD.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"
#include "include/inkstone/ssm.h"

namespace ink::lesson {

inline double largest(const Tensor& x) { return max(abs(x)).item(); }

// Eight tokens, one channel, three states. The step of each token is set by hand: large where something is to be kept.
inline void scan_step_by_step(Lesson& lesson) {
  lesson.player("the selective scan, token by token");
  NoGrad guard;
  const std::vector<std::string> words{"7", "_", "_", "3", "_", "_", "_", "9"};
  const std::vector<double> x{7, 0, 0, 3, 0, 0, 0, 9}, delta{1, 0.01, 0.01, 1, 0.01, 0.01, 0.01, 3};
  const Tensor A = tensor({{-0.5, -1, -2}}, f64), one = ones({1, 1, 3}, f64);
  Tensor h;
  std::vector<double> y(8, NAN);
  for (size_t t = 0; t < 8; ++t) {
    const auto number = [](double v) { return full({1, 1, 1}, v, f64); };
    const SelectiveInputs in{number(x[t]), number(delta[t]), A, one, one};
    y[t] = selective_ssm(in, h, {.form = SelectiveForm::recurrent}).item();
    const Tensor keep = exp(A * delta[t]);
    lesson.frame(fmt::format("token {}: {}", t + 1, words[t]),
                 {{"read", words, {{0, int64_t(t)}}},
                  {"$\\Delta_t$", delta[t]},
                  {"$e^{\\Delta_t A}$", keep},
                  {"$h_t$", h[0]},
                  {"$y_t$", y, {{0, int64_t(t)}}}},
                 delta[t] < 0.1
                     ? "A blank: with a small step $e^{\\Delta A}$ is nearly 1 and nothing is added. Time stands still."
                 : delta[t] < 2
                     ? (t ? "A step of 1: the fast state is renewed, the slow one keeps 60 % of what it held."
                          : "A symbol with a step of 1: $\\Delta x$ goes into every state.")
                     : "A step of 3: even the slow state keeps only 22 %. What was before is forgotten.");
  }
  // Held to the fused kernel over all tokens at once.
  const auto row = [](const std::vector<double>& v) { return from_data(v, {1, 8, 1}).to(f64); };
  Tensor none;
  const Tensor whole = selective_ssm({row(x), row(delta), A, expand(one, {1, 8, 3}), expand(one, {1, 8, 3})}, none);
  lesson.expect("token by token by hand, the fused kernel: largest difference",
                largest(whole.reshape({8}) - from_data(y, {8})), Below{1e-12});
}

struct ScanRun {
  TensorList inputs;  // x, delta, A, B, C
  Tensor weight;      // of y in the sum whose gradients are taken
  ScanRun(int64_t n, int64_t channels, int64_t states, const Options& o, Generator& g)
      : inputs{randn({1, n, channels}, o, &g), softplus(randn({1, n, channels}, o, &g) - 2),
               -exp(randn({channels, states}, o, &g)), randn({1, n, states}, o, &g), randn({1, n, states}, o, &g)},
        weight(randn({1, n, channels}, o, &g)) {
    for (Tensor& t : inputs) t = t.detach(), t.requires_grad_();
  }
  TensorList gradients(SelectiveForm form) const {
    Tensor h;
    Tensor y = selective_ssm({inputs[0], inputs[1], inputs[2], inputs[3], inputs[4]}, h, {.form = form});
    const Tensor w[] = {weight};
    return grad(std::span(&y, 1), inputs, w);
  }
  // Bytes at the peak beyond what was there before.
  double peak(SelectiveForm form, Device device) const {
    Allocator& memory = allocator(device);
    const int64_t before = memory.stats().live;
    memory.reset_peak();
    gradients(form);
    return double(memory.stats().peak - before);
  }
};

// Forward and backward: the same gradients from the kernel that computes states again, and from all states kept.
inline void what_is_kept(Lesson& lesson, int64_t n, const Options& numbers) {
  Generator g(lesson.seed() + 5);
  Series fused{.name = "fused: states computed again"}, kept{.name = "all states kept"};
  double worst = 0;
  for (int64_t states : {4, 8, 16, 32}) {
    const ScanRun run(n, 64, states, numbers, g);
    const TensorList a = run.gradients(SelectiveForm::fused), b = run.gradients(SelectiveForm::associative);
    for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, largest(a[i] - b[i]) / largest(b[i]));
    fused.x.push_back(double(states)), fused.y.push_back(run.peak(SelectiveForm::fused, lesson.device()) / 1e6);
    kept.x.push_back(double(states));
    kept.y.push_back(run.peak(SelectiveForm::associative, lesson.device()) / 1e6);
  }
  lesson.plot("memory", {fused, kept},
              {.x = "states N",
               .y = "MB at the peak",
               .log = true,
               .caption = fmt::format("{} tokens, 64 channels, forwards and backwards.", n)});
  lesson.expect("gradients of the fused kernel, of the scan that keeps all states: largest difference", worst,
                Below{1e-4});
  lesson.value("memory: fused, N = 16", fused.y[2], "MB");
  lesson.value("memory: all states, N = 16", kept.y[2], "MB");
  lesson.expect("memory at N = 16: all states over fused", kept.y[2] / fused.y[2], Above{5}, Needs::training);
}

// Six tokens in chunks of two, one head, two states, one channel: the matrix L o C B^T, its blocks on the diagonal pair
// by pair, those below as products with the state.
inline void chunk_by_chunk(Lesson& lesson) {
  lesson.player("SSD in chunks");
  NoGrad guard;
  Generator g(12);
  const int64_t n = 6, c = 2, N = 2;
  const Tensor B = randn({n, N}, f64, &g), C = randn({n, N}, f64, &g), v = randn({n, 1}, f64, &g),
               a = -rand({n}, f64, &g), sums = cumsum(a, 0);
  const Tensor L = tril(exp(tril(unsqueeze(sums, 1) - unsqueeze(sums, 0)))), M = L * matmul(C, B.t());
  Tensor shown = full({n, n}, NAN, f64), y = full({n, 1}, NAN, f64), S = zeros({N, 1}, f64);
  const auto frame = [&](const std::string& title, const std::string& text, int64_t chunk) {
    std::vector<Place> rows;
    for (int64_t i = 0; i < c && chunk >= 0; ++i) rows.push_back({chunk * c + i});
    lesson.frame(title, {{"$L \\circ C B^\\top$", shown, rows}, {"$\\Delta x$", v, rows}, {"$S$", S}, {"$y$", y, rows}},
                 text);
  };
  frame("nothing is computed yet",
        "Rows are what is read, columns what is read from. Above the diagonal is the future.", -1);
  for (int64_t k = 0; k < n / c; ++k) {
    const int64_t from = k * c;
    const auto rows = [&](const Tensor& x) { return x.narrow(0, from, c); };
    const Tensor block = M.narrow(0, from, c).narrow(1, from, c);
    shown.narrow(0, from, c).narrow(1, from, c).copy_(block);
    rows(y).copy_(matmul(block, rows(v)));
    frame(fmt::format("chunk {}: pairs inside", k + 1), "Two tokens, all their pairs: a small masked attention.", k);
    if (k) {
      const Tensor since = rows(sums) - sums[from - 1];  // a_from + .. + a_i
      rows(y).add_(matmul(rows(C) * unsqueeze(exp(since), 1), S));
      shown.narrow(0, from, c).narrow(1, 0, from).copy_(M.narrow(0, from, c).narrow(1, 0, from));
      frame(fmt::format("chunk {}: what came before", k + 1),
            "All blocks to the left at once: the state, read by $C$ and faded since the chunk began.", k);
    }
    const Tensor end = sums[from + c - 1], start = from ? sums[from - 1] : zeros({}, f64);
    S = exp(end - start) * S + matmul((rows(B) * unsqueeze(exp(end - rows(sums)), 1)).t(), rows(v));
    frame(fmt::format("chunk {}: into the state", k + 1),
          "The state fades by the whole chunk; each token adds $B\\, \\Delta x$, faded from its place to the chunk's "
          "end.",
          k);
  }
  lesson.expect("chunk by chunk by hand, (L o C B^T) v: largest difference", largest(y - matmul(M, v)), Below{1e-12});
}

}  // namespace ink::lesson
