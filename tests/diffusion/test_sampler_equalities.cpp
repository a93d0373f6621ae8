// Samplers that are the same method under several names, and what holds for all of them: where they end, that a sample
// does not depend on its batch mates, what is refused.
#include "nn/diffusion/precondition.h"
#include "nn/layers/linear.h"
#include "tests/catch.h"
#include "tests/diffusion/laws.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::diffusion;
using namespace ink::test;

namespace {

// x after every step in EDM's frame, from the same x / a at the first.
std::vector<Tensor> path(const Process& p, Sampler& sampler, const std::vector<double>& sigmas, const Tensor& start,
                         uint64_t seed = 5) {
  const Steps steps = through_sigmas(p, sigmas);
  SampleNoise noise(seed);
  std::vector<Tensor> seen;
  auto keep = [&](const SampledStep& m) { seen.push_back(m.x / p.a(m.step.next)); };
  const Mixture law = three_gaussians();
  sample(p, law, sampler, start * p.a(steps[0].t), steps, {.noise = &noise, .trace = keep});
  return seen;
}
double farthest(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  double worst = a.size() == b.size() ? 0 : INFINITY;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) worst = std::max(worst, difference(a[i], b[i]));
  return worst;
}
std::vector<double> some_sigmas() { return edm_grid(12, 0.05, 20); }
Tensor some_start() { return normal({5, 2}, 1) * 20; }

// DPM-Solver++ of first order: 2M that never remembers.
struct PlusPlus1 : DpmSolverPP2M {
  Tensor step(Walk& walk, const Tensor& x, TimeStep s) override {
    begin(walk.process, {s});
    return DpmSolverPP2M::step(walk, x, s);
  }
};
// As written in the papers and codes they come from, in EDM's frame.
struct EulerAncestral : Sampler {
  Tensor step(Walk& walk, const Tensor& x, TimeStep s) override {
    const double up = std::min(s.next, std::sqrt(s.next * s.next * (s.t * s.t - s.next * s.next) / (s.t * s.t)));
    const double down = std::sqrt(s.next * s.next - up * up);
    return x + (x - walk.denoise(x, s.t)) / s.t * (down - s.t) + up * walk.noise(x);
  }
};
struct VeAncestral : Sampler {
  Tensor step(Walk& walk, const Tensor& x, TimeStep s) override {
    const double i2 = s.t * s.t, r2 = s.next * s.next;
    const Tensor S = walk.predict(x, s.t, Output::score);
    return x + (i2 - r2) * S + s.next * std::sqrt(1 - r2 / i2) * walk.noise(x);
  }
};
struct HalfwayMu : Sampler {  // sigma_p = (sigma_r / sigma_t^mu)^{1 / (1 - mu)} at mu = 1/2
  Tensor step(Walk& walk, const Tensor& x, TimeStep s) override {
    const double p = std::pow(s.next / std::sqrt(s.t), 2);
    const Tensor eps = walk.predict(x, s.t, Output::noise);
    return x - (s.t - p) * eps + std::sqrt(s.next * s.next - p * p) * walk.noise(x);
  }
};

}  // namespace

