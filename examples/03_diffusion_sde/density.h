// Densities of lesson 03: what the weight of a training loss says of them, and the one of a model along its ODE.
#pragma once
#include "examples/03_diffusion_sde/laws.h"

namespace ink::lesson {

inline void weights_and_divergence(Lesson& lesson) {
  lesson.section(
      "5. What the weight g² means",
      R"(\text{KL}(p_0 \,\|\, q_0) = \text{KL}(p_T \,\|\, q_T) + \tfrac12 \int_0^T g^2\, E_{p_t} \lvert \nabla \log p_t - \nabla \log q_t \rvert^2\, dt)",
      "Song et al. 2021b, theorem 1");
  const VariancePreserving vp;
  const Mixture p = two_hills(), q = gaussian_mixture(tensor({{-0.9}, {1.2}}, kOnCpu), tensor({0.4, 0.3}, kOnCpu),
                                                      tensor({0.5, 0.5}, kOnCpu));
  const Tensor x = linspace(-7, 7, 2801, kOnCpu).unsqueeze(1);
  const double dx = 14.0 / 2800;
  auto log_density = [&](const Mixture& law, double t) {
    return law.log_density(x / vp.a(t), at_time(x.size(0), vp.sigma(t))) - std::log(vp.a(t));
  };
  auto kl = [&](double t) {
    const Tensor lp = log_density(p, t);
    return ((exp(lp) * (lp - log_density(q, t))).sum() * dx).item();
  };
  auto gap = [&](double t) {  // E_p |grad log p_t - grad log q_t|^2
    const Tensor times = at_time(x.size(0), t);
    const Tensor off = predict(vp, p, Output::score, x, times) - predict(vp, q, Output::score, x, times);
    return ((exp(log_density(p, t)) * square(off).sum({1})).sum() * dx).item();
  };
  double integral = 0;
  std::vector<double> ts, flat, weighted;
  const int n = 800;
  for (int i = 0; i < n; ++i) {
    const double t = std::pow((i + 0.5) / n, 2), dt = 2 * (i + 0.5) / n / n;  // dense near the data
    integral += vp.g2(t) * gap(t) / 2 * dt;
    if (i % 20 == 10)
      ts.push_back(t), weighted.push_back(vp.g2(t) * gap(t)), flat.push_back(std::pow(vp.b(t), 2) * gap(t));
  }
  lesson.expect("half the integral of g² times the squared error, over the divergence lost", integral / (kl(0) - kl(1)),
                Within{0.995, 1.005});
  lesson.value("KL(p | q) of the data", kl(0));
  lesson.plot("weights",
              {{.name = "weight g²: likelihood", .x = ts, .y = weighted},
               {.name = "weight b²: equal effort", .x = ts, .y = flat}},
              {.x = "time",
               .y = "weighted error of q's score",
               .log_y = true,
               .caption = "The error of a wrong score, as the two usual weights see it. g² looks at small noise, where "
                          "likelihood is decided."});
}

inline void densities(Lesson& lesson) {
  lesson.section("6. A density along the ODE",
                 R"(\log p_0(x) = \log p_T(x(T)) + \int_0^T \nabla \cdot u(x(t), t)\, dt)",
                 "Chen et al. 2018; Song et al. 2021, section 4.3", {"nn/diffusion/likelihood.h:log_likelihood"});
  const VariancePreserving vp;
  const Mixture law = three_gaussians();
  const Tensor x = law.sample(24);
  const double first = 1e-5;
  auto prior = [&](const Tensor& at) {  // the law at t = 1 itself, so that nothing but the solver's error is left
    return law.log_density(at / vp.a(1), at_time(at.size(0), vp.sigma(1))) - 2 * std::log(vp.a(1));
  };
  const Tensor truth = law.log_density(x / vp.a(first), at_time(24, vp.sigma(first))) - 2 * std::log(vp.a(first));
  const Likelihood exact =
      log_likelihood(vp, law, x, {.first = first, .solver = {.rtol = 1e-7, .atol = 1e-7}, .log_prior = prior});
  lesson.expect("exact divergence against the mixture's density: largest difference",
                (exact.log_density - truth).abs().max().item(), Below{1e-4});
  const Likelihood usual = log_likelihood(vp, law, x, {.first = first});
  lesson.expect("with N(0, 1) for the law at the end: mean difference", (usual.log_density - truth).mean().item(),
                Within{-0.02, 0.02});
  Series curve{.name = "root mean square error"};
  for (int64_t probes : {1, 4, 16}) {
    SampleNoise noise(lesson.seed() + 3);
    const Likelihood h = log_likelihood(
        vp, law, x,
        {.first = first, .divergence = Divergence::hutchinson, .probes = probes, .noise = &noise, .log_prior = prior});
    curve.x.push_back(double(probes)), curve.y.push_back(std::sqrt(square(h.log_density - truth).mean().item()));
  }
  lesson.plot("hutchinson", {curve},
              {.x = "probes",
               .y = "error, nats",
               .log = true,
               .caption = "Hutchinson's estimate of the divergence: four times the probes, half the error."});
  lesson.expect("16 probes against 1: error over error", curve.y[2] / curve.y[0], Within{0.1, 0.55});
  lesson.value("bits per number", bits_per_dim(exact.log_density, 2, 1, 1).mean().item());
}

}  // namespace ink::lesson
