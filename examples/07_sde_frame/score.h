// Section 3 of lesson 07: the score of the noisy data is a mean of conditional scores, and a mean is what least squares
// finds.
#pragma once
#include <fmt/format.h>

#include "examples/07_sde_frame/lesson.h"

namespace ink::lesson {

// (1/2) E |s(x_t) - grad ln p_t(x_t)|^2 and (1/2) E |s(x_t) - grad ln p(x_t | x_0)|^2 for data that are `points`, each
// as likely: integrals over x_t by the trapezoid rule.
struct Losses {
  double explicit_loss, denoising;
};
template <class S> Losses matching_losses(const std::vector<double>& points, double a, double b, S s) {
  Losses sums{0, 0};
  const double step = 0.005;
  for (double x = -8; x <= 8; x += step) {
    double density = 0, weighted = 0, denoising = 0;
    for (double point : points) {
      const double away = x - a * point, p = std::exp(-away * away / (2 * b * b)) / (b * std::sqrt(2 * M_PI));
      const double conditional = -away / (b * b);
      density += p, weighted += p * conditional;
      denoising += p * std::pow(s(x) - conditional, 2) / 2;
    }
    const double score = density > 1e-300 ? weighted / density : 0;  // (7.8)
    sums.explicit_loss += density * std::pow(s(x) - score, 2) / 2 * step / double(points.size());
    sums.denoising += denoising * step / double(points.size());
  }
  return sums;
}

inline void the_score_is_a_mean(Lesson& lesson) {
  lesson.section("3. What is to be learnt: a mean",
                 R"(\nabla \ln p_t(x) = \mathbb{E}\left[\nabla \ln p_t(x | x_0) \,\middle|\, x\right])",
                 "Vincent 2011; Su 2022");
  const diffusion::VariancePreserving vp;
  const double t = 0.15, a = vp.a(t), b = vp.b(t);
  const std::vector<double> points{-1.5, 0.3, 1};
  const diffusion::Mixture law = diffusion::finite_set(column(points));
  std::vector<Series> lines;
  Series score{.name = "the score"};
  for (size_t k = 0; k < points.size(); ++k)
    lines.push_back({.name = fmt::format("if x0 = {}", points[k]), .mark = Mark::dashed});
  for (double x = -2; x <= 1.8; x += 0.05) {
    score.x.push_back(x), score.y.push_back(score_at(vp, law, column({x}), t).item());
    for (size_t k = 0; k < points.size(); ++k)
      lines[k].x.push_back(x), lines[k].y.push_back((a * points[k] - x) / (b * b));
  }
  lines.push_back(score);
  lesson.plot("mean", lines,
              {.x = "x",
               .y = "grad ln p",
               .y_low = -8,
               .y_high = 8,
               .caption = "Three data points, t = 0.15: the score is the mean of the three lines, each "
                          "weighted by how likely its point is the one behind x."});
  // the library's score (from the law) and the mean of conditional scores (7.8) are one function: its explicit loss is
  // 0
  auto true_score = [&](double x) {
    double density = 0, weighted = 0;
    for (double point : points) {
      const double p = std::exp(-std::pow(x - a * point, 2) / (2 * b * b));
      density += p, weighted += p * (a * point - x) / (b * b);
    }
    return density > 0 ? weighted / density : 0;
  };
  double apart = 0;
  for (size_t i = 0; i < score.x.size(); ++i) apart = std::max(apart, std::abs(score.y[i] - true_score(score.x[i])));
  lesson.expect("the law's score against the weighted mean: largest difference", apart, Below{1e-9});
  std::vector<double> gaps;
  auto keep = [&](const Losses& l) { return gaps.push_back(l.denoising - l.explicit_loss), l; };
  const Losses best = keep(matching_losses(points, a, b, true_score));
  keep(matching_losses(points, a, b, [](double) { return 0.; }));
  const Losses other = keep(matching_losses(points, a, b, [](double x) { return -x; }));
  keep(matching_losses(points, a, b, [](double x) { return 3 * std::sin(x) - 1; }));
  const auto [low, high] = std::minmax_element(gaps.begin(), gaps.end());
  lesson.value("denoising minus explicit", gaps[0]);
  lesson.expect("denoising minus explicit loss, four models: largest less smallest", *high - *low, Below{1e-8});
  lesson.expect("and it is not 0", gaps[0], Above{0.1});
  lesson.expect("the true score has the least denoising loss", other.denoising - best.denoising, Above{0.1});
}

// Least squares on pairs (x_t, -eps / b): 24 Gaussian bumps, one linear solve.
inline void least_squares(Lesson& lesson, int64_t n) {
  const diffusion::VariancePreserving vp;
  const double t = 0.15, a = vp.a(t), b = vp.b(t);
  const diffusion::Mixture law = two_humps();
  Generator draw(lesson.seed() + 3);
  const Tensor x0 = law.sample(n, &draw), eps = randn({n, 1}, f64, &draw), x = a * x0 + b * eps,
               target = -eps / b;  // (7.10)
  const Tensor centres = linspace(-2.2, 2.2, 24, f64).unsqueeze(0);
  auto features = [&](const Tensor& at) { return exp(square(at - centres) / -0.08); };
  const Tensor F = features(x), ridge = eye(24, f64) * 1e-3;
  const Tensor weights = solve(matmul(F.t(), F) + ridge, matmul(F.t(), target));
  const Tensor places = linspace(-1.8, 1.8, 121, f64).unsqueeze(1);
  const Tensor learnt = matmul(features(places), weights), truth = score_at(vp, law, places, t);
  const Tensor density = exp(log_density_at(vp, law, places, t));
  const double error = std::sqrt((sum(density * square(learnt - truth).squeeze(1)) / sum(density)).item());
  lesson.plot(
      "least-squares",
      {{.name = "targets",
        .x = x.narrow(0, 0, 400).to_vector<double>(),
        .y = target.narrow(0, 0, 400).to_vector<double>(),
        .mark = Mark::points},
       {.name = "least squares", .x = places.to_vector<double>(), .y = learnt.to_vector<double>()},
       {.name = "the score", .x = places.to_vector<double>(), .y = truth.to_vector<double>(), .mark = Mark::dashed}},
      {.x = "x",
       .y = "grad ln p",
       .y_low = -8,
       .y_high = 8,
       .caption = fmt::format("{} pairs of x and -eps / b. What fits them best is their mean: the score.", n)});
  lesson.value("spread of the targets", std::sqrt(mean(square(target - score_at(vp, law, x, t))).item()));
  lesson.expect("least squares on noisy targets: error of the score (root mean square)", error, Below{0.25},
                Needs::training);
}

}  // namespace ink::lesson
