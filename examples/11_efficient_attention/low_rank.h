// Of lesson 11, its sections on low rank and random features.
#pragma once
#include "examples/11_efficient_attention/lesson.h"

namespace ink::lesson {

inline void low_rank(Lesson& lesson, int64_t n) {
  lesson.section("8. Linformer and down-sampling", "softmax(Q (E K)^T / sqrt(d)) (F V),   E, F [m, n]",
                 "Wang et al. 2020, eq. 7");
  Generator g(lesson.seed() + 5);
  const int64_t d = 16;
  auto means = [&](int64_t rows, int64_t m) { return landmarks(eye(rows, f64), m); };  // [m, n]: of consecutive tokens
  auto off = [&](const Triple& t, const Tensor& e) {
    return relative(linformer_attention(t.q, t.k, t.v, e, e), t.exact());
  };
  Triple slow = smooth_triple(n, d, 4, g), noise = normal_triple(n, d, g);
  Series on_slow{.name = "smooth, means"}, on_noise{.name = "independent, means"},
      learned{.name = "smooth, E and F learned"};
  for (int64_t m = 4; m <= n; m *= 2) {
    for (auto* s : {&on_slow, &on_noise}) s->x.push_back(double(m));
    on_slow.y.push_back(off(slow, means(n, m))), on_noise.y.push_back(off(noise, means(n, m)));
  }
  manual_seed(lesson.seed() + 5);
  for (int64_t m : {4, 8, 16}) {
    LinformerCore core({.length = n, .rows = m});
    const int64_t steps = lesson.mode() == Mode::tiny ? 2 : 300;
    Adam optimizer(core.parameters(), {.lr = 1e-2});
    Scheduler schedule(optimizer, Cosine{.steps = steps});
    for (int64_t step = 0; step < steps; ++step) {
      Triple t = smooth_triple(n, d, 4, g);
      mse_loss(linformer_attention(t.q.to(f32), t.k.to(f32), t.v.to(f32), core.e, core.f), t.exact().to(f32))
          .backward();
      optimizer.step(), optimizer.zero_grad(), schedule.step();
    }
    NoGrad guard;
    Tensor got = linformer_attention(slow.q, slow.k, slow.v, core.e.to(f64), core.f.to(f64));
    learned.x.push_back(double(m)), learned.y.push_back(relative(got, slow.exact()));
  }
  lesson.plot("linformer", {on_slow, on_noise, learned},
              {.x = "rows m",
               .y = "relative error of the output",
               .log_x = true,
               .y_low = 0,
               .caption = fmt::format(
                   "n = {}. With E = F the means of n/m neighbours (down-sampling) smooth keys and values need few "
                   "rows; independent ones need all.",
                   n)});
  lesson.value("means, m = 16, smooth", on_slow.y[2]), lesson.value("learned, m = 16, smooth", learned.y[2]);
  lesson.value("means, m = 16, independent", on_noise.y[2]);
  lesson.expect("means of neighbours, m = 16, smooth: error", on_slow.y[2], Below{0.2}, Needs::training);
  lesson.expect("learned E and F, m = 16, smooth: error", learned.y[2], Below{0.3}, Needs::training);
  lesson.expect("E = F = I is softmax attention: error", off(noise, eye(n, f64)), Below{1e-12});

  Series fixed{.name = "4 waves, whatever n"}, growing{.name = "a wave per 32 tokens"};
  for (int64_t length = 128; length <= (lesson.mode() == Mode::tiny ? 128 : 1024); length *= 2)
    for (auto [s, waves] : {std::pair(&fixed, int64_t(4)), std::pair(&growing, length / 32)}) {
      Triple t = smooth_triple(length, d, waves, g);
      int64_t m = 4;
      while (m < length && off(t, means(length, m)) > 0.1) m *= 2;
      s->x.push_back(double(length)), s->y.push_back(double(m));
    }
  lesson.plot("linformer-length", {fixed, growing},
              {.x = "tokens n",
               .y = "rows m for an error of 10%",
               .log = true,
               .y_low = 4,
               .caption = "A constant m serves longer texts only if they hold no more."});
  lesson.expect("fixed content: m at 1024 tokens over m at 128", fixed.y.back() / fixed.y[0], AtMost{2},
                Needs::training);
  lesson.expect("content that grows with n: the same", growing.y.back() / growing.y[0], AtLeast{4}, Needs::training);
  Tensor e = means(16, 4);
  auto of = [&](const Tensor& x) { return linformer_attention(x, x, x, e, e); };
  lesson.expect("a later token changes earlier outputs", !verify::causality(of, randn({16, 4}, f64), 0).ok);
}

inline void nystrom_and_favor(Lesson& lesson, int64_t n) {
  lesson.section("9. Nystrom and random features",
                 "softmax(Q Km^T) softmax(Qm Km^T)^+ softmax(Qm K^T) V;    e^{q.k/sqrt(d)} = E[phi(q) . phi(k)]",
                 "Xiong et al. 2021; Choromanski et al. 2021");
  Generator g(lesson.seed() + 6);
  Triple slow = smooth_triple(n, 16, 4, g), noise = normal_triple(n, 16, g);
  Series curves[4] = {{.name = "smooth, 6 iterations"},
                      {.name = "smooth, exact inverse"},
                      {.name = "independent, 6 iterations"},
                      {.name = "independent, exact inverse"}};
  for (int64_t m = 4; m <= n; m *= 2)
    for (int i = 0; i < 4; ++i) {
      const Triple& t = i < 2 ? slow : noise;
      double off = NAN;  // landmarks that (nearly) coincide have no inverse
      try {
        off = relative(nystrom_attention(t.q, t.k, t.v, {.landmarks = m, .exact_inverse = i % 2 == 1}), t.exact());
      } catch (const LinalgError&) {}
      curves[i].x.push_back(double(m)), curves[i].y.push_back(std::min(off, 1.5));
    }
  lesson.plot(
      "nystrom", {curves[0], curves[1], curves[2], curves[3]},
      {.x = "landmarks m",
       .y = "relative error of the output (cut at 1.5)",
       .log_x = true,
       .y_low = 0,
       .y_high = 1.5,
       .caption = fmt::format(
           "n = {}. Six iterations leave an error at m = n, but do not blow up where the exact inverse does.", n)});
  lesson.value("six iterations, m = n, independent", curves[2].y.back());
  lesson.value("six iterations, m = n, smooth", curves[0].y.back());
  lesson.expect("m = n, exact inverse: softmax attention", curves[3].y.back(), Below{1e-9});
  lesson.expect("m = n, six iterations, independent", curves[2].y.back(), Within{0.03, 0.1}, Needs::training);
  lesson.expect("m = 32, smooth", curves[0].y[3], Below{0.05});
  lesson.expect("m = 32, independent", curves[2].y[3], Above{0.4}, Needs::training);
  lesson.value("three iterations, m = 32, smooth",
               relative(nystrom_attention(slow.q, slow.k, slow.v, {.landmarks = 32, .iterations = 3}), slow.exact()));
  lesson.value("six iterations, m = 32, smooth", curves[0].y[3]);

  Tensor q = 0.5 * randn({64, 16}, f64, &g), k = 0.5 * randn({64, 16}, f64, &g),
         kernel = exp(matmul(q, transpose(k, 0, 1)) / 4);
  Series iid{.name = "independent draws"}, orthogonal{.name = "orthogonal draws"},
      slope{.name = "1 / sqrt(m)", .mark = Mark::dashed};
  for (int64_t m : {16, 32, 64, 128, 256, 512, 1024})
    for (auto* s : {&iid, &orthogonal}) {
      double off = 0;
      for (int draw = 0; draw < 32; ++draw) {
        Tensor w = random_projection(m, 16, {.orthogonal = s == &orthogonal}, f64, &g);
        auto phi = [&](const Tensor& x) { return random_features(RandomFeatures::positive, x, w); };
        off += relative(matmul(phi(q), transpose(phi(k), 0, 1)), kernel) / 32;
      }
      s->x.push_back(double(m)), s->y.push_back(off);
    }
  slope.x = iid.x;
  for (double m : iid.x) slope.y.push_back(iid.y[0] * std::sqrt(16 / m));
  lesson.plot("favor", {iid, orthogonal, slope},
              {.x = "features m",
               .y = "relative error of the kernel",
               .log = true,
               .caption = "Positive random features (FAVOR+), d = 16: four times the features, half the error."});
  lesson.value("kernel error, 64 features", iid.y[2]), lesson.value("kernel error, 1024 features", iid.y[6]);
  lesson.expect("slope of the error in log-log", std::log(iid.y[6] / iid.y[0]) / std::log(64.), Within{-0.65, -0.35});
  double ratio = 0;
  for (size_t i = 2; i < 7; ++i) ratio += orthogonal.y[i] / iid.y[i] / 5;
  lesson.expect("orthogonal draws: error over that of independent ones, mean over m from 64", ratio, Below{1});
}

}  // namespace ink::lesson
