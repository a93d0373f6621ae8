// Sections 7 to 9 and the flow of section 3: grids, solvers and their orders, and one net sampled by every family
#include <fmt/format.h>

#include <cmath>

#include "examples/02_edm/frame.h"
#include "examples/02_edm/lesson.h"
#include "examples/02_edm/steps.h"
#include "nn/diffusion/samplers/ancestral.h"
#include "nn/diffusion/samplers/ddim.h"
#include "nn/diffusion/samplers/dpm_solver.h"

using namespace ink::diffusion;

namespace ink::lesson {

// The same curves of the ODE, once in EDM's time and once in flow matching's.
void flow_on_a_line(Lesson& lesson) {
  const Mixture law = two_on_a_line();
  const Edm edm(5);
  const FlowMatching flow;
  const Tensor start = linspace(-1.9, 1.9, 13, {f64, Device::cpu()}).unsqueeze(1);
  RungeKutta4 solver;
  auto draw = [&](const char* name, const Process& p, const std::vector<double>& times, const char* caption) {
    std::vector<Series> curves(13);
    auto add = [&](double t, const Tensor& x) {
      for (size_t i = 0; i < 13; ++i) curves[i].x.push_back(t), curves[i].y.push_back(x[int64_t(i)].item());
    };
    const Tensor first = start * p.prior_std(times[0]);
    add(times[0], first);
    const Tensor last = sample(p, law, solver, first, through(times),
                               {.trace = [&](const diffusion::SampledStep& m) { add(m.step.next, m.x); }});
    lesson.plot(name, curves, {.x = "t", .y = "x", .caption = caption});
    return last;
  };
  std::vector<double> t = uniform_grid(60, 1 - 1. / 6, 0.01), sigma;
  for (double x : t) sigma.push_back(flow.sigma(x));
  const Tensor by_flow =
      draw("flow-fm", flow, t, "Paths of the ODE in flow matching's time: nearly straight until the data are near.");
  const Tensor by_edm =
      draw("flow-edm", edm, sigma,
           "The same in EDM's, where the data are never scaled: straight lines at much noise, bends at little.");
  lesson.expect("both ways round end at the same points: largest difference", largest(by_flow / flow.a(0.01) - by_edm),
                Below{1e-5});
}

void grid_and_heun(Lesson& lesson, const Mixture& law) {
  lesson.section(
      "7. The grid, Heun, churn",
      R"(\sigma_i = \Big(\sigma_\text{max}^{1/\rho} + \tfrac{i}{n-1} (\sigma_\text{min}^{1/\rho} - \sigma_\text{max}^{1/\rho})\Big)^{\rho})",
      "Karras et al. 2022, eq. 5, algorithms 1 and 2");
  std::vector<Series> grids;
  for (double rho : {1., 3., 7., 20.})
    grids.push_back({.name = fmt::format("rho = {}", rho), .y = edm_grid(18, 0.002, 80, rho)});
  for (Series& s : grids) s.y.pop_back();
  lesson.plot("grid", grids,
              {.x = "step",
               .y = "sigma",
               .log_y = true,
               .caption = "Eighteen noise levels. rho = 1 steps evenly, large rho by equal ratios."});
  const std::vector<double> grid = edm_grid(18);
  lesson.expect("the grid ends: sigma_min, then 0",
                grid[0] == 80 && std::abs(grid[17] - 0.002) < 1e-15 && grid[18] == 0);
  grid_by_rho(lesson);
  heun_by_evaluations(lesson, law);
  churn_by_steps(lesson);
  const Edm edm(10);
  Heun heun;
  EdmChurn still({.churn = 0}), stirred({.churn = 20});
  SampleNoise noise(lesson.seed() + 3);
  const Tensor x = noise.draw({50, 2}, Device::cpu()) * 10;
  const Steps steps = through(edm_grid(12, 0.01, 10));
  const Tensor plain = sample(edm, law, heun, x, steps);
  lesson.expect("churn 0 is Heun: largest difference",
                largest(sample(edm, law, still, x, steps, {.noise = &noise}) - plain), Below{1e-12});
  lesson.expect("churn 20 goes elsewhere: largest difference",
                largest(sample(edm, law, stirred, x, steps, {.noise = &noise}) - plain), Above{0.1});
}

void orders(Lesson& lesson, const Mixture& law) {
  lesson.section("8. What an evaluation buys", R"(\lVert x_n - x \rVert = O(n^{-p}))",
                 "Karras et al. 2022, figure 2; Lu et al. 2022");
  const Edm edm(8);
  SampleNoise noise(lesson.seed() + 5);
  const Tensor x = noise.draw({16, 2}, Device::cpu()) * 8;
  auto levels = [](int64_t n) {
    std::vector<double> grid = edm_grid(n + 1, 0.05, 8);
    grid.pop_back();  // to sigma = 0.05: the last step, to 0, is Euler's in all of them
    return through(grid);
  };
  RungeKutta4 fine;
  const bool tiny = lesson.mode() == Mode::tiny;
  const Tensor truth = sample(edm, law, fine, x, levels(tiny ? 200 : 1500));
  struct Row {
    const char* name;
    std::shared_ptr<Sampler> sampler;
    double order;
    int64_t calls;  // a step
  };
  const Row rows[] = {{"Euler = DDIM", std::make_shared<Euler>(), 1, 1},
                      {"Heun", std::make_shared<Heun>(), 2, 2},
                      {"midpoint", std::make_shared<Midpoint>(), 2, 2},
                      {"DPM-Solver++(2M)", std::make_shared<DpmSolverPP2M>(), 2, 1},
                      {"DPM-Solver-3", std::make_shared<DpmSolver>(3), 3, 3},
                      {"Runge-Kutta 4", std::make_shared<RungeKutta4>(), 4, 4}};
  std::vector<Series> curves;
  for (const Row& r : rows) {
    Series s{.name = r.name};
    std::vector<double> n, error;
    for (int64_t steps : {9, 18, 36, 72, 144, 288}) {
      if (tiny && steps > 36) break;
      const Tensor got = sample(edm, law, *r.sampler, x, levels(steps));
      s.x.push_back(double(steps * r.calls)), s.y.push_back(std::sqrt(square(got - truth).mean().item()));
      if (steps >= 72) n.push_back(double(steps)), error.push_back(s.y.back());
    }
    curves.push_back(s);
    if (tiny) continue;
    const double order = slope_of(n, error);
    lesson.value(fmt::format("order, {}", r.name), order);
    lesson.expect(fmt::format("{}: order", r.name), order, Within{r.order - 0.1, r.order + 0.1});
  }
  lesson.plot(
      "orders", curves,
      {.x = "evaluations of the denoiser",
       .y = "error at sigma = 0.05",
       .log = true,
       .caption = "The mixture's own denoiser, so that only the solver errs. Slopes are the orders 1, 2, 2, 2, 3, 4."});
}

void one_net_by_all(Lesson& lesson, const Learner& learner, const Mixture& law, int64_t chains) {
  lesson.section("9. One network, sampled as every family", R"(x_t / s(t) = x_0 + \sigma(t)\, \varepsilon)",
                 "Karras et al. 2022, table 1");
  NoGrad guard;
  const Edm edm(80);
  const FlowMatching flow;
  const VarianceExploding ve(0.002, 80);
  const VariancePreserving vp;
  const Ddpm ddpm(BetaSchedule::cosine, 1000);
  auto denoiser = [&](const Tensor& x, const Tensor& sigma, const Tensor&) { return learner(x, sigma); };
  SampleNoise noise(lesson.seed() + 11);
  const Tensor z = noise.draw({chains, 2}, Device::cpu()), data = law.sample(chains), other = law.sample(chains);
  const double floor = energy_distance(data, other);
  lesson.value("energy distance, data and data", floor);
  Heun heun;
  Euler euler;
  Ddim ddim, ancestral(1);
  struct Row {
    const char *name, *label;
    const Process& process;
    Sampler& sampler;
    Steps steps;
  };
  const std::vector<double> sigmas = edm_grid(18);
  std::vector<double> times;
  for (double s : sigmas) times.push_back(flow.time(s));
  std::vector<Row> rows{{"EDM, Heun", "EDM", edm, heun, through(sigmas)},
                        {"flow matching, Euler", "flow matching", flow, euler,
                         through(uniform_grid(50, flow.time(80), 0))},
                        {"VE, Euler", "VE", ve, euler, through(and_zero(uniform_grid(100, 1, 0.01)))},
                        {"VP, Heun", "VP", vp, heun, through(uniform_grid(50, 1, 1e-3))},
                        {"DDIM, 50 of 1000", "DDIM", ddpm, ddim, through(ddpm_grid(1000, 50))},
                        {"DDPM, 200 of 1000", "DDPM", ddpm, ancestral, through(ddpm_grid(1000, 200))}};
  const double reach = 1.5;
  double worst = 0;
  std::vector<Tensor> clouds{counts_of(data, reach, 24)};
  std::vector<std::string> names{"data"};
  for (const Row& r : rows) {
    int64_t calls = 0;
    const Tensor x = sample(r.process, denoiser, r.sampler, z * r.process.prior_std(r.steps[0].t), r.steps,
                            {.noise = &noise}, &calls);
    const double distance = energy_distance(x, data);
    worst = std::max(worst, distance);
    lesson.value(fmt::format("energy distance, {}", r.name), distance);
    lesson.value(fmt::format("evaluations, {}", r.name), double(calls));
    clouds.push_back(counts_of(x, reach, 24)), names.push_back(r.label);
  }
  lesson.images(
      "clouds", stack(clouds),
      {.per_row = 4,
       .caption = "The same network's samples by six samplers, and data: how many of the points fall into each cell."},
      names);
  lesson.expect("the farthest of them from data, as an energy distance", worst, Below{0.03}, Needs::training);
  // the same grid, seen from three families: the same points
  const Tensor few = z.narrow(0, 0, std::min<int64_t>(chains, 64));
  auto exact = [&](const Tensor& x, const Tensor& sigma, const Tensor&) { return law(x, sigma); };
  const Tensor by_edm = sample(edm, exact, euler, few * 80, through(sigmas));
  const Tensor by_flow = sample(flow, exact, euler, few * 80 * flow.a(times[0]), through(times));
  const Tensor by_ddim = sample(vp, exact, ddim, few * 80 * vp.a(vp.time(80)), through_sigmas(vp, sigmas));
  lesson.expect("Euler in sigma, Euler in flow matching's t and DDIM on one grid: largest difference",
                std::max(largest(by_flow - by_edm), largest(by_ddim - by_edm)), Below{1e-9});
  cloud_by_steps(lesson, denoiser, z);
}

}  // namespace ink::lesson