TEST_CASE("one first-order method: FM's Euler, EDM's, DDIM, DPM-Solver-1 and ++1", "[diffusion][samplers]") {
  Euler euler;
  Ddim ddim;
  DpmSolver dpm(1);
  PlusPlus1 plus;
  const auto sigmas = some_sigmas();
  const Tensor x = some_start();
  const auto reference = path(Edm(), euler, sigmas, x);
  REQUIRE(reference.size() == 12);
  CHECK(farthest(path(FlowMatching(), euler, sigmas, x), reference) < 1e-12);
  for (Sampler* s : {(Sampler*)&ddim, (Sampler*)&dpm, (Sampler*)&plus}) {
    CHECK(farthest(path(Edm(), *s, sigmas, x), reference) < 1e-12);
    CHECK(farthest(path(FlowMatching(), *s, sigmas, x), reference) < 1e-12);
    CHECK(farthest(path(VariancePreserving(), *s, sigmas, x), reference) < 1e-12);
    CHECK(farthest(path(SubVariancePreserving(), *s, sigmas, x), reference) < 1e-12);
    CHECK(farthest(path(Ddpm(BetaSchedule::cosine), *s, sigmas, x), reference) < 1e-11);
  }
  // 2M after a gap remembers nothing: the step before did not end where this one begins
  DpmSolverPP2M multi;
  const Mixture law = three_gaussians();
  const Tensor first = sample(Edm(), law, multi, x, {{10, 5}}), gap = sample(Edm(), law, multi, x, {{10, 5}, {4, 2}});
  CHECK(difference(gap, sample(Edm(), law, ddim, first, {{4, 2}})) < 1e-13);
  CHECK(difference(sample(Edm(), law, multi, x, {{10, 5}, {5, 2}}), sample(Edm(), law, ddim, first, {{5, 2}})) > 1e-4);
  // Euler in VP's time is another method, and Heun in FM's time is not Heun in sigma.
  Heun heun;
  auto without_zero = sigmas;
  without_zero.pop_back();
  CHECK(farthest(path(VariancePreserving(), euler, without_zero, x), path(Edm(), euler, without_zero, x)) > 1e-3);
  CHECK(farthest(path(FlowMatching(), heun, sigmas, x), path(Edm(), heun, sigmas, x)) > 1e-4);
}

TEST_CASE("one stochastic method: DDPM's small variance, DDIM(1), Euler-ancestral, VE ancestral, mu = 1/2",
          "[diffusion][samplers]") {
  Ancestral ddpm;
  Ddim ddim(1);
  EulerAncestral ancestral;
  VeAncestral ve;
  HalfwayMu halfway;
  const auto sigmas = some_sigmas();
  const Tensor x = some_start();
  const auto reference = path(Edm(), ddpm, sigmas, x);
  CHECK(farthest(path(VariancePreserving(), ddpm, sigmas, x), reference) < 1e-12);
  CHECK(farthest(path(FlowMatching(), ddpm, sigmas, x), reference) < 1e-12);
  CHECK(farthest(path(Edm(), ddim, sigmas, x), reference) < 1e-12);
  CHECK(farthest(path(VariancePreserving(), ddim, sigmas, x), reference) < 1e-12);
  CHECK(farthest(path(Edm(), ancestral, sigmas, x), reference) < 1e-12);
  CHECK(farthest(path(Edm(), ve, sigmas, x), reference) < 1e-12);
  CHECK(farthest(path(Edm(), halfway, sigmas, x), reference) < 1e-12);
  Ancestral large(AncestralVariance::large);
  CHECK(farthest(path(Edm(), large, sigmas, x), reference) > 1e-2);
}

TEST_CASE("DDPM's step as Ho et al. write it, on neighbouring steps of the table", "[diffusion][samplers]") {
  const Ddpm p(BetaSchedule::linear, 1000);
  const Mixture law = three_gaussians();
  const int64_t n = 400;
  const double beta = p.beta(n), alpha = 1 - beta, A = p.alpha_bar(n), before = p.alpha_bar(n - 1);
  const Tensor x = normal({4, 2}, 2);
  SampleNoise for_z(3);
  const Tensor z = for_z.draw_like(x), t = full({4}, double(n), f64);
  const Tensor eps = predict(p, law, Output::noise, x, t), x0 = predict(p, law, Output::denoised, x, t);
  for (AncestralVariance v : {AncestralVariance::small, AncestralVariance::large}) {
    SampleNoise noise(3);
    Ancestral ancestral(v);
    const Tensor got = sample(p, law, ancestral, x, {{double(n), double(n - 1)}}, {.noise = &noise});
    const double variance = v == AncestralVariance::large ? beta : beta * (1 - before) / (1 - A);
    CHECK(difference(got, (x - beta / std::sqrt(1 - A) * eps) / std::sqrt(alpha) + std::sqrt(variance) * z) < 1e-12);
    const Tensor mean = (beta * std::sqrt(before) * x0 + (1 - before) * std::sqrt(alpha) * x) / (1 - A);
    CHECK(difference(got, mean + std::sqrt(variance) * z) < 1e-12);
  }
  // score SDE's step of reverse diffusion: (2 - sqrt(1 - beta)) x + beta S + sqrt(beta) z
  SampleNoise noise(3);
  ReverseDiffusion reverse;
  const Tensor got = sample(p, law, reverse, x, {{double(n), double(n - 1)}}, {.noise = &noise});
  const Tensor S = predict(p, law, Output::score, x, t);
  CHECK(difference(got, (2 - std::sqrt(alpha)) * x + beta * S + std::sqrt(beta) * z) < 1e-12);
}

