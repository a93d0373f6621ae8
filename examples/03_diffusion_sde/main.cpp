// Noise by a stochastic differential equation: three of them, the family of equations back, samplers against the truth,
// densities along the ODE, and conditions
#include <fmt/format.h>

#include "examples/03_diffusion_sde/control.h"
#include "examples/03_diffusion_sde/density.h"
#include "examples/03_diffusion_sde/laws.h"
#include "examples/support/lesson/lesson.h"

using namespace ink;
using namespace ink::lesson;

namespace {

struct Named {
  const char* name;
  const Process& process;
};

// The forward equation by Euler and Maruyama from x [n, 1]; the states after each of some times.
std::vector<Tensor> forward(const Process& p, Tensor x, int64_t steps, int64_t keep, NoiseSource& noise) {
  std::vector<Tensor> states{x};
  const double end = p.end(), dt = end / double(steps);
  for (int64_t i = 0; i < steps; ++i) {
    const double t = double(i) * dt;
    x = x + p.f(t) * dt * x + std::sqrt(p.g2(t) * dt) * noise.draw_like(x);  // (3.1)
    if ((i + 1) % (steps / keep) == 0) states.push_back(x);
  }
  return states;
}

void three_equations(Lesson& lesson, int64_t walkers) {
  lesson.section("1. Three equations", R"(dx = f(t)\, x\, dt + g(t)\, dw)", "Song et al. 2021, section 3",
                 {"nn/diffusion/process.h:VarianceExploding", "nn/diffusion/process.h:VariancePreserving",
                  "nn/diffusion/process.h:SubVariancePreserving"});
  const VarianceExploding ve(0.01, 8);
  const VariancePreserving vp;
  const SubVariancePreserving sub;
  const Mixture law = two_hills();
  std::vector<Series> spread;
  const int64_t steps = 400, keep = 40;
  for (const Named& row : {Named{"VE", ve}, Named{"VP", vp}, Named{"sub-VP", sub}}) {
    SampleNoise noise(lesson.seed());
    const Tensor start = law.sample(walkers) + row.process.b(0) * noise.draw({walkers, 1}, Device::cpu());
    const std::vector<Tensor> states = forward(row.process, start, steps, keep, noise);
    std::vector<double> times, stds;
    double worst = 0;
    for (int64_t i = 0; i <= keep; ++i) {
      const double t = row.process.end() * double(i) / double(keep);
      const Marginal exact(law, row.process.a(t), row.process.b(t));
      times.push_back(t), stds.push_back(std::sqrt(exact.variance()));
      worst = std::max(worst, std::abs(states[size_t(i)].var().item() / exact.variance() - 1));
    }
    lesson.expect(fmt::format("{}: variance on the way against $a^2 \\mathrm{{Var}} + b^2$, relative", row.name), worst,
                  Below{0.1});
    lesson.plot(fmt::format("forward_{}", row.name == std::string("sub-VP") ? "sub" : row.name),
                paths(times, states, 12, "walkers"),
                {.x = "time", .y = "x", .caption = fmt::format("{}: twelve walkers, from data to noise.", row.name)});
    spread.push_back({.name = row.name, .x = times, .y = stds});
  }
  lesson.plot("spread", spread,
              {.x = "time",
               .y = "standard deviation of x",
               .log_y = true,
               .caption =
                   "VE explodes, VP keeps what data of variance 1 have, sub-VP has less noise than VP on the way."});
  const double inside = std::pow(ve.b(1), 2) - std::pow(ve.b(0), 2);
  double sum = 0;
  for (int i = 0; i < 4000; ++i) sum += ve.g2((i + 0.5) / 4000) / 4000;
  lesson.expect("VE: the noise between t = 0 and 1 has the variance σ(1)² − σ(0)², relative",
                std::abs(sum / inside - 1), Below{1e-5});
  lesson.expect(
      "sub-VP never has more noise than VP: largest b_sub − b_VP",
      [&] {
        double most = -1;
        for (double t = 0.01; t <= 1; t += 0.01) most = std::max(most, sub.b(t) - vp.b(t));
        return most;
      }(),
      AtMost{0});
}

void a_family_back(Lesson& lesson, int64_t walkers, int64_t steps) {
  lesson.section("2. A family of ways back",
                 R"(dx = \left[f x - \tfrac{g^2 + h^2}{2}\, \nabla \log p_t(x)\right] dt + h\, d\bar w)",
                 "Anderson 1982; Song et al. 2021, appendix D; Huang et al. 2021",
                 {"nn/diffusion/samplers/sde.cpp:EulerMaruyama::step"});
  const VariancePreserving vp;
  const Mixture law = two_hills();
  const Steps grid = through(uniform_grid(steps, 1, 1e-3));
  const std::vector<double> data = quantiles(Marginal(law, 1, 0), walkers);
  const double floor = transport(law.sample(walkers), data);
  lesson.value("distance of as many draws from the law itself", floor);
  for (double scale : {0.0, 0.5, 1.0}) {
    EulerMaruyama sampler(scale);
    SampleNoise noise(lesson.seed() + 1);
    const Tensor start = prior_sample(vp, noise.draw({walkers, 1}, Device::cpu()), 1);
    std::vector<double> times{1};
    std::vector<Tensor> states{start};
    const std::string name = scale == 0 ? "h = 0, the ODE" : scale == 1 ? "h = g" : "h = g / 2";
    lesson.player(fmt::format("the way back, {}", name));
    auto trace = [&](const SampledStep& m) {
      if ((m.index + 1) % std::max<int64_t>(1, steps / 40)) return;
      times.push_back(m.step.next), states.push_back(m.x);
      if (lesson.wants_frames() && (m.index + 1) % std::max<int64_t>(1, steps / 10) == 0)
        lesson.frame(fmt::format("t = {:.2f}", m.step.next), {{"walkers in 32 cells of [-3, 3]", bins(m.x, 3)}},
                     scale == 0 ? "No noise: whoever was left stays left."
                                : "Each step shakes, and leans towards the data.");
    };
    const Tensor end = sample(vp, law, sampler, start, grid, {.noise = &noise, .trace = trace});
    lesson.expect(fmt::format("{}: distance to the data's law, over that of draws", name), transport(end, data) / floor,
                  Below{4});
    const Tensor middle = states[states.size() / 2];
    const double t = times[times.size() / 2];
    lesson.expect(fmt::format("{}: variance half way, over the forward equation's", name),
                  middle.var().item() / Marginal(law, vp.a(t), vp.b(t)).variance(), Within{0.9, 1.1});
    lesson.plot(
        scale == 0   ? "back_ode"
        : scale == 1 ? "back_sde"
                     : "back_half",
        paths(times, states, 10, "walkers"),
        {.x = "time", .y = "x", .caption = fmt::format("{}: ten walkers, from noise (right) to data (left).", name)});
  }
}

void the_ode_is_a_map(Lesson& lesson) {
  lesson.section("3. The ODE is a map", R"(F_0(x(0)) = F_t(x(t)))", "Song et al. 2021, section 4.3",
                 {"nn/diffusion/samplers/rk45.h:sample_rk45"});
  const VariancePreserving vp;
  const Mixture law = two_hills();
  std::vector<double> ps, from, to;
  for (double p = 0.02; p < 0.99; p += 0.04)
    ps.push_back(p), from.push_back(Marginal(law, vp.a(1), vp.b(1)).quantile(p));
  const Tensor start = from_data(std::span<const double>(from), {int64_t(from.size()), 1});
  const Rk45Result r = sample_rk45(vp, law, start, 1, 1e-4, {.rtol = 1e-8, .atol = 1e-8});
  double worst = 0;
  const Marginal near(law, vp.a(1e-4), vp.b(1e-4));
  for (size_t i = 0; i < ps.size(); ++i) {
    to.push_back(r.x[int64_t(i)][0].item());
    worst = std::max(worst, std::abs(to.back() - near.quantile(ps[i])));
  }
  lesson.expect("on the line curves cannot cross, so quantiles go to quantiles: largest difference", worst,
                Below{1e-6});
  lesson.value("evaluations of RK45", double(r.evaluations));
  const Rk45Result there = sample_rk45(vp, law, r.x, 1e-4, 1, {.rtol = 1e-8, .atol = 1e-8});
  lesson.expect("and back to noise: the same numbers", (there.x - start).abs().max().item(), Below{1e-4});
  lesson.plot(
      "map", {{.name = "x(0) over x(1)", .x = from, .y = to}},
      {.x = "noise x(1)",
       .y = "data x(0)",
       .caption =
           "The map that turns a bell curve into two hills: flat where points gather, steep across the valley."});
}

void samplers(Lesson& lesson, int64_t walkers) {
  lesson.section("4. Discretised: which sampler", R"(x_r = (2 - \alpha)\, x_t + \beta\, S + \sqrt\beta\, z)",
                 "Song et al. 2021, section 4.2 and algorithms 2 to 5",
                 {"nn/diffusion/samplers/sde.cpp:ReverseDiffusion::step",
                  "nn/diffusion/samplers/ancestral.cpp:Ancestral::step",
                  "nn/diffusion/samplers/langevin.cpp:PredictorCorrector::step"});
  const VariancePreserving vp;
  const Mixture law = two_hills();
  const std::vector<double> data = quantiles(Marginal(law, 1, 0), walkers);
  EulerMaruyama em;
  ReverseDiffusion reverse;
  Ancestral ancestral;
  Ddim ode;
  struct Row {
    const char* name;
    Sampler& sampler;
  };
  std::vector<Series> curves;
  for (const Row& row : {Row{"Euler-Maruyama", em}, Row{"reverse diffusion", reverse}, Row{"ancestral", ancestral},
                         Row{"ODE (DDIM)", ode}}) {
    Series s{.name = row.name};
    for (int64_t n : {10, 20, 50, 100, 200}) {
      SampleNoise noise(lesson.seed() + 2);
      int64_t calls = 0;
      const Tensor end = sample(vp, law, row.sampler, prior_sample(vp, noise.draw({walkers, 1}, Device::cpu()), 1),
                                through(uniform_grid(n, 1, 0)), {.noise = &noise}, &calls);
      s.x.push_back(double(calls)), s.y.push_back(transport(end, data));
    }
    curves.push_back(s);
    lesson.expect(fmt::format("{}: distance with 200 steps over that with 10", row.name), s.y.back() / s.y.front(),
                  Below{0.8});
  }
  const double floor = transport(law.sample(walkers), data);
  lesson.plot("samplers", curves,
              {.x = "evaluations of the score",
               .y = "distance to the law",
               .log = true,
               .references = {{floor, "draws from the law"}},
               .caption = "The same law, stepped towards in four ways: all reach what draws of the law itself have."});

  // A corrector takes its step from the norms of score and noise, which mean little on the line and much in 64 numbers.
  const double std = 0.5;
  const Mixture wide = gaussian(zeros({64}, kOnCpu), std);
  PredictorCorrector corrected(reverse, 0.16, 1);
  auto off = [&](Sampler& sampler) {
    SampleNoise noise(lesson.seed() + 6);
    const Tensor end = sample(vp, wide, sampler, prior_sample(vp, noise.draw({400, 64}, Device::cpu()), 1),
                              through(uniform_grid(20, 1, 0)), {.noise = &noise});
    return std::abs(std::sqrt(square(end).mean().item()) / std - 1);
  };
  const double alone = off(reverse), both = off(corrected);
  lesson.value("20 steps, reverse diffusion: error of the spread in 64 dimensions", alone);
  lesson.expect("20 steps in 64 dimensions: error of the spread with a corrector over that without", both / alone,
                Below{0.95});
}

}  // namespace

int main(int argc, char** argv) {
  Lesson lesson(argc, argv,
                {.note = "03",
                 .name = "03_diffusion_sde",
                 .title = "Diffusion models from SDEs",
                 .about =
                     "Three equations that make noise, a family of equations that take it away, samplers and densities "
                     "against the truth, and conditions.",
                 .full_time = "2 min"});
  const int64_t walkers =
      lesson.option("walkers", Sizes{.full = 20000, .quick = 4000, .tiny = 1000, .least = 100}, "of each cloud");
  const int64_t steps =
      lesson.option("steps", Sizes{.full = 1000, .quick = 400, .tiny = 200, .least = 40}, "of the way back");
  const DefaultDevice host(Device::cpu());  // clouds of a few thousand numbers in f64
  three_equations(lesson, walkers);
  a_family_back(lesson, walkers, steps);
  the_ode_is_a_map(lesson);
  samplers(lesson, walkers);
  weights_and_divergence(lesson);
  densities(lesson);
  conditions(lesson, walkers);
  return lesson.finish();
}
