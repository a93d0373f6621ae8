// The players of lesson 02.
#pragma once
#include <fmt/format.h>

#include <string>
#include <vector>

#include "examples/02_edm/frame.h"
#include "examples/support/lesson/lesson.h"
#include "nn/diffusion/samplers/churn.h"
#include "nn/diffusion/samplers/ode.h"

namespace ink::lesson {

// One x0 and one eps, mixed by three families at the same noise levels.
inline void one_formula_by_levels(Lesson& lesson) {
  if (!lesson.wants_frames()) return;
  using namespace diffusion;
  const Tensor x0 = from_data({1, -1, 0.5, 0, -0.5, 1}, {1, 6}, f64),
               eps = from_data({0.3, 1.2, -0.8, -1.5, 0.4, 0.9}, {1, 6}, f64);
  const FlowMatching flow;
  const VariancePreserving vp;
  const Edm edm;
  lesson.player("one noise level, three families");
  for (double sigma : {0., 0.1, 0.25, 0.5, 1., 2., 5., 20.}) {
    auto at = [&](const Process& p) { return add_noise(p, x0, eps, full({1}, p.time(sigma), f64))[0]; };
    const double a = flow.a(flow.time(sigma)), av = vp.a(vp.time(sigma));
    lesson.frame(
        fmt::format("$\\sigma = {}$", sigma),
        {{"$x_0$", x0[0]},
         {"$\\varepsilon$", eps[0]},
         {"EDM: $x_0 + \\sigma \\varepsilon$", at(edm)},
         {fmt::format("flow matching, $t = {:.3f}$", flow.time(sigma)), at(flow)},
         {fmt::format("VP, $t = {:.3f}$", vp.time(sigma)), at(vp)},
         {"flow matching, over $s$", at(flow) / a},
         {"VP, over $s$", at(vp) / av}},
        fmt::format("Flow matching has $s = {:.3f}$ here, VP $s = {:.3f}$. Divided by it, both rows are EDM's.", a,
                    av));
  }
}

// Heun's two evaluations, for one point of the mixture.
inline void heun_by_evaluations(Lesson& lesson, const diffusion::Mixture& law) {
  if (!lesson.wants_frames()) return;
  lesson.player("Heun: two evaluations a step");
  Tensor x = from_data({1.4, 1.9}, {1, 2}, f64);
  auto slope = [&](const Tensor& at, double sigma) { return (at - law(at, full({1}, sigma, f64))) / sigma; };
  const std::vector<double> grid = diffusion::edm_grid(5, 0.02, 3);
  for (size_t i = 0; i + 1 < grid.size(); ++i) {
    const double s = grid[i], r = grid[i + 1];
    const Tensor d = slope(x, s), guess = x + (r - s) * d;
    lesson.frame(fmt::format("$\\sigma$ {:.3f} to {:.3f}: predict", s, r),
                 {{"x", x[0]}, {"slope here", d[0]}, {"Euler's x", guess[0]}},
                 "The slope is $(x - D(x; \\sigma)) / \\sigma$, and Euler follows it to the next noise level.");
    if (r == 0) {
      x = guess;
      lesson.frame("at $\\sigma = 0$", {{"x", x[0]}, {"slope here", d[0]}, {"Euler's x", guess[0]}},
                   "There is no slope at $\\sigma = 0$: the last step is Euler's, and it lands on $D$ itself.");
      break;
    }
    const Tensor there = slope(guess, r), mean = (d + there) / 2;
    x = x + (r - s) * mean;
    lesson.frame(fmt::format("$\\sigma$ {:.3f} to {:.3f}: correct", s, r),
                 {{"x", x[0]},
                  {"slope here", d[0]},
                  {"slope there", there[0]},
                  {"their mean", mean[0]},
                  {"Euler's x", guess[0]}},
                 "A second evaluation where Euler has led; the step is taken again with the mean of both slopes.");
  }
}

// EDM's noise levels for growing rho, eight steps.
inline void grid_by_rho(Lesson& lesson) {
  if (!lesson.wants_frames()) return;
  lesson.player("the grid for growing rho");
  for (double rho : {1., 2., 3., 5., 7., 20., 100.}) {
    const std::vector<double> grid = diffusion::edm_grid(8, 0.02, 80, rho);
    std::vector<double> ratio;
    for (size_t i = 0; i + 2 < grid.size(); ++i) ratio.push_back(grid[i + 1] / grid[i]);
    int below = 0;
    for (double s : grid) below += s > 0 && s < 1;
    lesson.frame(fmt::format("$\\rho = {}$", rho), {{"$\\sigma_i$", grid}, {"$\\sigma_{i+1} / \\sigma_i$", ratio}},
                 fmt::format("Of the eight levels {} below 1. {}",
                             below == 1 ? "one lies" : std::to_string(below) + " lie",
                             rho == 1     ? "Equal steps: nearly all are spent on noise."
                             : rho == 7   ? "EDM's choice."
                             : rho == 100 ? "Towards equal ratios, a geometric grid."
                                          : ""));
  }
}

// EDM's churn: up a little, then down a step.
inline void churn_by_steps(Lesson& lesson) {
  if (!lesson.wants_frames()) return;
  lesson.player("churn: up a little, down a step");
  const int64_t n = 6;
  const std::vector<double> grid = diffusion::edm_grid(n, 0.02, 10);
  const diffusion::ChurnOptions o{.churn = 1.5, .least = 0.05, .most = 5};
  std::vector<double> path;
  for (size_t i = 0; i + 1 < grid.size(); ++i) {
    const double s = grid[i],
                 gamma = s >= o.least && s <= o.most ? std::min(o.churn / double(n), std::sqrt(2.) - 1) : 0;
    const double up = s * (1 + gamma), added = s * std::sqrt(gamma * (2 + gamma));
    path.push_back(s);
    if (gamma > 0) path.push_back(up);
    lesson.frame(fmt::format("from $\\sigma = {:.3f}$", s),
                 {{"$\\sigma$ so far", path},
                  {"$\\gamma$", gamma},
                  {"raised to $\\hat\\sigma$", up},
                  {"std of the noise added", added},
                  {"then down to", grid[i + 1]}},
                 gamma > 0 ? "Noise of standard deviation $\\sqrt{\\hat\\sigma^2 - \\sigma^2}$ takes the sample up to "
                             "$\\hat\\sigma$; a Heun step goes down from there."
                           : "Outside $[S_{tmin}, S_{tmax}]$ nothing is added: a plain Heun step.");
  }
}

// A cloud of samples as counts of points per cell, [cells, cells], rows from top to bottom.
inline Tensor counts_of(const Tensor& points, double reach, int64_t cells) {
  const Options numbers{f64, Device::cpu()};
  Tensor counts = zeros({cells * cells}, numbers);
  const Tensor at = floor((points.to(numbers) + reach) * (double(cells) / (2 * reach)));
  const Tensor inside = ((at >= 0) & (at < double(cells))).all(Dims{1}).to(f64),
               place = clamp(at, 0, double(cells - 1)).to(i64);
  const Tensor index = (cells - 1 - place.select(1, 1)) * cells + place.select(1, 0);
  return index_add(counts, 0, index, inside).reshape({cells, cells});
}

// Samples on their way from noise to data, as counts, in units of the noise level: the reverse process.
inline void cloud_by_steps(Lesson& lesson, diffusion::Denoiser denoiser, const Tensor& z) {
  if (!lesson.wants_frames()) return;
  using namespace diffusion;
  lesson.player("the cloud, step by step");
  const Edm edm(80);
  Heun heun;
  auto show = [&](double sigma, const Tensor& x) {
    const double reach = 1.5 * std::sqrt(0.25 + sigma * sigma) / 0.5;
    lesson.frame(fmt::format("$\\sigma = {:.3g}$", sigma),
                 {{"points per cell", counts_of(x, reach, 16)}, {"edge of the picture", reach}},
                 sigma > 3     ? "Noise: the cloud only shrinks, as a whole."
                 : sigma > 0.3 ? "The noise is as large as the data: the cloud bends towards its three parts."
                               : "Each part settles.");
  };
  show(80, z * 80);
  sample(edm, denoiser, heun, z * 80, through(edm_grid(14)),
         {.trace = [&](const diffusion::SampledStep& m) { show(m.step.next, m.x); }});
}

}  // namespace ink::lesson
