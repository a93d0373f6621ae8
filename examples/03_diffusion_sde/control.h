// Conditions on a model that was made without: a class by a classifier, and known coordinates by overwriting them.
#pragma once
#include <fmt/format.h>

#include "examples/03_diffusion_sde/laws.h"

namespace ink::lesson {

// A Gaussian in the plane with correlation rho and variances 1: its denoiser is a matrix.
struct Correlated {
  double rho;
  Tensor operator()(const Tensor& x, const Tensor& sigma, const Tensor&) const {
    // In the directions (1, 1) and (1, -1) the variances are 1 + rho and 1 - rho, and D shrinks each by v / (v + s^2).
    const Tensor s2 = square(sigma).unsqueeze(1), sum = x.sum({1}, true) / 2,
                 half = (x.narrow(1, 0, 1) - x.narrow(1, 1, 1)) / 2;
    const Tensor a = sum * (1 + rho) / (1 + rho + s2), b = half * (1 - rho) / (1 - rho + s2);
    return cat({a + b, a - b}, 1);
  }
};

inline void conditions(Lesson& lesson, int64_t walkers) {
  lesson.section("7. Conditions", R"(\nabla \log p_t(x \mid c) = \nabla \log p_t(x) + \nabla \log q_t(c \mid x))",
                 "Song et al. 2021, section 5; Lugmayr et al. 2022",
                 {"nn/diffusion/guidance.cpp:ClassifierGuided::operator()",
                  "nn/diffusion/samplers/inpaint.cpp:Inpaint::step"});
  const VariancePreserving vp;
  const Mixture law = three_gaussians();
  const Steps grid = through(uniform_grid(100, 1, 0));
  // The right classifier: the log density with the class, less the one without.
  auto classifier = [&](const Tensor& x, const Tensor& sigma, const Tensor& c) {
    return law.log_density(x, sigma, c) - law.log_density(x, sigma);
  };
  const Tensor wanted = full({walkers}, 2, {i64, Device::cpu()});
  auto run = [&](double weight) {
    const ClassifierGuided guided{law, classifier, weight};
    SampleNoise noise(lesson.seed() + 4);
    Ddim ode;
    return sample(vp, guided, ode, prior_sample(vp, noise.draw({walkers, 2}, Device::cpu()), 1), grid,
                  {.cond = wanted});
  };
  const Tensor once = run(1), thrice = run(3);
  const double std_of_class = 0.4;
  lesson.expect("guided by the right classifier: distance of the mean from the class's",
                (once.mean({0}) - tensor({0.2, 1.3}, kOnCpu)).abs().max().item(), Below{0.08});
  lesson.expect("and its spread over the class's", std::sqrt(once.var({0}).mean().item()) / std_of_class,
                Within{0.85, 1.15});
  lesson.expect("weight 3 is another law: spread over that of weight 1",
                std::sqrt(thrice.var({0}).mean().item() / once.var({0}).mean().item()), Below{0.95});

  // x_1 = 1 is known of a Gaussian with correlation 0.9: x_2 is N(0.9, 0.19).
  const Correlated joint{0.9};
  const Tensor known = tensor({1.0, 0.0}, kOnCpu), mask = tensor({1.0, 0.0}, kOnCpu) > 0.5;
  std::vector<double> repeats, means, variances;
  for (int64_t n : {1, 4, 16}) {
    Ancestral inner;
    Inpaint inpaint(inner, known, mask, n);
    SampleNoise noise(lesson.seed() + 5);
    const Tensor end = sample(vp, joint, inpaint, prior_sample(vp, noise.draw({walkers, 2}, Device::cpu()), 1),
                              through(uniform_grid(50, 1, 0)), {.noise = &noise});
    repeats.push_back(double(n)), means.push_back(end.select(1, 1).mean().item()),
        variances.push_back(end.select(1, 1).var().item());
  }
  lesson.expect("plain replacement: mean of x₂ over 0.9", means[0] / 0.9, Below{0.95});
  lesson.expect("RePaint, 16 repeats: mean of x₂ over 0.9", means[2] / 0.9, Within{0.93, 1.07});
  lesson.expect("nearer the truth than plain replacement: error over error",
                std::abs(means[2] - 0.9) / std::abs(means[0] - 0.9), Below{0.7});
  lesson.plot(
      "inpainting", {{.name = "mean", .x = repeats, .y = means}, {.name = "variance", .x = repeats, .y = variances}},
      {.x = "repeats of a step",
       .y = "of x₂, given x₁ = 1",
       .log_x = true,
       .references = {{0.9, "true mean"}, {0.19, "true variance"}},
       .caption = "Overwriting what is known tells the rest too late; stepping back and repeating lets it listen."});
}

}  // namespace ink::lesson
