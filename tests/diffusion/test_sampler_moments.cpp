// Stochastic samplers against truth: on Gaussian data with the exact denoiser every step is affine, x_r = A x + B +
// sum_k C_k z_k, so mean and variance follow a recursion. Its coefficients are compared with the formulas of the
// papers, and chains with the recursion.
#include "nn/diffusion/precondition.h"
#include "tests/catch.h"
#include "tests/diffusion/laws.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::diffusion;
using namespace ink::test;

namespace {

constexpr double kMean = 0.7, kStd = 0.5;
Mixture data() { return gaussian(full({1}, kMean, f64), kStd); }

struct Affine {
  double A, B, variance;  // variance = sum_k C_k^2
};
struct Moments {
  double mean, variance;
};

// A, B and the C_k of one step, read off the sampler by noise that is 1 in one draw.
Affine affine_of(const Process& p, Sampler& sampler, TimeStep s, const Steps& all) {
  const Mixture law = data();
  auto run = [&](double x, OneDraw& noise) {
    const SampleOptions options{.noise = &noise};
    Walk walk(p, law, options);
    sampler.begin(p, all);
    return sampler.step(walk, full({1, 1}, x, f64), s).item();
  };
  OneDraw silent;
  const double B = run(0, silent);
  const int64_t draws = silent.drawn;
  Affine a{run(1, silent) - B, B, 0};
  for (int64_t k = 0; k < draws; ++k) {
    OneDraw noise;
    noise.index = k;
    a.variance += std::pow(run(0, noise) - B, 2);
  }
  return a;
}

Moments recursion(const Process& p, Sampler& sampler, const Steps& steps, Moments start) {
  for (const TimeStep& s : steps) {
    const Affine a = affine_of(p, sampler, s, steps);
    start = {a.A * start.mean + a.B, a.A * a.A * start.variance + a.variance};
  }
  return start;
}

// The marginal at time t.
Moments truth(const Process& p, double t) { return {p.a(t) * kMean, std::pow(p.a(t) * kStd, 2) + std::pow(p.b(t), 2)}; }

void check_affine(const Affine& got, double A, double B, double variance) {
  CHECK(got.A == Approx(A).epsilon(1e-11));
  CHECK(got.B == Approx(B).epsilon(1e-11).margin(1e-13));
  CHECK(got.variance == Approx(variance).epsilon(1e-11).margin(1e-14));
}

}  // namespace

TEST_CASE("one step of each sampler on Gaussian data, by the papers' formulas", "[diffusion][moments]") {
  const VariancePreserving vp;
  const double t = 0.4, r = 0.33, d = t - r, s2 = kStd * kStd;
  const double a = vp.a(t), b = vp.b(t), ar = vp.a(r), br = vp.b(r), V = a * a * s2 + b * b;
  const Steps steps{{t, r}};
  // D = m + K (x - a m), K = a s^2 / V; eps = (x - a D) / b; S = -(x - a m) / V
  const double K = a * s2 / V, D0 = kMean - K * a * kMean, E = b / V, E0 = -E * a * kMean;
  for (double eta : {0.3, 1.}) {
    Ddim ddim(eta);
    const double q = eta * br / b * std::sqrt(1 - a * a / (ar * ar)), keep = std::sqrt(br * br - q * q);
    check_affine(affine_of(vp, ddim, steps[0], steps), ar * K + keep * E, ar * D0 + keep * E0, q * q);
  }
  const double alpha = a / ar, beta = 1 - alpha * alpha;  // of the step
  for (AncestralVariance v : {AncestralVariance::small, AncestralVariance::large}) {
    Ancestral ancestral(v);
    const double var = v == AncestralVariance::large ? beta : beta * (1 - ar * ar) / (1 - a * a);
    check_affine(affine_of(vp, ancestral, steps[0], steps), (beta * ar * K + (1 - ar * ar) * alpha) / (1 - a * a),
                 beta * ar * D0 / (1 - a * a), var);
  }
  const double f = -vp.beta(t) / 2, g2 = vp.beta(t);
  for (double scale : {0., 0.5, 1., 1.7}) {  // h = scale g
    EulerMaruyama em(scale);
    const double pull = (g2 + scale * scale * g2) / 2 * d;
    check_affine(affine_of(vp, em, steps[0], steps), 1 - f * d - pull / V, pull * a * kMean / V,
                 scale * scale * g2 * d);
  }
  auto h = [](double time) { return 3 * time; };
  EulerMaruyama given{FunctionRef<double(double)>(h)};
  CHECK(affine_of(vp, given, steps[0], steps).variance == Approx(9 * t * t * d));
  ReverseDiffusion reverse;
  check_affine(affine_of(vp, reverse, steps[0], steps), 2 - alpha - beta / V, beta * a * kMean / V, beta);
  // VE: x + (s_i^2 - s_r^2) S + sqrt(s_i^2 - s_r^2) z
  const Edm edm;
  const Steps levels{{3, 2}};
  check_affine(affine_of(edm, reverse, levels[0], levels), 1 - 5 / (s2 + 9), 5 * kMean / (s2 + 9), 5);
  // Langevin updates at the level 3, the last one 2, from c = e (3 / 2)^2: x + c S + sqrt(2 c) z, twice
  AnnealedLangevin annealed(0.1, 2);
  const double c = 0.1 * 9 / 4, once = 1 - c / (s2 + 9), shift = c * kMean / (s2 + 9);
  check_affine(affine_of(edm, annealed, levels[0], levels), once * once, once * shift + shift,
               2 * c * (once * once + 1));
}

