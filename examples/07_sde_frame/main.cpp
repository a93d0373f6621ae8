// Diffusion as a stochastic differential equation: why sqrt(dt), back by Bayes, the score as a mean, f and g from a and
// b
#include <fmt/format.h>

#include "examples/07_sde_frame/lesson.h"
#include "examples/07_sde_frame/score.h"
#include "examples/07_sde_frame/steps.h"

using namespace ink;
using namespace ink::lesson;
using namespace ink::diffusion;

namespace {

void a_limit(Lesson& lesson) {
  lesson.section("1. Tearing down without steps", R"(x_{t+dt} = x_t + f_t(x_t)\,dt + g_t\,\sqrt{dt}\,\varepsilon)",
                 "Su 2022, kexue.fm 9209; Song et al. 2021, section 3");
  const VariancePreserving vp;
  const std::vector<double> counts{10, 30, 100, 300, 1000, 3000};
  std::vector<Series> spread{{.name = "power 1/4"}, {.name = "power 1/2"}, {.name = "power 1"}};
  std::vector<double> off;
  for (double n : counts) {
    size_t i = 0;
    for (double power : {0.25, 0.5, 1.})
      spread[i].x.push_back(n), spread[i++].y.push_back(std::sqrt(walked(vp, 1, int64_t(n), power).variance));
    const Walked w = walked(vp, 0.5, int64_t(n));
    off.push_back(std::abs(w.factor / vp.a(0.5) - 1) + std::abs(w.variance / std::pow(vp.b(0.5), 2) - 1));
  }
  lesson.plot("powers", spread,
              {.x = "steps",
               .y = "spread of the noise at t = 1",
               .log = true,
               .caption =
                   "The noise of a step is g dt^power. Only 1/2 leaves a noise that does not depend on the steps."});
  auto falls = [&](size_t i) { return last_slope(counts, spread[i].y); };
  lesson.expect("noise of power 1/4: exponent of its spread in the steps", falls(0), Within{0.22, 0.28});
  lesson.expect("power 1/2", falls(1), Within{-0.01, 0.01});
  lesson.expect("power 1", falls(2), Within{-0.53, -0.47});
  lesson.expect("against a and b at t = 1/2: exponent of the error in the steps", last_slope(counts, off),
                Within{-1.05, -0.95});
  lesson.value("error at 1000 steps, percent", 100 * off[4]);

  std::vector<Series> paths;
  Generator draw(lesson.seed() + 1);
  const std::vector<double> starts = two_humps().sample(8, &draw).to_vector<double>();
  for (double x : starts) {
    const std::vector<double> z = randn({250}, f64, &draw).to_vector<double>();
    Series path{.x = {0}, .y = {x}};
    for (size_t i = 0; i < 250; ++i) {
      x = forward_step(vp, x, double(i) / 250, 1. / 250, z[i]);
      path.x.push_back(double(i + 1) / 250), path.y.push_back(x);
    }
    paths.push_back(path);
  }
  lesson.plot("paths", paths,
              {.x = "t", .y = "x", .caption = "Eight samples of the data on their way to N(0, 1), VP, 250 steps."});
  one_path_in_two_ways(lesson, vp);
}

void by_bayes_formula(Lesson& lesson) {
  lesson.section("2. Building up: Bayes",
                 R"(p(x_t | x_{t+dt}) = \frac{p(x_{t+dt} | x_t)\, p(x_t)}{p(x_{t+dt})}, \quad )"
                 R"(x_t \approx x_{t+dt} - \left[f - g^2 \nabla \ln p\right] dt + g \sqrt{dt}\, \varepsilon)",
                 "Anderson 1982; Su 2022");
  const VariancePreserving vp;
  const double t = 0.3;
  // one Gaussian: both sides are linear in x
  const double V = 0.25 * std::pow(vp.a(t), 2) + std::pow(vp.b(t), 2);
  for (double dt : {0.01, 0.005, 0.0025}) {
    const double r = t - dt, alpha = vp.a(t) / vp.a(r);
    const double Vr = 0.25 * std::pow(vp.a(r), 2) + std::pow(vp.b(r), 2);
    const double beta = std::pow(vp.b(t), 2) - std::pow(alpha * vp.b(r), 2);
    lesson.value(fmt::format("coefficient gap, {}", dt),
                 1e4 * std::abs(alpha * Vr / V - (1 - (vp.f(t) + vp.g2(t) / V) * dt)));
    lesson.value(fmt::format("variance gap, {}", dt), 1e4 * std::abs(Vr * beta / V - vp.g2(t) * dt));
  }
  // two humps: Bayes by integration
  const Mixture law = two_humps();
  const std::vector<double> steps{0.02, 0.01, 0.005, 0.0025, 0.00125};
  Series mean{.name = "mean"}, variance{.name = "variance"}, without{.name = "mean, without the score"};
  for (double dt : steps) {
    double m = 0, v = 0, bare = 0;
    for (double x : {-1.2, -0.3, 0.1, 0.5, 1.4}) {
      const Reversed exact = by_bayes(vp, law, x, t, dt), formula = by_square(vp, law, x, t, dt);
      m = std::max(m, std::abs(exact.mean - formula.mean)),
      v = std::max(v, std::abs(exact.variance - formula.variance));
      bare = std::max(bare, std::abs(exact.mean - (x - vp.f(t) * x * dt)));
    }
    for (Series* s : {&mean, &variance, &without}) s->x.push_back(dt);
    mean.y.push_back(m), variance.y.push_back(v), without.y.push_back(bare);
  }
  lesson.expect("two humps: exponent of the mean's error in dt", last_slope(steps, mean.y), Within{1.9, 2.1});
  lesson.expect("of the variance's error", last_slope(steps, variance.y), Within{1.9, 2.1});
  lesson.expect("of the mean's error if the score is left out", last_slope(steps, without.y), Within{0.9, 1.1});
  lesson.plot("bayes", {mean, variance, without},
              {.x = "dt",
               .y = "largest error over five places",
               .log = true,
               .caption = "Bayes' formula integrated, against the completed square, t = 0.3."});
  one_reversal(lesson, vp, law, 0.5, t);
}

void backwards_from_p(Lesson& lesson) {
  lesson.section(
      "4. Working backwards: f and g from a and b",
      R"(p(x_t | x_0) = \mathcal N(a_t x_0, b_t^2 I) \;\Rightarrow\; f = \frac{a'}{a}, \quad g^2 = (b^2)' - 2 f b^2)",
      "Su 2022; Song et al. 2021, section 3.4; Karras et al. 2022, appendix B");
  const Circle circle;
  const VariancePreserving vp;
  const VarianceExploding ve(0.01, 50);
  double formula = 0, walk = 0;
  for (const Process* p : std::initializer_list<const Process*>{&vp, &ve, &circle}) {
    for (double t : {0.2, 0.5, 0.8}) {  // what follows from a and b by differences alone
      const double h = 1e-5, slope_a = (p->a(t + h) - p->a(t - h)) / (2 * h);
      const double slope_b2 = (std::pow(p->b(t + h), 2) - std::pow(p->b(t - h), 2)) / (2 * h);
      const double f = slope_a / p->a(t), g2 = slope_b2 - 2 * f * std::pow(p->b(t), 2);  // (7.15)
      formula = std::max(formula, std::abs(f - p->f(t)) + std::abs(g2 / p->g2(t) - 1));
    }
    const double start = p == &ve ? std::pow(ve.sigma_min, 2) : 0;
    const Walked w = walked(*p, 0.8, 20000);
    walk = std::max(walk,
                    std::abs(w.factor / p->a(0.8) - 1) + std::abs((w.variance + start) / std::pow(p->b(0.8), 2) - 1));
  }
  lesson.expect("VP, VE, cosine: f and g^2 against differences of a and b", formula, Below{1e-6});
  lesson.expect("walking with them 20,000 steps to t = 0.8: error of a and b^2", walk, Below{3e-3});
  const Ddpm ddpm(BetaSchedule::linear, 1000);
  double apart = 0;
  for (int64_t n = 1; n <= 1000; ++n) apart = std::max(apart, std::abs(ddpm.a(double(n)) - vp.a(double(n) / 1000)));
  lesson.expect("DDPM's 1000 steps against VP: largest difference of a", apart, Below{2e-3});
  struct Forgetful : VariancePreserving {  // g^2 = (b^2)' where x is drawn to 0 as well
    double g2(double t) const override { return beta(t) * std::exp(-integral(t)); }
  };
  const double forgotten = walked(Forgetful(), 1, 20000).variance;
  lesson.expect("VP with g^2 = (b^2)' alone: variance of the noise at t = 1, which should be 1", forgotten,
                Below{0.01});
  lesson.value("variance with b alone", forgotten);
  lesson.value("DDPM against VP", apart);
  std::vector<double> ts = linspace(0, 1, 101, f64).to_vector<double>();
  auto curve = [&](const char* name, auto value) {
    Series s{.name = name, .x = ts};
    for (double at : ts) s.y.push_back(value(at));
    return s;
  };
  lesson.plot("factors",
              {curve("VP: a", [&](double s) { return vp.a(s); }), curve("VP: b", [&](double s) { return vp.b(s); }),
               curve("cosine: a", [&](double s) { return circle.a(s); }),
               curve("cosine: b", [&](double s) { return circle.b(s); })},
              {.x = "t",
               .y = "factor",
               .caption = "Both keep the variance of data of variance 1; the cosine path does it evenly."});
  lesson.plot("levels",
              {curve("VP", [&](double s) { return std::max(vp.sigma(s), 1e-3); }),
               curve("VE", [&](double s) { return ve.sigma(s); })},
              {.x = "t",
               .y = "noise level b / a",
               .log_y = true,
               .caption = "In the end all a process is: a pace through noise levels."});
}

// Eight paths from noise to data, as the trace of the sampler saw them.
void paths_back(Lesson& lesson, const Process& p, const Mixture& law, int64_t steps) {
  SampleNoise noise(lesson.seed() + 4);
  std::vector<Series> paths(8);
  auto keep = [&](double t, const Tensor& x) {
    const std::vector<double> places = x.to_vector<double>();
    for (size_t i = 0; i < 8; ++i) paths[i].x.push_back(1 - t), paths[i].y.push_back(places[i]);
  };
  auto trace = [&](const SampledStep& m) { keep(m.step.next, m.x); };
  const Tensor start = prior_sample(p, noise.draw({8, 1}), 1);
  keep(1, start);
  EulerMaruyama em;
  sample(p, law, em, start, through(uniform_grid(steps, 1, 1e-3)), {.noise = &noise, .trace = trace});
  lesson.plot("paths-back", paths,
              {.x = "1 - t: from noise to data",
               .y = "x",
               .caption = "Eight samples on their way back, VP. They settle late, into one hump or the other."});
}

void the_way_back(Lesson& lesson, int64_t n, int64_t steps) {
  lesson.section("5. The way back, step by step",
                 R"(dx = \left[f_t(x) - g_t^2\, \nabla \ln p_t(x)\right] dt + g_t\, dw)",
                 "Anderson 1982; Song et al. 2021");
  const VariancePreserving vp;
  const VarianceExploding ve(0.01, 50);
  const Mixture law = two_humps();
  EulerMaruyama em;
  std::vector<Series> arrived;
  const std::pair<const char*, const Process*> both[] = {{"VP", &vp}, {"VE", &ve}};
  for (const auto& [name, p] : both) {
    SampleNoise noise(lesson.seed() + 2);
    const Tensor start = prior_sample(*p, noise.draw({n, 1}), 1);
    const Tensor x = sample(*p, law, em, start, through(uniform_grid(steps, 1, 1e-3)), {.noise = &noise});
    const double left = to(x < -0.4, f64).mean().item();
    lesson.expect(fmt::format("{}: share in the left hump, 0.3 of the data", name), left, Within{0.27, 0.33},
                  Needs::training);
    lesson.expect(fmt::format("{}: largest gap between distribution functions", name),
                  kolmogorov(x.to_vector<double>(), two_humps_cdf), Below{0.04}, Needs::training);
    arrived.push_back(histogram(name, x.to_vector<double>()));
  }
  arrived.push_back(two_humps_density());
  lesson.plot("arrived", arrived,
              {.x = "x", .y = "density", .y_low = 0, .caption = "What came back from noise, and the data's density."});
  // One Gaussian N(0, 1/4): each step is affine, so the end's variance follows without chance.
  const std::vector<double> counts{50, 200, 800, 3200, 12800};
  std::vector<Series> curves;
  const VarianceExploding mild(0.05, 5);
  const std::pair<const char*, const Process*> walks[] = {{"VP", &vp}, {"VE, 0.05 to 5", &mild}};
  for (const auto& [name, p] : walks) {
    Series s{.name = name, .x = counts};
    for (double count : counts) s.y.push_back(variance_error(*p, int64_t(count)));
    curves.push_back(s);
    lesson.expect(fmt::format("{}: exponent of the variance's error in the steps", name), last_slope(counts, s.y),
                  Within{-1.1, -0.9});
  }
  lesson.plot("steps", curves,
              {.x = "steps from t = 1 to 0.1",
               .y = "relative error of the variance",
               .log = true,
               .caption = "Data N(0, 1/4). Every T is a discretisation of the same equation."});
  paths_back(lesson, vp, law, steps);
  a_cloud_flows_back(lesson, vp, std::min<int64_t>(n, 2000));
}

}  // namespace

int main(int argc, char** argv) {
  Lesson lesson(argc, argv,
                {.note = "07",
                 .name = "07_sde_frame",
                 .title = "Diffusion as a stochastic differential equation",
                 .about =
                     "Noise added in steps without a size: why it grows with the root of the step, how Bayes turns "
                     "it round, why the score is a mean, and how f and g follow from what one wants at time t.",
                 .full_time = "5 s"});
  const int64_t samples = lesson.option("samples", Sizes{.full = 10000, .quick = 6000, .tiny = 50}, "walked backwards");
  const int64_t steps =
      lesson.option("steps", Sizes{.full = 800, .quick = 400, .tiny = 12, .least = 2}, "of that walk");
  const int64_t pairs = lesson.option("pairs", Sizes{.full = 100000, .quick = 50000, .tiny = 1000, .least = 1000},
                                      "of x and noise to learn from");
  a_limit(lesson);
  by_bayes_formula(lesson);
  the_score_is_a_mean(lesson);
  least_squares(lesson, pairs);
  backwards_from_p(lesson);
  the_way_back(lesson, samples, steps);
  return lesson.finish();
}