TEST_CASE("churn: none is Heun, some raises the noise level first", "[diffusion][samplers]") {
  EdmChurn none({.churn = 0}), some({.churn = 4, .least = 0.05, .most = 50, .inflate = 1.007});
  Heun heun;
  const auto sigmas = some_sigmas();
  const Tensor x = some_start();
  CHECK(farthest(path(Edm(), none, sigmas, x), path(Edm(), heun, sigmas, x)) < 1e-13);
  // other processes, the same walk in EDM's frame
  CHECK(farthest(path(VariancePreserving(), some, sigmas, x), path(Edm(), some, sigmas, x)) < 1e-12);
  // the first step, by hand
  const double gamma = 4. / 12, raised = 20 * (1 + gamma), next = sigmas[1];
  SampleNoise noise(5);
  const Mixture law = three_gaussians();
  const Tensor y = x + 1.007 * std::sqrt(raised * raised - 400) * noise.draw_like(x);
  const Tensor d = (y - law(y, full({5}, raised, f64))) / raised, e = y + (next - raised) * d;
  const Tensor d2 = (e - law(e, full({5}, next, f64))) / next;
  CHECK(difference(path(Edm(), some, sigmas, x)[0], y + (next - raised) * (d + d2) / 2) < 1e-12);
  // outside of least .. most nothing is drawn
  EdmChurn outside({.churn = 4, .least = 30, .most = 50});
  CHECK(farthest(path(Edm(), outside, sigmas, x), path(Edm(), heun, sigmas, x)) < 1e-13);
  EdmChurn later({.churn = 4, .least = 0, .most = 10});
  CHECK(farthest({path(Edm(), later, sigmas, x)[0]}, {path(Edm(), heun, sigmas, x)[0]}) < 1e-13);
  CHECK(farthest(path(Edm(), later, sigmas, x), path(Edm(), heun, sigmas, x)) > 1e-3);
  EdmChurn full_churn({.churn = 1e9, .least = 0, .most = 100});  // gamma is at most sqrt(2) - 1
  for (const Tensor& t : path(Edm(), full_churn, sigmas, x)) CHECK(all(isfinite(t)).item<bool>());
}

TEST_CASE("every sampler that takes the last noise away ends on a training point", "[diffusion][samplers]") {
  const Tensor points = normal({7, 2}, 9);
  const Mixture law = finite_set(points);
  const Edm edm;
  std::vector<double> grid = edm_grid(18);
  for (const Named& s : all_samplers()) {
    if (s.ends_noisily) continue;
    INFO(s.name);
    SampleNoise noise(2);
    const Tensor x =
        sample(edm, law, *s.sampler, prior_sample(edm, noise.draw({20, 2}), 80), through(grid), {.noise = &noise});
    const Tensor distance = norm(unsqueeze(x, 1) - unsqueeze(points, 0), {2});
    CHECK(max(min(distance, {1})).item() < 1e-9);
    CHECK(count_nonzero(min(distance, {0}) < 1e-9).item() >= 3);  // not all of them on the same one
  }
}

