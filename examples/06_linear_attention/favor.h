// The lesson's section 8: softmax's similarity by random features, and how far they are off.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"
#include "nn/attention/linear/performer.h"

namespace ink::lesson {

// Vectors in d dims at these angles in the plane of the first two, as long as makes |x'|^2 = 1/2 for x' = x / d^{1/4}.
inline Tensor on_circle(const Tensor& angle, int64_t d) {
  double length = std::sqrt(0.5 * std::sqrt(double(d)));
  return pad(stack({cos(angle), sin(angle)}, 1) * length, {0, d - 2});
}

// Root mean square over draws of m features of estimate / e^{q.k/sqrt(d)} - 1, for each row of q and the same of k.
inline Tensor kernel_errors(RandomFeatures kind, bool orthogonal, int64_t m, const Tensor& q, const Tensor& k,
                            int64_t draws) {
  Tensor exact = exp((q * k).sum({-1}) / std::sqrt(double(q.size(-1)))), sum = zeros_like(exact);
  Generator generator(1);
  for (int64_t i = 0; i < draws; ++i) {
    Tensor w = random_projection(m, q.size(-1), {.orthogonal = orthogonal}, q.options(), &generator);
    Tensor estimate = (random_features(kind, q, w) * random_features(kind, k, w)).sum({-1});
    sum = sum + square(estimate / exact - 1);
  }
  return sqrt(sum / double(draws));
}

// The error against the number of features, over all rows.
inline std::vector<Series> errors_by_count(const Tensor& q, const Tensor& k, int64_t most, int64_t draws) {
  std::vector<Series> curves{{.name = "positive, orthogonal"}, {.name = "positive"}, {.name = "trigonometric"}};
  for (int64_t m = 16; m <= most; m *= 4)
    for (size_t i = 0; i < 3; ++i) {
      auto kind = i == 2 ? RandomFeatures::trigonometric : RandomFeatures::positive;
      curves[i].x.push_back(double(m));
      curves[i].y.push_back(std::sqrt(square(kernel_errors(kind, i == 0, m, q, k, draws)).mean().item()));
    }
  return curves;
}
// The error against the cosine, where |q'|^2 = |k'|^2 = 1/2: measured with independent draws, and by (6.8) and (6.9).
inline std::vector<Series> errors_by_angle(int64_t d, int64_t m, int64_t draws) {
  std::vector<Series> curves{{.name = "positive"},
                             {.name = "trigonometric"},
                             {.name = "positive, (6.8)", .mark = Mark::dashed},
                             {.name = "trigonometric, (6.9)", .mark = Mark::dashed}};
  Tensor angle = linspace(0, M_PI, 13, f64), from = on_circle(angle * 0, d), to = on_circle(angle, d);
  for (size_t i = 0; i < 2; ++i) {
    Tensor e = kernel_errors(i ? RandomFeatures::trigonometric : RandomFeatures::positive, false, m, from, to, draws);
    curves[i].x = cos(angle).to_vector<double>(), curves[i].y = e.to_vector<double>();
  }
  for (double cosine : curves[0].x) {
    const double sum = 1 + cosine, difference = 1 - cosine;  // |q' + k'|^2 and |q' - k'|^2
    curves[2].x.push_back(cosine), curves[3].x.push_back(cosine);
    curves[2].y.push_back(std::sqrt(std::max(0., std::expm1(sum)) / double(m)));                            // (6.8)
    curves[3].y.push_back(std::exp(difference / 2) * -std::expm1(-difference) / std::sqrt(2 * double(m)));  // (6.9)
  }
  return curves;
}
// Of those curves, measured over predicted or the other way round, whichever is larger, at its largest.
inline double furthest_ratio(const std::vector<Series>& curves) {
  double furthest = 1;
  for (size_t kind : {0, 1})
    for (size_t i = 0; i < curves[kind].y.size(); ++i) {
      const double measured = curves[kind].y[i], predicted = curves[kind + 2].y[i];
      if (predicted > 1e-6) furthest = std::max({furthest, measured / predicted, predicted / measured});
    }
  return furthest;
}

inline void random_features_of_softmax(Lesson& lesson, int64_t most, int64_t draws) {
  lesson.section("8. Beyond the note: features of softmax's own similarity",
                 R"(e^{q \cdot k / \sqrt d} = \mathbb{E}[\phi(q) \cdot \phi(k)], \quad )"
                 R"(\phi(x) = e^{w \cdot x' - |x'|^2/2} / \sqrt m, \quad x' = x / d^{1/4})",
                 "Choromanski et al. 2021, lemmas 1 and 2");
  Tensor q = randn({128, 16}, f64) * 0.35, k = randn({128, 16}, f64) * 0.35;
  const std::vector<Series> curves = errors_by_count(q, k, most, draws), turns = errors_by_angle(16, 64, 10 * draws);
  const PlotOptions counts{.x = "draws m",
                           .y = "relative error",
                           .log = true,
                           .caption = "d = 16, short q and k. A draw is one feature, or a cosine and a sine."};
  lesson.plot("favor", curves, counts);
  const Series &orthogonal = curves[0], &independent = curves[1];
  lesson.expect("independent draws: exponent of the error in m",
                std::log(independent.y.back() / independent.y[0]) / std::log(independent.x.back() / independent.x[0]),
                Within{-0.55, -0.45}, Needs::training);
  double ratio = 0;
  for (size_t i = 0; i < independent.y.size(); ++i)
    ratio += orthogonal.y[i] / independent.y[i] / double(independent.y.size());
  lesson.expect("orthogonal draws: error over that of independent ones, mean over m", ratio, Below{1}, Needs::training);
  lesson.plot("favor-angle", turns,
              {.x = "cos(q, k)",
               .y = "relative error",
               .y_low = 0,
               .caption = "m = 64, |q'|^2 = |k'|^2 = 1/2. Small weights, at the left, are most of a softmax row."});
  lesson.expect("errors against (6.8) and (6.9) at all angles, furthest ratio", furthest_ratio(turns), Below{1.25},
                Needs::training);
  lesson.expect("opposite vectors, the smallest weight: positive's error", turns[0].y.back(), Below{1e-9});
  lesson.expect("and trigonometric's", turns[1].y.back(), Above{0.05});
}

}  // namespace ink::lesson
