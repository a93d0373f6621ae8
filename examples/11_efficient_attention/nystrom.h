// Lesson 11: Nystrom's landmarks with both inverses, and random features, the other road.
#pragma once
#include "examples/11_efficient_attention/lesson.h"
#include "examples/11_efficient_attention/steps_rows.h"

namespace ink::lesson {

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}
// The relative error of the output; infinite where landmarks coincide and A has no inverse.
inline double nystrom_error(const Triple& t, const Tensor& exact, const NystromOptions& o) {
  try {
    return relative(nystrom_attention(t.q, t.k, t.v, o), exact);
  } catch (const LinalgError&) { return INFINITY; }
}
// Largest over smallest singular value of A, the softmax at the landmarks, with all rows as landmarks.
inline double condition_of(const Triple& t) {
  Tensor a = scaled_dot_product_attention(t.q, t.k, eye(t.k.size(0), t.k.options())), zero = zeros_like(a);
  Tensor both = cat({cat({zero, a}, 1), cat({transpose(a, 0, 1), zero}, 1)}, 0);  // eigenvalues: +- singular values
  Tensor sizes = std::get<0>(eigh(both)).abs();
  return (sizes.max() / clamp(sizes.min(), 1e-300)).item();
}

inline void nystrom(Lesson& lesson, int64_t n) {
  lesson.section(
      "10. Nystromformer",
      R"(O = \text{softmax}(\frac{Q K_m^\top}{\sqrt d})\; A^+\; \text{softmax}(\frac{Q_m K^\top}{\sqrt d})\, V, \quad )"
      R"(A = \text{softmax}(\frac{Q_m K_m^\top}{\sqrt d}))",
      "Xiong et al. 2021");
  nystrom_by_factor(lesson);
  Generator g(lesson.seed() + 6);
  const int draws = lesson.mode() == Mode::full ? 9 : lesson.mode() == Mode::quick ? 5 : 1;
  std::vector<Triple> signals[2];
  std::vector<Tensor> exact[2];
  for (int i = 0; i < draws; ++i) {
    signals[0].push_back(smooth_triple(n, 16, 4, g)), signals[1].push_back(normal_triple(n, 16, g));
    for (int kind : {0, 1}) exact[kind].push_back(signals[kind].back().exact());
  }
  auto error = [&](int kind, const NystromOptions& o) {
    std::vector<double> all;
    for (int i = 0; i < draws; ++i) all.push_back(nystrom_error(signals[kind][size_t(i)], exact[kind][size_t(i)], o));
    return median(all);
  };
  Series curves[4] = {{.name = "smooth, 6 iterations"},
                      {.name = "smooth, exact inverse"},
                      {.name = "independent, 6 iterations"},
                      {.name = "independent, exact inverse"}};
  for (int64_t m = 4; m <= n; m *= 2)
    for (int i = 0; i < 4; ++i) {
      curves[i].x.push_back(double(m));
      curves[i].y.push_back(error(i / 2, {.landmarks = m, .exact_inverse = i % 2 == 1}));
    }
  std::vector<Series> drawn(curves, curves + 4);
  for (Series& s : drawn)
    for (double& y : s.y)
      if (!std::isfinite(y) || y < 1e-5) y = NAN;  // off the figure
  lesson.plot("nystrom", drawn,
              {.x = "landmarks m",
               .y = "relative error of the output",
               .log = true,
               .y_low = 1e-4,
               .caption =
                   fmt::format("n = {}, f64, median of {} draws. Six iterations stop at an error; an exact inverse "
                               "goes on, until A is too nearly singular.",
                               n, draws)});
  const double condition = condition_of(signals[0][0]);
  lesson.value("six iterations, m = n, independent", curves[2].y.back());
  lesson.value("six iterations, m = n, smooth", curves[0].y.back());
  lesson.value("exact inverse, m = n, smooth", curves[1].y.back());
  lesson.expect("m = n, exact inverse, independent rows: softmax attention", curves[3].y.back(), Below{1e-9});
  lesson.expect("m = n, six iterations, independent", curves[2].y.back(), Within{0.03, 0.1}, Needs::training);
  const double six = error(0, {.landmarks = n / 4}), three = error(0, {.landmarks = n / 4, .iterations = 3});
  lesson.value("six iterations, m = 32, smooth", six), lesson.value("three iterations, m = 32, smooth", three);
  lesson.value("exact inverse, m = 32, smooth", error(0, {.landmarks = n / 4, .exact_inverse = true}));
  lesson.value("exact inverse, m = 64, smooth", error(0, {.landmarks = n / 2, .exact_inverse = true}));
  lesson.expect("m = n/4, smooth, six iterations", six, Below{0.05}, Needs::training);
  lesson.expect("m = n/2, smooth: error of the exact inverse over that of six iterations",
                error(0, {.landmarks = n / 2, .exact_inverse = true}) / error(0, {.landmarks = n / 2}), Below{0.1},
                Needs::training);
  lesson.expect("m = n, smooth: log10 of the condition number of A", std::log10(condition), Above{14}, Needs::training);
  lesson.expect("m = n, smooth: and so the exact inverse is off by", curves[1].y.back(), Above{0.1}, Needs::training);
  lesson.expect("m = n/4, independent", curves[2].y[curves[2].y.size() - 3], Above{0.4}, Needs::training);

  // The inverse of one matrix must not know of its batch mates: the second here has column sums 30 times larger.
  Tensor a = softmax(randn({8, 8}, f64, &g), 1), other = cat({30 * ones({8, 1}, f64), zeros({8, 7}, f64)}, 1);
  lesson.expect("six iterations in a batch with a matrix of large sums: the same inverse",
                largest(iterative_inverse(stack({a, other}))[0] - iterative_inverse(a)), Below{1e-12});
}