TEST_CASE("nothing is ever NaN: from a = 0 to b = 0 on every process", "[diffusion][samplers]") {
  const Mixture law = three_gaussians();
  std::vector<std::pair<std::unique_ptr<Process>, std::vector<double>>> walks;
  walks.emplace_back(std::make_unique<FlowMatching>(), uniform_grid(9, 1, 0));
  walks.emplace_back(std::make_unique<VariancePreserving>(), uniform_grid(9, 1, 0));
  walks.emplace_back(std::make_unique<SubVariancePreserving>(), uniform_grid(9, 1, 0));
  walks.emplace_back(std::make_unique<VarianceExploding>(), uniform_grid(9, 1, 0));
  walks.emplace_back(std::make_unique<Ddpm>(zero_terminal_snr(betas(BetaSchedule::linear, 1000))), ddpm_grid(1000, 9));
  walks.emplace_back(std::make_unique<Ddpm>(BetaSchedule::cosine, 1000), ddpm_grid(1000, 9));
  walks.emplace_back(std::make_unique<Edm>(), edm_grid(1));
  for (const auto& [p, grid] : walks)
    for (const Named& s : all_samplers()) {
      INFO(p->name() << ", " << s.name);
      SampleNoise noise(4);
      const Tensor z = noise.draw({6, 2});
      auto run = [&] {
        return sample(*p, law, *s.sampler, z * p->prior_std(grid[0]), through(grid), {.noise = &noise});
      };
      const bool starts_at_nothing = p->a(grid[0]) == 0;
      if (starts_at_nothing && (s.name.starts_with("EulerMaruyama") || s.name == "EdmChurn"))
        CHECK_THROWS_AS(run(), ValueError);  // f or sigma is infinite there
      else
        CHECK(all(isfinite(run())).item<bool>());
    }
}

TEST_CASE("a sample does not depend on its batch mates, bit for bit", "[diffusion][samplers]") {
  manual_seed(1);
  const Mixture law = three_gaussians();
  const Edm edm;
  const Steps steps = through(edm_grid(6));
  auto alone_and_together = [&](auto run) {
    SampleNoise together(7);
    const Tensor all = run(together, 5);
    for (int64_t i = 0; i < 5; ++i) {
      SampleNoise alone(7, i);
      if (values(run(alone, 1)[0]) != values(all[i])) return false;
    }
    return true;
  };
  for (const Named& s : all_samplers()) {
    INFO(s.name);
    CHECK(alone_and_together([&](SampleNoise& noise, int64_t n) {
      return sample(edm, law, *s.sampler, prior_sample(edm, noise.draw({n, 2}), 80), steps, {.noise = &noise});
    }));
  }
  Euler euler;
  PredictorCorrector corrected(euler);
  CHECK(alone_and_together([&](SampleNoise& noise, int64_t n) {
    return sample(edm, law, corrected, prior_sample(edm, noise.draw({n, 2}), 80), steps, {.noise = &noise});
  }));
  AnnealedLangevin annealed(1e-5, 3);
  CHECK(alone_and_together([&](SampleNoise& noise, int64_t n) {
    return sample(edm, law, annealed, prior_sample(edm, noise.draw({n, 2}), 80), steps, {.noise = &noise});
  }));
  CHECK(alone_and_together([&](SampleNoise& noise, int64_t n) {
    return sample_rk45(edm, law, prior_sample(edm, noise.draw({n, 2}), 80), 80, 1e-3).x;
  }));
  // A network's products may round differently in a batch of another size, but whose batch it is does not matter.
  Linear in(2, 32), out(32, 2);
  auto network = [&](const Tensor& x, const Tensor& noise, const Tensor&) {
    return out.forward(silu(in.forward(x) + unsqueeze(noise, 1)));
  };
  const EdmPreconditioner pre;
  const NetworkDenoiser net{pre, network};
  Heun heun;
  auto run = [&](int64_t first, int64_t n) {
    SampleNoise noise(7, first);
    return sample(edm, net, heun, prior_sample(edm, noise.draw({n, 2}), 80), steps);
  };
  CHECK(values(run(0, 5)[3]) == values(run(3, 5)[0]));
  CHECK(difference(run(0, 5)[3], run(3, 1)[0]) < 1e-5);
  SampleNoise a(7), b(8);
  CHECK(values(a.draw({2, 3})) != values(b.draw({2, 3})));
  CHECK(values(a.draw({2, 3})) != values(SampleNoise(7).draw({2, 3})));  // the stream goes on
}

