// What lesson 07 shows step by step: one path in 3 and in 6 steps, one use of Bayes' formula, a cloud on its way back.
#pragma once
#include <fmt/format.h>

#include "examples/07_sde_frame/lesson.h"

namespace ink::lesson {

// The same Brownian path walked coarsely and finely: two fine noises make one coarse one.
inline void one_path_in_two_ways(Lesson& lesson, const diffusion::Process& p) {
  if (!lesson.wants_frames()) return;
  lesson.player("one path, in 6 steps and in 3");
  Generator draw(lesson.seed() + 5);
  const std::vector<double> fine = randn({6}, f64, &draw).to_vector<double>();
  std::vector<double> t6(7), t3(4), x6(7, NAN), x3(4, NAN), coarse(3, NAN);
  for (size_t i = 0; i < 7; ++i) t6[i] = double(i) / 6;
  for (size_t i = 0; i < 4; ++i) t3[i] = double(i) / 3;
  x6[0] = x3[0] = 1;
  auto show = [&](const std::string& title, const std::string& text, std::vector<Place> at6, std::vector<Place> at3) {
    lesson.frame(title,
                 {{"t, 6 steps", t6}, {"z", fine}, {"x", x6, at6}, {"t, 3 steps", t3}, {"Z", coarse}, {"X", x3, at3}},
                 text);
  };
  show("the data", "Both walks begin at $x_0 = 1$; $z$ are six normal numbers.", {}, {});
  for (size_t i = 0; i < 6; ++i) {
    x6[i + 1] = forward_step(p, x6[i], t6[i], 1. / 6, fine[i]);
    show(fmt::format("fine step {}", i + 1), "$f x\\,dt$ pulls towards 0, $g\\sqrt{dt}\\,z$ pushes.",
         {{0, int64_t(i) + 1}}, {});
    if (i % 2 == 0) continue;
    const size_t j = i / 2;
    coarse[j] = (fine[i - 1] + fine[i]) / std::sqrt(2.);
    x3[j + 1] = forward_step(p, x3[j], t3[j], 1. / 3, coarse[j]);
    show(fmt::format("coarse step {}", j + 1),
         "$\\sqrt{dt}\\,(z + z') = \\sqrt{2\\,dt}\\,Z$ with $Z = (z + z')/\\sqrt 2$, normal again: a step of twice the "
         "size needs a noise of $\\sqrt 2$ times the size.",
         {}, {{0, int64_t(j) + 1}});
  }
}

// Bayes' formula on seven places, for a shrinking step.
inline void one_reversal(Lesson& lesson, const diffusion::Process& p, const diffusion::Mixture& law, double x,
                         double t) {
  if (!lesson.wants_frames()) return;
  lesson.player("one use of Bayes' formula");
  for (double dt : {0.08, 0.02, 0.005}) {
    const double r = t - dt, alpha = p.a(t) / p.a(r), g2 = p.g2(t);
    const double beta = std::pow(p.b(t), 2) - std::pow(alpha * p.b(r), 2);
    const Tensor places = (linspace(-2, 2, 7, f64) * std::sqrt(beta) + x).unsqueeze(1), flat = places.squeeze(1);
    const Tensor prior = log_density_at(p, law, places, r), kernel = square(x - alpha * flat) / (-2 * beta);
    const Reversed square_ = by_square(p, law, x, t, dt);
    const Tensor posterior = softmax(prior + kernel, 0),
                 gaussian = softmax(square(flat - square_.mean) / (-2 * square_.variance), 0);
    const Tensor none = full({7}, NAN, f64);
    Tensor rows[] = {none, none, none, none, none};
    auto show = [&](const std::string& title, const std::string& text) {
      lesson.frame(title,
                   {{"$x_t$", flat},
                    {"$\\ln p(x_t)$", rows[0]},
                    {"$\\ln p(x_{t+dt} | x_t)$ + const", rows[1]},
                    {"$p(x_t | x_{t+dt})$", rows[2]},
                    {"Gaussian of (7.6)", rows[3]},
                    {"difference", rows[4]}},
                   text);
    };
    const std::string with = fmt::format("dt = {}: ", dt);
    show(with + "where it may have come from",
         fmt::format("We stand at $x_{{t+dt}} = {}$; seven places $x_t$ around it.", x));
    rows[0] = prior;
    show(with + "the density there",
         "Over so short a range $\\ln p$ is nearly a straight line: its slope is the score.");
    rows[1] = kernel;
    show(with + "the step that led here", "A parabola in $x_t$, the steeper the smaller $dt$.");
    rows[2] = posterior;
    show(with + "their sum, made a law",
         "A parabola and a straight line make a parabola: a Gaussian, moved by the slope.");
    rows[3] = gaussian;
    show(with + "the completed square", fmt::format("Mean {:.4f}, variance $g^2 dt$ = {:.4f}.", square_.mean, g2 * dt));
    rows[4] = posterior - gaussian;
    show(with + "what the square leaves out",
         fmt::format("At most {:.4f}; smaller for smaller $dt$.", max(abs(posterior - gaussian)).item()));
  }
}

// Points in the plane, counted in 10 x 10 squares, from noise to four heaps.
inline void a_cloud_flows_back(Lesson& lesson, const diffusion::Process& p, int64_t n) {
  if (!lesson.wants_frames()) return;
  lesson.player("a cloud flows back");
  const diffusion::Mixture heaps =
      diffusion::gaussian_mixture(from_data({1.2, 1.2, -1.2, 1.2, -1.2, -1.2, 1.2, -1.2}, {4, 2}, f64),
                                  full({4}, 0.25, f64), ones({4}, f64));
  auto counted = [](const Tensor& x) {
    Tensor counts = zeros({10, 10}, f64);
    const std::vector<double> v = x.to_vector<double>();
    std::vector<double> cells(100);
    for (size_t i = 0; i + 1 < v.size(); i += 2) {
      auto cell = [](double place) { return std::clamp<int64_t>(int64_t(std::floor((place + 2.5) * 2)), 0, 9); };
      ++cells[size_t((9 - cell(v[i + 1])) * 10 + cell(v[i]))];
    }
    return from_data(std::span<const double>(cells), {10, 10});
  };
  diffusion::SampleNoise noise(lesson.seed() + 7);
  diffusion::EulerMaruyama em;
  const Tensor start = prior_sample(p, noise.draw({n, 2}), 1);
  lesson.frame("t = 1: noise", {{"points in each square", counted(start)}}, "No shape at all: $\\mathcal N(0, I)$.");
  auto show = [&](const diffusion::SampledStep& m) {
    if (m.index % 12 != 11) return;
    lesson.frame(
        fmt::format("t = {:.2f}", m.step.next), {{"points in each square", counted(m.x)}},
        m.step.next > 0.45 ? "At large $t$ the score points at the mean of all data: the cloud keeps its shape."
        : m.step.next > 0.15
            ? "The score begins to tell the heaps apart; each point is drawn to one, and noise still lets it change."
            : "Little noise is left: points gather where they are.");
  };
  sample(p, heaps, em, start, diffusion::through(diffusion::uniform_grid(192, 1, 0.002)),
         {.noise = &noise, .trace = show});
}

}  // namespace ink::lesson
