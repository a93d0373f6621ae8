// One frame for diffusion models: one noising formula, one denoiser, and every family a choice of constants
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "examples/02_edm/frame.h"
#include "examples/02_edm/lesson.h"
#include "examples/02_edm/steps.h"
#include "examples/support/lesson/lesson.h"
#include "nn/diffusion/samplers/ode.h"
#include "nn/diffusion/samplers/sde.h"

using namespace ink;
using namespace ink::diffusion;
using namespace ink::lesson;

namespace {

void one_formula(Lesson& lesson) {
  lesson.section("1. One noising formula", R"(x_t = s(t)\, x_0 + s(t)\, \sigma(t)\, \varepsilon)",
                 "Karras et al. 2022, section 2");
  std::vector<Series> levels, scales;
  double apart = 0, back = 0;
  const Tensor x0 = randn({1, 8}, f64), eps = randn({1, 8}, f64);
  for (const Family& f : families()) {
    const Process& p = *f.process;
    Series level{.name = f.name}, scale{.name = f.name};
    for (int i = 1; i < 100; ++i) {
      const double t = p.end() * i / 100;
      level.x.push_back(i / 100.), level.y.push_back(p.sigma(t));
      scale.x.push_back(i / 100.), scale.y.push_back(p.a(t));
      back = std::max(back, std::abs(p.time(p.sigma(t)) - t) / p.end());
    }
    levels.push_back(level), scales.push_back(scale);
    for (double sigma : {0.01, 0.5, 3., 40.}) {
      const double t = p.time(sigma);
      const Tensor x = add_noise(p, x0, eps, full({1}, t, f64)) / p.a(t);
      apart = std::max(apart, largest(x - (x0 + sigma * eps)) / sigma);
    }
  }
  lesson.plot("sigma", levels,
              {.x = "share of the time",
               .y = "noise level",
               .log_y = true,
               .caption = "Six ways to the same noise: sigma(t) from data (left) to noise (right)."});
  lesson.plot("scale", scales,
              {.x = "share of the time",
               .y = "s(t)",
               .caption = "EDM and VE leave the data as they are; the others shrink them."});
  lesson.expect("at equal noise all families hold x_0 + sigma eps, up to a factor: largest difference over sigma",
                apart, Below{1e-6});
  lesson.expect("time(sigma(t)) is t: largest error over the end", back, Below{1e-6});
  one_formula_by_levels(lesson);
}

void five_outputs(Lesson& lesson) {
  lesson.section("2. Five things to predict",
                 R"(\text{each is } p\, x_0 + q\, \varepsilon \text{ beside } x_t = a x_0 + b \varepsilon)",
                 "Salimans & Ho 2022; Lipman et al. 2023");
  const Tensor x0 = randn({6, 4}, f64), eps = randn({6, 4}, f64);
  Tensor worst = zeros({5, 5}, f64);
  for (const Family& f : families()) {
    const Tensor t = from_data({0.05, 0.2, 0.4, 0.6, 0.8, 0.9}, {6}, f64) * f.process->end();
    worst = maximum(worst, conversion_errors(*f.process, x0, eps, t));
  }
  const std::vector<std::string> names{"D", "eps", "score", "v", "velocity"};
  lesson.heatmap("conversions", log10(worst + 1e-17),
                 {.x = "into",
                  .y = "from",
                  .rows = names,
                  .columns = names,
                  .caption = "Powers of ten: the largest relative error of a conversion there and back, over six "
                             "families and six times."});
  lesson.expect("all 25 conversions there and back: largest relative error", worst.max().item(), Below{1e-10});
}

void sde_and_ode(Lesson& lesson, int64_t chains) {
  lesson.section(
      "3. The SDE, and the ODE beside it",
      R"(f = \dot s / s, \quad g^2 = 2 s^2 \sigma \dot\sigma, \quad \frac{dx}{d\sigma} = \frac{x - D(x; \sigma)}{\sigma})",
      "Song et al. 2021; Karras et al. 2022, eq. 4");
  double worst = 0;
  for (const Family& f : families()) {
    if (f.name == "DDPM") continue;  // a table, no formula
    for (double share : {0.1, 0.5, 0.9}) {
      const double t = share * std::min(1., f.process->end());
      const Drift printed = printed_drift(f.name, t);
      worst = std::max({worst, std::abs(f.process->f(t) - printed.f), std::abs(f.process->g2(t) / printed.g2 - 1)});
    }
  }
  lesson.expect("f and g^2 from s and sigma alone, against those the papers print: largest difference", worst,
                Below{1e-9});
  flow_on_a_line(lesson);
  const double s = 0.7;
  const Mixture gauss = gaussian(zeros({2}, f64), s);
  const Edm edm(10);
  const Tensor start = randn({64, 2}, f64) * 10;
  Heun heun;
  const Tensor got = sample(edm, gauss, heun, start, through(edm_grid(400, 0.002, 10)));
  const double shrink = s / std::sqrt(s * s + 100);
  lesson.expect("a Gaussian's flow, 400 Heun steps against the closed form: largest error",
                largest(got - start * shrink), Below{2e-4});
  NoGrad guard;
  const Mixture law = points_to_learn();
  const VariancePreserving vp;
  SampleNoise noise(lesson.seed() + 1);
  EulerMaruyama sde;
  const std::vector<double> times = uniform_grid(200, 1, 1e-3);
  const Tensor by_sde = sample(vp, law, sde, noise.draw({chains, 2}), through(times), {.noise = &noise});
  const Tensor by_ode = sample(vp, law, heun, noise.draw({chains, 2}), through(times));
  lesson.value("energy distance, two draws of data", energy_distance(law.sample(chains), law.sample(chains)));
  lesson.expect("reverse SDE and ODE end with the data's law: the larger energy distance",
                std::max(energy_distance(by_sde, law.sample(chains)), energy_distance(by_ode, law.sample(chains))),
                Below{0.02});
}

}  // namespace