inline void the_other_road(Lesson& lesson) {
  lesson.section("11. The other road", R"(e^{q \cdot k / \sqrt{d}} = \mathbb{E}[\phi(q) \cdot \phi(k)])",
                 "Choromanski et al. 2021");
  Generator g(lesson.seed() + 7);
  Tensor q = 0.35 * randn({64, 16}, f64, &g), k = 0.35 * randn({64, 16}, f64, &g),
         kernel = exp(matmul(q, transpose(k, 0, 1)) / 4);
  Series iid{.name = "independent draws"}, orthogonal{.name = "orthogonal draws"},
      slope{.name = "1 / sqrt(m)", .mark = Mark::dashed};
  const bool tiny = lesson.mode() == Mode::tiny;
  const int draws = tiny ? 1 : 40;
  for (int64_t m = 16; m <= (tiny ? 64 : 1024); m *= 2)
    for (auto* s : {&iid, &orthogonal}) {
      double squares = 0;
      for (int draw = 0; draw < draws; ++draw) {
        Tensor w = random_projection(m, 16, {.orthogonal = s == &orthogonal}, f64, &g);
        auto phi = [&](const Tensor& x) { return random_features(RandomFeatures::positive, x, w); };
        squares += std::pow(relative(matmul(phi(q), transpose(phi(k), 0, 1)), kernel), 2) / draws;
      }
      s->x.push_back(double(m)), s->y.push_back(std::sqrt(squares));
    }
  slope.x = iid.x;
  for (double m : iid.x) slope.y.push_back(iid.y.back() * std::sqrt(iid.x.back() / m));
  lesson.plot("favor", {iid, orthogonal, slope},
              {.x = "features m",
               .y = "relative error of the kernel",
               .log = true,
               .caption = fmt::format("Positive random features (FAVOR+), d = 16, root mean square over {} draws: four "
                                      "times the features, half the error.",
                                      draws)});
  for (size_t i : {size_t(2), iid.y.size() - 1})
    lesson.value(fmt::format("kernel error, {} features", int(iid.x[i])), iid.y[i]);
  lesson.expect("exponent of the error in m", std::log(iid.y.back() / iid.y[0]) / std::log(iid.x.back() / iid.x[0]),
                Within{-0.55, -0.45}, Needs::training);
  double ratio = 0;
  for (size_t i = 2; i < iid.y.size(); ++i) ratio += orthogonal.y[i] / iid.y[i] / double(iid.y.size() - 2);
  lesson.expect("orthogonal draws: error over that of independent ones, mean over m from 64", ratio, Below{1},
                Needs::training);
}

}  // namespace ink::lesson
