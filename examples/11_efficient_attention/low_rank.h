// Lesson 11: Linformer's few rows, how many a text needs, and down-sampling, its form without parameters.
#pragma once
#include "examples/11_efficient_attention/lesson.h"
#include "examples/11_efficient_attention/steps_rows.h"

namespace ink::lesson {

// [m, n], E for down-sampling: means of n/m neighbours; one row of each n/m; a window of 2 n/m with a peak in its
// middle.
inline Tensor means_of(int64_t n, int64_t m) { return landmarks(eye(n, f64), m); }
inline Tensor picks_of(int64_t n, int64_t m) { return index_select(eye(n, f64), 0, arange(n / m / 2, n, n / m)); }
inline Tensor windows_of(int64_t n, int64_t m) {
  Tensor column = arange(0, n, 1, f64).unsqueeze(0),
         centre = (arange(0, m, 1, f64).unsqueeze(1) + 0.5) * double(n) / double(m);
  Tensor w = clamp(1 - (column + 0.5 - centre).abs() * double(m) / double(n), 0);
  return w / sum(w, {1}, true);
}

inline double shortened_error(const Triple& t, const Tensor& exact, const Tensor& e) {
  return relative(linformer_attention(t.q, t.k, t.v, e, e), exact);
}
// E and F [m, n] after some steps on other smooth signals than those that are asked for later.
inline LinformerCore learned_projection(int64_t n, int64_t m, int64_t d, int64_t steps, Generator& g) {
  LinformerCore core({.length = n, .rows = m});
  Adam optimizer(core.parameters(), {.lr = 1e-2});
  Scheduler schedule(optimizer, Cosine{.steps = steps});
  for (int64_t step = 0; step < steps; ++step) {
    Triple t = smooth_triple(n, d, 4, g);
    mse_loss(linformer_attention(t.q.to(f32), t.k.to(f32), t.v.to(f32), core.e, core.f), t.exact().to(f32)).backward();
    optimizer.step(), optimizer.zero_grad(), schedule.step();
  }
  return core;
}

// P R^T (R V) for R [m, n] of N(0, 1/m): the error of an entry over |row of P| |column of V|, times sqrt(m).
inline double projected_error(int64_t n, int64_t m, int draws, Generator& g) {
  Triple t = normal_triple(n, 16, g);
  Tensor p = scaled_dot_product_attention(slice(t.q, 0, 0, 16), t.k, eye(n, f64)), exact = matmul(p, t.v),
         size = matmul(norm(p, {-1}, true), norm(t.v, {0}, true));
  double squares = 0;
  for (int i = 0; i < draws; ++i) {
    Tensor r = randn({m, n}, f64, &g) / std::sqrt(double(m));
    squares += square((matmul(matmul(p, transpose(r, 0, 1)), matmul(r, t.v)) - exact) / size).mean().item() / draws;
  }
  return std::sqrt(squares * double(m));
}

// The mean error of means of neighbours over some draws, and the least m (4, 8, 16, ...) that keeps it to `most`.
inline double rows_needed(int64_t n, int64_t waves, double most, int draws, Generator& g) {
  std::vector<Triple> signals;
  std::vector<Tensor> exact;
  for (int i = 0; i < draws; ++i)
    signals.push_back(smooth_triple(n, 16, waves, g)), exact.push_back(signals.back().exact());
  for (int64_t m = 4; m < n; m *= 2) {
    double mean = 0;
    const Tensor e = means_of(n, m);
    for (int i = 0; i < draws; ++i) mean += shortened_error(signals[size_t(i)], exact[size_t(i)], e) / draws;
    if (mean <= most) return double(m);
  }
  return double(n);
}

inline void low_rank(Lesson& lesson, int64_t n) {
  lesson.section("8. Linformer",
                 R"(O = \text{softmax}(\frac{Q (E K)^\top}{\sqrt{d}})\, F V, \qquad E, F \in \mathbb{R}^{m \times n})",
                 "Wang et al. 2020, eq. 7");
  projection_by_row(lesson);
  Generator g(lesson.seed() + 5), other(lesson.seed() + 11);
  const int64_t d = 16;
  const bool tiny = lesson.mode() == Mode::tiny;
  for (int64_t length : {int64_t(128), int64_t(tiny ? 64 : 1024)}) {
    const double off = projected_error(length, 16, tiny ? 1 : 32, other);
    lesson.value(fmt::format("projected error, {} tokens", length), off);
    lesson.expect(fmt::format("P R^T R V, {} tokens: error over the lengths of its rows, times sqrt(m)", length), off,
                  Within{0.9, 1.45}, Needs::training);
  }
  Triple slow = smooth_triple(n, d, 4, g), noise = normal_triple(n, d, g);
  Tensor slow_exact = slow.exact(), noise_exact = noise.exact();
  Series on_slow{.name = "smooth, means"}, on_noise{.name = "independent, means"},
      learned{.name = "smooth, E and F learned"};
  for (int64_t m = 4; m <= n; m *= 2) {
    for (auto* s : {&on_slow, &on_noise}) s->x.push_back(double(m));
    on_slow.y.push_back(shortened_error(slow, slow_exact, means_of(n, m)));
    on_noise.y.push_back(shortened_error(noise, noise_exact, means_of(n, m)));
  }
  manual_seed(lesson.seed() + 5);
  for (int64_t m : {4, 8, 16}) {
    const LinformerCore core = learned_projection(n, m, d, tiny ? 2 : 300, g);
    NoGrad guard;
    Tensor got = linformer_attention(slow.q, slow.k, slow.v, core.e.to(f64), core.f.to(f64));
    learned.x.push_back(double(m)), learned.y.push_back(relative(got, slow_exact));
  }
  lesson.plot("linformer", {on_slow, on_noise, learned},
              {.x = "rows m",
               .y = "relative error of the output",
               .log_x = true,
               .y_low = 0,
               .caption = fmt::format("n = {}. Smooth keys and values need few rows, independent ones all.", n)});
  lesson.value("means, m = 16, smooth", on_slow.y[2]), lesson.value("learned, m = 16, smooth", learned.y[2]);
  lesson.value("means, m = 16, independent", on_noise.y[2]);
  lesson.expect("means of neighbours, m = 16, smooth: error", on_slow.y[2], Below{0.2}, Needs::training);
  lesson.expect("learned E and F, m = 16, smooth: error", learned.y[2], Below{0.3}, Needs::training);
  Tensor shuffled = index_select(eye(n, f64), 0, randperm(n, &g));
  lesson.expect("E = F a permutation, m = n, is softmax attention: largest difference",
                largest(linformer_attention(noise.q, noise.k, noise.v, shuffled, shuffled) - noise_exact),
                Below{1e-12});

  Series fixed{.name = "4 waves, whatever n"}, growing{.name = "a wave per 32 tokens"};
  for (int64_t length = 128; length <= (tiny ? 128 : 1024); length *= 2)
    for (auto [s, waves] : {std::pair(&fixed, int64_t(4)), std::pair(&growing, length / 32)})
      s->x.push_back(double(length)), s->y.push_back(rows_needed(length, waves, 0.07, tiny ? 1 : 8, g));
  lesson.plot("linformer-length", {fixed, growing},
              {.x = "tokens n",
               .y = "rows m for a mean error of 7 %",
               .log = true,
               .y_low = 4,
               .caption = "A constant m serves longer texts only if they hold no more."});
  lesson.expect("fixed content: m at 1024 tokens over m at 128", fixed.y.back() / fixed.y[0], Equals{1});
  lesson.expect("content that grows with n: the same", growing.y.back() / growing.y[0], AtLeast{4}, Needs::training);
  Tensor e = means_of(16, 4);
  auto of = [&](const Tensor& x) { return linformer_attention(x, x, x, e, e); };
  lesson.expect("a later token changes earlier outputs", !verify::causality(of, randn({16, 4}, f64), 0).ok);
}

inline void down_sampling(Lesson& lesson, int64_t n) {
  lesson.section("9. Down-sampling",
                 R"(E_{ri} = \frac{m}{n} \text{ for the } r\text{-th } n/m \text{ neighbours, else } 0)",
                 "Dai et al. 2020; Goyal et al. 2020");
  Generator g(lesson.seed() + 8);
  const int draws = lesson.mode() == Mode::tiny ? 1 : 8;
  Series picks{.name = "one row of n/m"}, means{.name = "means of n/m rows"}, windows{.name = "windows of 2 n/m rows"};
  const std::pair<Series*, Tensor (*)(int64_t, int64_t)> ways[] = {{&picks, picks_of},
                                                                   {&means, means_of},
                                                                   {&windows, windows_of}};
  for (int64_t m = 4; m <= n; m *= 2)
    for (auto& [s, e] : ways) s->x.push_back(double(m)), s->y.push_back(0);
  for (int i = 0; i < draws; ++i) {
    Triple t = smooth_triple(n, 16, 4, g), noise = normal_triple(n, 16, g);
    t = {t.q, t.k + 0.5 * noise.k, t.v + 0.5 * noise.v};
    Tensor exact = t.exact();
    for (auto& [s, e] : ways)
      for (size_t at = 0; at < s->x.size(); ++at)
        s->y[at] += shortened_error(t, exact, e(n, int64_t(s->x[at]))) / draws;
  }
  lesson.plot("downsampling", {picks, means, windows},
              {.x = "rows m",
               .y = "relative error of the output",
               .log_x = true,
               .y_low = 0,
               .caption = fmt::format("n = {}, smooth keys and values with noise of half their size, mean of {} draws.",
                                      n, draws)});
  lesson.value("picks, m = 16", picks.y[2]), lesson.value("means, m = 16", means.y[2]);
  lesson.value("windows, m = 16", windows.y[2]);
  lesson.expect("means of neighbours against one of them, m = 16: error over error", means.y[2] / picks.y[2],
                Below{0.8}, Needs::training);
}

}  // namespace ink::lesson