TEST_CASE("noise of samples is standard normal, and streams of neighbours are not alike", "[diffusion][samplers]") {
  SampleNoise noise(11);
  const Tensor z = noise.draw({20000, 3});
  CHECK(z.dtype() == f64);
  CHECK(z.mean().item() == Approx(0).margin(0.02));
  CHECK(z.var().item() == Approx(1).margin(0.02));
  CHECK(mean(square(square(z))).item() == Approx(3).margin(0.15));
  CHECK(mean(z.narrow(0, 0, 19999) * z.narrow(0, 1, 19999)).item() == Approx(0).margin(0.02));
  CHECK(mean(select(z, 1, 0) * select(z, 1, 1)).item() == Approx(0).margin(0.03));
  CHECK(mean(select(z, 1, 0) * select(noise.draw({20000, 3}), 1, 0)).item() == Approx(0).margin(0.03));
  CHECK(values(SampleNoise(3, 4).draw({1, 5})) == values(SampleNoise(3).draw({6, 5})[4]));
  CHECK(SampleNoise(1).draw({0, 2}).numel() == 0);
}

TEST_CASE("grids: their ends, their spacing, and what is refused", "[diffusion][samplers]") {
  const auto edm = edm_grid(18);
  REQUIRE(edm.size() == 19);
  CHECK(edm[0] == 80);
  CHECK(edm[17] == 0.002);
  CHECK(edm[18] == 0);
  const double root = std::pow(80., 1 / 7.) + 5. / 17 * (std::pow(0.002, 1 / 7.) - std::pow(80., 1 / 7.));
  CHECK(edm[5] == Approx(std::pow(root, 7)));
  CHECK(edm_grid(1) == std::vector<double>{80, 0});
  const auto flat = edm_grid(5, 1, 9, 1);
  CHECK(flat[1] - flat[0] == Approx(-2));
  const auto logs = log_grid(4, 16, 1);
  CHECK(logs[1] == Approx(8));
  CHECK(uniform_grid(4, 1, 0) == std::vector<double>{1, 0.75, 0.5, 0.25, 0});
  CHECK(quadratic_grid(2, 1, 0) == std::vector<double>{1, 0.25, 0});
  CHECK(ddpm_grid(1000, 4, Spacing::trailing) == std::vector<double>{1000, 750, 500, 250, 0});
  CHECK(ddpm_grid(1000, 4, Spacing::leading) == std::vector<double>{751, 501, 251, 1, 0});
  CHECK(ddpm_grid(1000, 4, Spacing::linspace) == std::vector<double>{1000, 667, 334, 1, 0});
  CHECK(ddpm_grid(10, 10, Spacing::leading) == ddpm_grid(10, 10, Spacing::trailing));
  CHECK(ddpm_grid(1000, 1, Spacing::linspace) == std::vector<double>{1000, 0});
  CHECK(ddpm_grid(1000, 3, Spacing::linspace, 8) == std::vector<double>{992, 497, 1, 0});
  CHECK_THROWS_AS(ddpm_grid(1000, 993, Spacing::linspace, 8), ValueError);
  // FM's shift multiplies the noise level
  const double t = 0.3, moved = time_shift(t, 3);
  CHECK(moved / (1 - moved) == Approx(3 * t / (1 - t)));
  CHECK(time_shift(1, 3) == 1);
  CHECK(time_shift(0, 3) == 0);
  CHECK_THROWS_AS(time_shift(0.5, 0), ValueError);
  for (int64_t n : {0, -3}) {
    CHECK_THROWS_AS(edm_grid(n), ValueError);
    CHECK_THROWS_AS(uniform_grid(n, 1, 0), ValueError);
    CHECK_THROWS_AS(log_grid(n, 2, 1), ValueError);
    CHECK_THROWS_AS(ddpm_grid(1000, n), ValueError);
  }
  CHECK_THROWS_AS(ddpm_grid(10, 11), ValueError);
  CHECK_THROWS_AS(log_grid(5, 1, 0), ValueError);
  CHECK_THROWS_AS(uniform_grid(5, 0, 1), ValueError);
  CHECK_THROWS_AS(edm_grid(5, 2, 1), ValueError);
  const std::vector<double> rising{1, 2}, level{1, 1}, below{1, -1}, lost{NAN, 0}, one{1}, endless{INFINITY, 1};
  for (const auto& bad : {rising, level, below, lost, one, endless}) CHECK_THROWS_AS(through(bad), ValueError);
  const std::vector<double> too_far{100, 1};
  CHECK_THROWS_AS(through_sigmas(Edm(), too_far), ValueError);
}