TEST_CASE("200,000 chains have the moments of the recursion", "[diffusion][moments]") {
  const int64_t n = 200000;
  const Edm edm;
  const VariancePreserving vp;
  const Mixture law = data();
  std::vector<double> coarse = edm_grid(4, 0.1, 10);
  struct Case {
    const char* name;
    const Process& process;
    std::unique_ptr<Sampler> sampler;
    Steps steps;
  };
  std::vector<Case> cases;
  cases.push_back({"DDIM(0.7)", edm, std::make_unique<Ddim>(0.7), through(coarse)});
  cases.push_back(
      {"DDPM large", vp, std::make_unique<Ancestral>(AncestralVariance::large), through(uniform_grid(4, 1, 0.02))});
  cases.push_back({"SDE", vp, std::make_unique<EulerMaruyama>(), through(uniform_grid(4, 0.6, 0.1))});
  cases.push_back({"churn", edm, std::make_unique<EdmChurn>(ChurnOptions{.churn = 2}), through(coarse)});
  cases.push_back({"annealed", edm, std::make_unique<AnnealedLangevin>(0.01, 2), through(coarse)});
  for (const Case& c : cases) {
    INFO(c.name);
    const double first = c.steps[0].t, std0 = c.process.prior_std(first);
    const Moments expected = recursion(c.process, *c.sampler, c.steps, {0, std0 * std0});
    SampleNoise noise(21);
    const Tensor x = sample(c.process, law, *c.sampler, noise.draw({n, 1}) * std0, c.steps, {.noise = &noise});
    const double spread = std::sqrt(expected.variance / double(n));
    CHECK(std::abs(x.mean().item() - expected.mean) < 4 * spread);
    CHECK(std::abs(x.var().item() / expected.variance - 1) < 4 * std::sqrt(2. / double(n)));
    // and the recursion, not the data, is what they have
    CHECK(std::abs(expected.variance / truth(c.process, c.steps.back().next).variance - 1) > 0.01);
  }
}

TEST_CASE("with many steps every h(t) gives the same marginals", "[diffusion][moments]") {
  const VariancePreserving vp;
  const Steps steps = through(uniform_grid(600, 0.9, 0.1));
  const Moments start = truth(vp, 0.9), end = truth(vp, 0.1);
  for (double scale : {0., 0.5, 1., 2.}) {
    EulerMaruyama em(scale);
    const Moments got = recursion(vp, em, steps, start);
    INFO("h = " << scale << " g");
    CHECK(got.mean == Approx(end.mean).epsilon(6e-3));
    CHECK(got.variance == Approx(end.variance).epsilon(1.2e-2));
  }
  Ancestral ancestral;
  CHECK(recursion(vp, ancestral, steps, start).variance == Approx(end.variance).epsilon(1.2e-2));
}

TEST_CASE("the forward SDE has the marginals a(t) and b(t)^2; VE's kernel variance is sigma(t)^2 - sigma(0)^2",
          "[diffusion][moments]") {
  const VariancePreserving vp;
  const SubVariancePreserving sub;
  const VarianceExploding ve(0.5, 10);
  const FlowMatching fm;
  for (const Process* p : std::initializer_list<const Process*>{&vp, &sub, &ve, &fm}) {
    INFO(p->name());
    double last_error = 1;
    for (int64_t n : {100, 1000, 10000}) {  // Euler and Maruyama's mean factor and variance from 0 to 0.6
      const double d = 0.6 / double(n);
      double a = 1, v = 0;
      for (int64_t i = 0; i < n; ++i) {
        const double t = double(i) * d, keep = 1 + p->f(t) * d;
        a *= keep, v = keep * keep * v + p->g2(t) * d;
      }
      const double kernel = std::pow(p->b(0.6), 2) - (p == &ve ? std::pow(p->b(0), 2) : 0);
      const double error = std::abs(a / p->a(0.6) - 1) + std::abs(v / kernel - 1);
      CHECK(error < last_error / 5);
      last_error = error;
    }
    CHECK(last_error < 2e-3);
  }
}