int main(int argc, char** argv) {
  Lesson lesson(
      argc, argv,
      {.note = "02",
       .name = "02_edm",
       .title = "One frame for diffusion models",
       .about = "Flow matching, score matching and DDPM as one noising formula; what the network predicts, how it is "
                "trained and sampled, each family a column of one table, and one network sampled as all of them.",
       .full_time = "10 min"});
  const int64_t steps = lesson.option("steps", Sizes{.full = 3000, .quick = 500, .tiny = 2}, "of training on points");
  const int64_t width = lesson.option("width", Sizes{.full = 128, .quick = 64, .tiny = 8}, "of the net for points");
  const int64_t batch = lesson.option("batch", Sizes{.full = 256, .quick = 256, .tiny = 4}, "points a step");
  const int64_t seeds =
      lesson.option("seeds", Sizes{.full = 3, .quick = 1, .tiny = 1}, "nets a family, in the ablation");
  const int64_t chains =
      lesson.option("chains", Sizes{.full = 2000, .quick = 1000, .tiny = 40, .least = 2}, "points sampled");
  const int64_t digit_steps = lesson.option("digit-steps", Sizes{.full = 2000, .quick = 0, .tiny = 0, .least = 0},
                                            "of training on digits; 0: none");
  one_formula(lesson);
  five_outputs(lesson);
  sde_and_ode(lesson, chains);
  preconditioning(lesson);
  noise_and_weight(lesson);
  const Mixture law = points_to_learn();
  const std::unique_ptr<Learner> learner = ablation(lesson, law, {steps, batch, width, seeds});
  grid_and_heun(lesson, law);
  orders(lesson, law);
  one_net_by_all(lesson, *learner, law, chains);
  if (digit_steps > 0) digits(lesson, digit_steps);
  return lesson.finish();
}