TEST_CASE("sample: trace, restarts, clamp, count of evaluations, and bad input", "[diffusion][samplers]") {
  const Edm edm;
  const Mixture law = three_gaussians();
  Heun heun;
  const Tensor x = normal({3, 2}, 1) * 80;
  int64_t calls = 0;
  std::vector<SampledStep> seen;
  std::vector<Tensor> xs;
  auto keep = [&](const SampledStep& m) { seen.push_back(m), xs.push_back(m.x); };
  const Tensor whole = sample(edm, law, heun, x, through(edm_grid(18)), {.trace = keep}, &calls);
  CHECK(calls == 35);  // 2 N - 1
  REQUIRE(seen.size() == 18);
  CHECK(seen[3].index == 3);
  CHECK(seen[17].step.next == 0);
  CHECK(values(xs[17]) == values(whole));
  // from the middle on
  const std::vector<double> grid = edm_grid(18);
  const Steps rest = through(std::span(grid).subspan(7));
  CHECK(values(sample(edm, law, heun, xs[6], rest)) == values(whole));
  // f32 in, f64 inside and out; no graph
  CHECK(sample(edm, law, heun, to(x, f32), rest).dtype() == f64);
  CHECK_FALSE(sample(edm, law, heun, x.clone().requires_grad_(), rest).requires_grad());
  const Tensor cut = sample(edm, law, heun, x, through(grid), {.clamp = 0.1});
  CHECK(max(abs(cut)).item() <= 0.1 + 1e-12);
  CHECK(max(abs(whole)).item() > 0.1);
  Ddim ddim;
  Ancestral ancestral;
  CHECK_THROWS_AS(sample(edm, law, ancestral, x, through(grid)), ValueError);  // no noise given
  CHECK_THROWS_AS(sample(edm, law, ddim, x, Steps{}), ValueError);
  CHECK_THROWS_AS(sample(edm, law, ddim, x, Steps{{1, 2}}), ValueError);
  CHECK_THROWS_AS(sample(edm, law, ddim, x, Steps{{90, 2}}), ValueError);
  CHECK_THROWS_AS(sample(edm, law, ddim, x, through(grid), {.clamp = -1.}), ValueError);
  CHECK_THROWS_AS(sample(edm, law, ddim, Tensor(3.), through(grid)), ShapeError);
  auto wrong = [](const Tensor& y, const Tensor&, const Tensor&) { return sum(y, {1}); };
  CHECK_THROWS_AS(sample(edm, wrong, ddim, x, through(grid)), ShapeError);
  CHECK_THROWS_AS(Ddim(1.5), ValueError);
  CHECK_THROWS_AS(SecondOrder(0), ValueError);
  CHECK_THROWS_AS(DpmSolver(4), ValueError);
  CHECK_THROWS_AS(EulerMaruyama(-1), ValueError);
  CHECK_THROWS_AS(EdmChurn({.churn = -1}), ValueError);
  CHECK_THROWS_AS(AnnealedLangevin(0, 1), ValueError);
  CHECK_THROWS_AS(PredictorCorrector(ddim, 0), ValueError);
  SampleNoise noise(1);
  AnnealedLangevin annealed(1e-3, 1);
  CHECK_THROWS_AS(sample(FlowMatching(), law, annealed, x, Steps{{0.5, 0.2}}, {.noise = &noise}), ValueError);
  CHECK_THROWS_AS(langevin([](const Tensor& y) { return y; }, x, {.step = 0.1}), ValueError);
}