TEST_CASE("Bayes' reverse kernel and the step of the reverse SDE differ by O(d^2)", "[diffusion][moments]") {
  const VariancePreserving vp;
  const double t = 0.3, s2 = 0.25, V = std::pow(vp.a(t), 2) * s2 + std::pow(vp.b(t), 2);
  const Mixture law = gaussian(zeros({1}, f64), 0.5);
  std::vector<double> gaps, spreads;
  for (double d : {0.01, 0.005, 0.0025}) {
    const double r = t - d, alpha = vp.a(t) / vp.a(r), Vr = std::pow(vp.a(r), 2) * s2 + std::pow(vp.b(r), 2);
    const double beta = std::pow(vp.b(t), 2) - std::pow(alpha * vp.b(r), 2);
    EulerMaruyama em;
    OneDraw silent;
    const SampleOptions options{.noise = &silent};
    Walk walk(vp, law, options);
    const double step = em.step(walk, ones({1, 1}, f64), {t, r}).item();
    gaps.push_back(std::abs(step - alpha * Vr / V));
    spreads.push_back(std::abs(vp.g2(t) * d - Vr * beta / V));
  }
  CHECK(gaps[0] == Approx(1.3558e-3).epsilon(1e-4));
  CHECK(gaps[1] == Approx(3.4181e-4).epsilon(1e-4));
  CHECK(gaps[2] == Approx(8.5815e-5).epsilon(1e-4));
  CHECK(spreads[0] / spreads[1] == Approx(4).epsilon(0.05));
  CHECK(spreads[1] / spreads[2] == Approx(4).epsilon(0.05));
}

TEST_CASE("Langevin dynamics keeps a Gaussian up to its step size", "[diffusion][moments]") {
  const double s2 = 0.49, e = 0.1;
  SampleNoise noise(5);
  int64_t seen = 0;
  auto count = [&](int64_t i, const Tensor&) { seen += i == seen; };
  const Tensor x = langevin([&](const Tensor& y) { return (1 - y) / s2; }, noise.draw({50000, 1}) * 3,
                            {.step = e, .steps = 25, .noise = &noise, .trace = count});
  CHECK(seen == 25);
  CHECK(x.mean().item() == Approx(1).margin(0.01));
  CHECK(x.var().item() == Approx(s2 / (1 - e / (2 * s2))).epsilon(0.02));  // stationary: v = (1 - e / s^2)^2 v + 2 e
}

TEST_CASE("annealed Langevin and predictor-corrector: the last denoising, the corrector's step size",
          "[diffusion][moments]") {
  const Edm edm;
  const Mixture law = three_gaussians();
  const Tensor x = normal({3, 2}, 1);
  // grid 1 -> 0: one update at level 1, then D there
  SampleNoise noise(3), again(3);
  AnnealedLangevin annealed(0.05, 1);
  const Tensor got = sample(edm, law, annealed, x, {{1, 0}}, {.noise = &noise});
  const Tensor level = ones({3}, f64), y = x + 0.05 * law.score(x, level) + std::sqrt(0.1) * again.draw_like(x);
  CHECK(difference(got, law(y, level)) < 1e-13);
  // the corrector at 2 after Euler from 3: e = 2 (snr |z| / |S|)^2 of each sample
  Euler euler;
  PredictorCorrector corrected(euler, 0.2, 1);
  SampleNoise a(4), b(4);
  const Tensor moved = sample(edm, law, euler, x, {{3, 2}});
  const Tensor z = b.draw_like(x), S = law.score(moved, full({3}, 2., f64));
  const Tensor e = 2 * square(0.2 * norm(z, {1}, true) / norm(S, {1}, true));
  CHECK(difference(sample(edm, law, corrected, x, {{3, 2}}, {.noise = &a}), moved + e * S + sqrt(2 * e) * z) < 1e-12);
  // none into b = 0, and with alpha = (a_t / a_r)^2 elsewhere
  CHECK(difference(sample(edm, law, corrected, x, {{3, 0}}, {.noise = &a}), sample(edm, law, euler, x, {{3, 0}})) == 0);
  const VariancePreserving vp;
  SampleNoise c(6), d(6);
  const Tensor at = sample(vp, law, euler, x, {{0.5, 0.4}}), zv = d.draw_like(x);
  const Tensor Sv = predict(vp, law, Output::score, at, full({3}, 0.4, f64));
  const double alpha = std::pow(vp.a(0.5) / vp.a(0.4), 2);
  const Tensor ev = 2 * alpha * square(0.2 * norm(zv, {1}, true) / norm(Sv, {1}, true));
  CHECK(difference(sample(vp, law, corrected, x, {{0.5, 0.4}}, {.noise = &c}), at + ev * Sv + sqrt(2 * ev) * zv) <
        1e-12);
}
