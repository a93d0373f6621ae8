// Sections 4 to 6: what the network is asked for, how noise is drawn, and an ablation
#include <fmt/format.h>

#include <cmath>

#include "examples/02_edm/frame.h"
#include "examples/02_edm/lesson.h"

using namespace ink::diffusion;

namespace ink::lesson {

void preconditioning(Lesson& lesson) {
  lesson.section("4. What the network is asked for",
                 R"(D(x; \sigma) = c_\text{skip}\, x + c_\text{out}\, F(c_\text{in}\, x;\, c_\text{noise}))",
                 "Karras et al. 2022, section 5 and appendix B.6");
  const EdmPreconditioner edm(kSigmaData);
  std::vector<Series> c{{.name = "c_skip"}, {.name = "c_out"}, {.name = "c_in"}};
  std::vector<Series> amplified{{.name = "EDM's F"}, {.name = "eps"}, {.name = "x_0"}, {.name = "v"}};
  double unit = 0, best = INFINITY;
  for (double l = -6; l <= 4.4; l += 0.2) {
    const double sigma = std::exp(l), sd2 = kSigmaData * kSigmaData, s2 = sigma * sigma;
    const Preconditioning p = edm.at(sigma);
    const double values[] = {p.skip, p.out, p.in};
    for (size_t i = 0; i < 3; ++i) c[i].x.push_back(sigma), c[i].y.push_back(values[i]);
    for (int i = 0; i < 4; ++i) {
      const double out = std::abs(Ablated(Ablated::Predicts(i)).at(sigma).out);
      amplified[size_t(i)].x.push_back(sigma), amplified[size_t(i)].y.push_back(out);
    }
    auto target_variance = [&](double skip) { return (1 - skip) * (1 - skip) * sd2 + skip * skip * s2; };
    unit = std::max(
        {unit, std::abs(p.in * p.in * (sd2 + s2) - 1), std::abs(target_variance(p.skip) / (p.out * p.out) - 1)});
    for (double off : {-0.1, 0.1}) best = std::min(best, target_variance(p.skip + off) / target_variance(p.skip));
  }
  lesson.plot(
      "precondition", c,
      {.x = "sigma",
       .log_x = true,
       .caption = "At little noise the input is passed on and F corrects it; at much noise F gives the answer alone."});
  lesson.plot("amplified", amplified,
              {.x = "sigma",
               .y = "error of D per error of F",
               .log = true,
               .caption = "eps multiplies the network's error by sigma, x_0 leaves it at 1; EDM's F and v take the "
                          "smaller of both, F at sigma_data, v at 1."});
  lesson.expect("input and target of F have variance 1 at every sigma: largest difference", unit, Below{1e-12});
  lesson.expect("c_skip off by 0.1 asks for a larger c_out: least ratio of their squares", best, Above{1.03});
  const Tensor eps = randn({4000, 2}, f64), x0 = randn({4000, 2}, f64) * kSigmaData;
  auto nothing = [](const Tensor& x, const Tensor&, const Tensor&) { return zeros_like(x); };
  const NetworkDenoiser denoiser{edm, nothing, f64};
  double off = 0;
  for (double sigma : {0.01, 0.5, 20.})
    off = std::max(off, std::abs(denoising_loss(denoiser, x0, eps, full({4000}, sigma, f64)).mean().item() - 1));
  lesson.expect("Gaussian data: F = 0 is the best there is, and its loss is 1 at every sigma: largest difference", off,
                Below{0.06});
}

void noise_and_weight(Lesson& lesson) {
  lesson.section(
      "5. How often, and how much it counts",
      R"(\mathbb{E}_\sigma\, \lambda(\sigma)\, \lVert D - x_0 \rVert^2, \quad \text{effort} = p(\ln \sigma)\, \lambda(\sigma)\, c_\text{out}(\sigma)^2)",
      "Karras et al. 2022, section 5");
  const FlowMatching flow;
  const VariancePreserving vp;
  const LogNormalNoise edm;
  const LogUniformNoise ve;
  const UniformTimeNoise uniform(flow), vp_times(vp, 1e-5);
  const EdmPreconditioner frame(kSigmaData);
  struct Row {
    const char* name;
    const NoiseLaw& law;
    Weight weight;
  };
  std::vector<Series> curves;
  for (const Row& r : {Row{"EDM", edm, Weight::edm}, Row{"VP", vp_times, Weight::noise}, Row{"VE", ve, Weight::noise},
                       Row{"flow matching", uniform, Weight::velocity}}) {
    Series s{.name = r.name};
    double sum = 0;
    for (double l = -6; l <= 4.4; l += 0.1) {
      const double sigma = std::exp(l), out = frame.at(sigma).out;
      s.x.push_back(sigma), s.y.push_back(r.law.density(sigma) * Weighting{r.weight, kSigmaData}(sigma)*out * out);
      sum += s.y.back() * 0.1;
    }
    for (double& y : s.y) y /= sum;
    curves.push_back(s);
  }
  lesson.plot("effort", curves,
              {.x = "sigma",
               .y = "share of the loss, per unit of ln sigma",
               .log_x = true,
               .caption = "Where a fresh network's loss comes from: how often a noise level is drawn, times what an "
                          "error counts there. Areas are 1."});
  double off = 0;
  for (double sigma : {0.01, 0.3, 1., 7., 90.})
    off = std::max(off, std::abs(uniform.density(sigma) * Weighting{Weight::velocity}(sigma)*sigma - 1));
  lesson.expect(
      "flow matching with uniform t weighs the error of D by 1 / sigma per unit of ln sigma: largest relative "
      "difference",
      off, Below{1e-9});
  const Tensor draws = log(edm.draw(20000));
  lesson.expect("EDM's ln sigma: mean of 20,000 draws", draws.mean().item(), Within{-1.24, -1.16});
}

std::unique_ptr<Learner> ablation(Lesson& lesson, const Mixture& law, const Training& training) {
  lesson.section("6. The same net, asked for four things",
                 R"(\text{loss above the floor} = \mathbb{E}\, \lambda(\sigma)\, \lVert D - D^\star \rVert^2)",
                 "Karras et al. 2022, table 2");
  lesson.say(
      "The data's own denoiser D* is known, and with it the least loss there can be. What a net loses beyond it is its "
      "fault.");
  const char* names[] = {"EDM's F", "eps", "x_0", "v"};
  const std::vector<double> levels{0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 40, 80};
  std::vector<Series> losses, excess;
  std::unique_ptr<Learner> kept;
  const int64_t n = lesson.mode() == Mode::tiny ? 8 : 4000;
  Generator draws(lesson.seed() + 7);
  const Tensor sigma = LogNormalNoise().draw(5 * n, &draws);
  double worst_edm = 0, total[4] = {};
  for (int kind = 0; kind < 4; ++kind) {
    Series curve{.name = names[kind], .x = levels, .y = std::vector<double>(levels.size(), 0.)};
    for (int64_t seed = 0; seed < training.seeds; ++seed) {
      default_generator() = Generator(lesson.seed() + uint64_t(seed));
      auto learner = std::make_unique<Learner>(std::make_unique<Ablated>(Ablated::Predicts(kind)), training.width);
      learner->net.to(lesson.device());
      const Series loss = train(lesson, names[kind], *learner, law, training.steps, training.batch);
      if (seed == 0) losses.push_back(loss);
      default_generator() = Generator(lesson.seed() + 100);
      for (size_t i = 0; i < levels.size(); ++i)
        curve.y[i] += excess_loss(*learner, law, full({n}, levels[i], {f64, Device::cpu()})) / double(training.seeds);
      const double over = excess_loss(*learner, law, sigma);
      total[kind] += over / double(training.seeds);
      if (kind == 0) worst_edm = std::max(worst_edm, over);
      if (kind == 0 && seed == 0) kept = std::move(learner);
    }
    excess.push_back(curve);
  }
  if (losses[0].y.size() > 2)
    lesson.plot("loss", {losses[0]},
                {.x = "step",
                 .y = "loss",
                 .caption =
                     "EDM's F, in training. A net that says 0 stands at 1; the line cannot fall below the floor."});
  lesson.plot("excess", excess,
              {.x = "sigma",
               .y = "loss above the floor",
               .log = true,
               .caption = "All in EDM's weight. eps is lost where noise is large, x_0 where it is small; v assumes "
                          "data of variance 1."});
  const double floor = denoising_loss(law, law.sample(10 * n), randn({10 * n, 2}, {f64, Device::cpu()}),
                                      LogNormalNoise().draw(10 * n), {Weight::edm, kSigmaData})
                           .mean()
                           .item();
  lesson.value("floor of EDM's loss", floor);
  lesson.value("excess of EDM's F, percent", 100 * total[0] / floor);
  for (int kind = 1; kind < 4; ++kind) lesson.value(fmt::format("excess, {}", names[kind]), total[kind] / total[0]);
  lesson.expect("EDM after 3,000 steps: loss above its floor, as a share, worst seed", worst_edm / floor, Below{0.03},
                Needs::full_run);
  lesson.expect("at sigma = 80 eps loses more than EDM's F: ratio of what is above the floor",
                excess[1].y.back() / excess[0].y.back(), Above{10}, Needs::training);
  lesson.expect("at sigma = 0.005 x_0 loses more: the same ratio", excess[2].y[0] / excess[0].y[0], Above{10},
                Needs::training);
  return kept;
}

}  // namespace ink::lesson
