// Learning where the density rises: four losses for a score, three troubles with one score, and the many noise levels
// that cure them
#include "examples/05_score_smld/digits.h"
#include "examples/05_score_smld/fields.h"
#include "examples/05_score_smld/nets.h"
#include "examples/05_score_smld/schedule.h"
#include "examples/05_score_smld/steps.h"
#include "examples/support/lesson/lesson.h"

using namespace ink;
using namespace ink::lesson;
using namespace ink::diffusion;

namespace {

void what_is_modelled(Lesson& lesson) {
  lesson.section("1. A model of the slope", R"(s(x) = \nabla_x \log p(x), \quad p(x) = \frac{e^{-E(x)}}{Z})",
                 "Hyvarinen 2005; Song & Ermon 2019, section 2");
  const Mixture law = three_gaussians();
  Tensor x = law.sample(200);
  x.requires_grad_();
  const Tensor score = law.score(x.detach(), levels(x, 0));
  auto slope = [&](double z) {  // of the logarithm of z p
    x.zero_grad();
    (law.log_density(x, levels(x, 0)) + std::log(z)).sum().backward();
    return x.grad();
  };
  lesson.expect("autograd of log p against the formula: relative error", relative_error(slope(1), score), Below{1e-20});
  lesson.expect("the same for 1000 p, whose mass is not 1", relative_error(slope(1000), score), Below{1e-20});
  const Tensor at = grid(2.4, 17);
  lesson.plot(
      "field", {arrows("score", at, law.score(at, levels(at, 0.3)), 0.05), dots("samples", x.detach(), 200)},
      {.x = "x₁",
       .y = "x₂",
       .equal = true,
       .caption =
           "The score of three Gaussians under noise of 0.3: it points uphill, and is longer where it is steep."});
}

// Fields that nobody trained: what holds for them holds for any.
std::vector<PointNet> some_fields() {
  std::vector<PointNet> nets;
  for (int i = 0; i < 3; ++i) {
    nets.push_back(score_net());
    NoGrad guard;
    nets.back().out.weight.normal_(0, 0.3);
    nets.back().to(f64), nets.back().to(Device::cpu());
  }
  return nets;
}

void without_the_truth(Lesson& lesson, int64_t samples) {
  lesson.section(
      "2. Around the unknown score: by parts, and by slices",
      R"(\tfrac12 E\lvert s - \nabla \log p \rvert^2 = E\left[\tfrac12 \lvert s \rvert^2 + \text{tr}\,\frac{ds}{dx}\right] + C)",
      "Hyvarinen 2005, theorem 1; Song et al. 2019", {"nn/diffusion/score_matching.cpp:implicit_score_matching"});
  const Mixture law = three_gaussians();
  const Tensor x = law.sample(samples), truth = law.score(x, levels(x, 0)), constant = square(truth).sum({1}) / 2;
  double worst = 0, sliced = 0, narrower = INFINITY;
  for (PointNet& net : some_fields()) {
    auto s = [&](const Tensor& at) { return net.forward(at); };
    const Tensor implicit = implicit_score_matching(s, x).detach();
    worst = std::max(worst, estimate(explicit_score_matching(s, x, truth).detach() - implicit - constant).off(0));
    Tensor mean = zeros_like(implicit);
    for (double first : {-1.0, 1.0})
      for (double second : {-1.0, 1.0}) {
        const Tensor v = expand(tensor({first, second}, kExact), x.shape()).contiguous();
        mean = mean + sliced_score_matching(s, x, v).detach() / 4;
      }
    sliced = std::max(sliced, (mean - implicit).abs().max().item());
    const Tensor v = randn(x.shape(), kExact);
    auto spread = [&](SlicedForm form) {
      return (sliced_score_matching(s, x, v, form).detach() - implicit).var().item();
    };
    narrower = std::min(narrower, spread(SlicedForm::plain) / spread(SlicedForm::variance_reduced));
  }
  lesson.expect("explicit minus implicit minus C, for three fields: standard errors from 0", worst, Below{4});
  lesson.expect("sliced, averaged over the four sign vectors of the plane, against the exact trace", sliced,
                Below{1e-12});
  lesson.expect("variance around the implicit loss: plain slices over variance-reduced ones", narrower, Above{1});
  a_trace_two_ways(lesson);
}

void by_noise(Lesson& lesson, int64_t samples) {
  lesson.section(
      "3. Around it by noise",
      R"(\nabla \log p_\sigma(\tilde x) = E\left[-\frac{\varepsilon}{\sigma} \,\middle|\, \tilde x = x + \sigma \varepsilon\right])",
      "Vincent 2011", {"nn/diffusion/score_matching.cpp:denoising_score_matching"});
  const Mixture law = three_gaussians();
  const double sigma = 0.4;
  const Tensor x = law.sample(samples), eps = randn(x.shape(), kExact), noisy = x + sigma * eps;
  const Tensor truth = law.score(noisy, levels(x, sigma));
  double worst = 0;
  std::vector<double> constants;
  for (PointNet& net : some_fields()) {
    auto s = [&](const Tensor& at) { return net.forward(at); };
    const Tensor gap = (denoising_score_matching(s, x, eps, sigma) - explicit_score_matching(s, noisy, truth)).detach();
    const Tensor at_zero = (square(eps / sigma).sum({1}) - square(truth).sum({1})) / 2;
    worst = std::max(worst, estimate(gap - at_zero).off(0));
    constants.push_back(gap.mean().item());
  }
  lesson.expect("denoising minus explicit is the same for three fields: standard errors between", worst, Below{4});
  lesson.value("that constant", constants[0]);
  // A Gaussian, for which the least loss is known.
  const double s2 = 1.5;
  const Mixture one = gaussian(zeros({2}, kExact), std::sqrt(s2));
  const Tensor y = one.sample(samples);
  auto exact = [&](const Tensor& at) { return one.score(at, levels(at, sigma)); };
  const Estimate got = estimate(denoising_score_matching(exact, y, randn(y.shape(), kExact), sigma));
  const double least = s2 / (sigma * sigma * (s2 + sigma * sigma));  // two dimensions, a half each
  lesson.expect("the true score's loss on a Gaussian, over its closed form", got.mean / least, Within{0.97, 1.03});
  lesson.expect("it is not 0: the noise that was drawn cannot be told", got.mean, Above{1});
}

void four_losses(Lesson& lesson, int64_t steps) {
  lesson.section("4. One net, four losses", R"(\min_\theta \tfrac12 E\lvert s_\theta - \nabla \log p \rvert^2)");
  const Mixture law = three_gaussians();
  const double sigma = 0.3;
  const Tensor test = law.sample(4000), truth = law.score(test, levels(test, 0));
  const Tensor noisy = test + sigma * randn(test.shape(), kExact), noisy_truth = law.score(noisy, levels(test, sigma));
  const Tensor at = grid(2.4, 15);
  const Tensor fine = grid(3.0, 31), fine_truth = law.score(fine, levels(fine, 0));
  const Tensor weight = exp(law.log_density(fine, levels(fine, 0)));
  std::vector<Tensor> errors;
  std::vector<std::string> names;
  for (const MatchingRow& row : kMatchings) {
    PointNet net = score_net();
    net.to(lesson.device());
    auto s = [&](const Tensor& x) { return net.forward(x); };
    train(lesson, row.name, net, {.steps = steps}, [&] {
      return matching_loss(row.matching, law, s, law.sample(256).to(f32).to(lesson.device()), sigma).mean();
    });
    NoGrad guard;
    auto field = [&](const Tensor& x) { return net.forward(x.to(f32).to(lesson.device())).to(f64).to(Device::cpu()); };
    const bool smoothed = row.matching == Matching::denoising;
    const double error = smoothed ? relative_error(field(noisy), noisy_truth) : relative_error(field(test), truth);
    lesson.expect(fmt::format("{}: relative error where the data are", row.name), error, Below{row.error},
                  Needs::training);
    if (row.matching == Matching::implicit_)
      lesson.plot("learnt",
                  {arrows("learnt", at, field(at), 0.05), arrows("true", at, law.score(at, levels(at, 0)), 0.05)},
                  {.x = "x₁",
                   .y = "x₂",
                   .equal = true,
                   .caption = "The implicit loss, which never saw a score. Near the data the arrows agree, far from "
                              "them they do not."});
    const Tensor off = sqrt(square(field(fine) - fine_truth).sum({1}));
    errors.push_back(flip(reshape(off, {31, 31}), {0})),
        names.push_back(std::string(row.name).substr(0, std::string(row.name).find(" (")));
    if (row.matching == Matching::explicit_) {
      const Tensor near = weight > 0.02, far = weight < 0.0005;
      const double there = (off * far).sum().item() / far.sum().item(),
                   here = (off * near).sum().item() / near.sum().item();
      lesson.expect("even told the truth: mean error where data are rare over that where they are", there / here,
                    Above{3}, Needs::training);
    }
  }
  lesson.images("errors", stack(errors).clamp(0, 4),
                {.low = 0,
                 .high = 4,
                 .per_row = 4,
                 .caption = "|s − ∇ log p| over [−3, 3]²: small in the three hills, large where no sample ever fell."},
                names);
}

void langevin_alone(Lesson& lesson, int64_t walkers, int64_t steps) {
  lesson.section("5. Samples from a score: Langevin", R"(x \leftarrow x + e\, s(x) + \sqrt{2 e}\, z)",
                 "Roberts & Tweedie 1996", {"nn/diffusion/samplers/langevin.cpp:langevin"});
  // One Gaussian: each step is affine, so that the law it ends in is known, and it is not quite the right one.
  const double s2 = 2, e = 0.4;
  const Mixture one = gaussian(zeros({2}, kExact), std::sqrt(s2));
  SampleNoise noise(lesson.seed());
  auto score_of = [](const Mixture& law) { return [&law](const Tensor& x) { return law.score(x, levels(x, 0)); }; };
  const Tensor settled =
      langevin(score_of(one), zeros({4 * walkers, 2}, kExact), {.step = e, .steps = 60, .noise = &noise});
  lesson.expect("the variance in which steps of 0.4 end, over its closed form",
                settled.var().item() / (s2 / (1 - e / (2 * s2))), Within{0.96, 1.04});
  // Two modes.
  const Mixture law = two_modes();
  SampleNoise walk(lesson.seed() + 1);
  const Tensor start = 16 * rand({walkers, 2}, kExact) - 8;
  Cloud cloud(lesson, "Langevin, one noise level", 9);
  cloud.frame("the start", start, "1280 walkers, anywhere in the square.");
  const Tensor end =
      langevin(score_of(law), start,
               {.step = 0.05, .steps = steps, .noise = &walk, .trace = [&](int64_t i, const Tensor& x) {
                  if (i < 4 || (i + 1) % (steps / 12) == 0)
                    cloud.frame(fmt::format("after step {}", i + 1), x,
                                i < 4 ? "Each climbs the hill that is nearer, and shakes."
                                      : "No walker crosses the valley between: the share at (5, 5) stays.");
                }});
  lesson.expect("share of the mode that has 0.8 of the mass", share_of_first(end), Within{0.44, 0.58});
  lesson.plot(
      "plain", {dots("Langevin", end), dots("the law", law.sample(400))},
      {.x = "x₁",
       .y = "x₂",
       .equal = true,
       .caption =
           "Where they end, and where they should: half the walkers sit in the mode that has a fifth of the mass."});
  const Tensor centre = zeros({1, 2}, kExact);
  lesson.value("log density in the valley, below that of the higher hill",
               (law.log_density(tensor({{5.0, 5.0}}, kExact), levels(centre, 0)) -
                law.log_density(centre, levels(centre, 0)))
                   .item());
}

void annealed(Lesson& lesson, int64_t walkers, int64_t updates) {
  lesson.section("6. Many noise levels", R"(e_i = e \,\frac{\sigma_i^2}{\sigma_L^2})", "Song & Ermon 2019, alg. 1",
                 {"nn/diffusion/samplers/langevin.cpp:AnnealedLangevin::step"});
  const Mixture law = two_modes();
  const Edm process(20);
  const Steps steps = through(and_zero(log_grid(9, 20, 0.5)));
  AnnealedLangevin sampler(0.05 * 0.25, updates);
  SampleNoise noise(lesson.seed() + 2);
  const Tensor start = prior_sample(process, noise.draw({walkers, 2}, Device::cpu()), 20);
  Cloud cloud(lesson, "annealed Langevin", 30);
  cloud.frame("noise of 20", start, "The two modes are one hill; all walkers know where it is.");
  std::vector<double> shares;
  auto trace = [&](const diffusion::SampledStep& m) {
    shares.push_back(share_of_first(m.x));
    cloud.frame(fmt::format("after the level {:.3g}", m.step.t), m.x,
                m.step.t > 8 ? "Steps are as long as the noise allows."
                             : "The hill has parted; who is where is already decided.");
  };
  const Tensor end = sample(process, law, sampler, start, steps, {.noise = &noise, .trace = trace});
  lesson.expect("annealed: share of the mode that has 0.8 of the mass", share_of_first(end), Within{0.72, 0.88});
  const Tensor of_first = end.index({end.sum({1}) > 0});
  // The last step, to the mean of what the data may be, takes some of the spread away: s^4 / (s^2 + sigma^2) = 0.8.
  lesson.expect("annealed: variance within that mode, between 0.8 and 1", of_first.var(Dims{0}).mean().item(),
                Within{0.75, 1.05});
  lesson.plot("annealed", {dots("annealed Langevin", end), dots("the law", law.sample(400))},
              {.x = "x₁", .y = "x₂", .equal = true, .caption = "The same walkers, led through ten noise levels."});
  std::vector<double> at;
  for (const TimeStep& s : steps) at.push_back(s.t);
  lesson.plot("shares", {{.name = "share at (5, 5)", .x = at, .y = shares}},
              {.x = "noise level σ, falling to the left",
               .y = "share",
               .log_x = true,
               .y_low = 0,
               .y_high = 1,
               .references = {{0.8, "mass"}},
               .caption = "The shares are decided while the two hills are one."});
}

void one_net(Lesson& lesson, int64_t steps, int64_t walkers, int64_t updates) {
  lesson.section(
      "7. One net for all levels: NCSN",
      R"(\frac1L \sum_i \sigma_i^2\, \tfrac12 E\left\lvert s_\theta(x + \sigma_i \varepsilon, \sigma_i) + \frac{\varepsilon}{\sigma_i} \right\rvert^2)",
      "Song & Ermon 2019, eq. 5 and 6", {"nn/diffusion/score_matching.cpp:ncsn_loss"});
  const Mixture law = two_modes();
  PointNet net;
  net.to(lesson.device());
  // s(x, sigma) = F(x / sqrt(50 + sigma^2), ln sigma) / sigma: inputs of about unit size at every level
  auto s = [&](const Tensor& x, const Tensor& sigma) {
    const Tensor column = unsqueeze(sigma, 1);
    return net.forward(x / sqrt(square(column) + 26), log(sigma)) / column;
  };
  auto draw = [&](int64_t n) {
    const Tensor sigma = 20 * pow(Scalar(0.5 / 20), rand({n}, kExact));
    return std::tuple{law.sample(n), randn({n, 2}, kExact), sigma};
  };
  auto on = [&](const Tensor& t) { return t.to(f32).to(lesson.device()); };
  train(lesson, "NCSN", net, {.steps = steps, .learning_rate = 3e-3}, [&] {
    auto [x, eps, sigma] = draw(256);
    return ncsn_loss(s, on(x), on(eps), on(sigma)).mean();
  });
  NoGrad guard;
  auto [x, eps, sigma] = draw(20000);
  auto truth = [&](const Tensor& at, const Tensor& level) { return law.score(at, level); };
  const double floor = ncsn_loss(truth, x, eps, sigma).mean().item();
  const double got = ncsn_loss(s, on(x), on(eps), on(sigma)).mean().item();
  lesson.value("the true score's loss", floor);
  lesson.expect("loss over that of the true score", got / floor, Below{1.05}, Needs::training);
  auto denoiser = [&](const Tensor& at, const Tensor& level, const Tensor&) {
    return at + unsqueeze(square(level), 1) * s(on(at), on(level)).to(f64).to(Device::cpu());
  };
  const Edm process(20);
  AnnealedLangevin sampler(0.05 * 0.25, updates);
  SampleNoise noise(lesson.seed() + 3);
  const Tensor end =
      sample(process, denoiser, sampler, prior_sample(process, noise.draw({walkers, 2}, Device::cpu()), 20),
             through(and_zero(log_grid(9, 20, 0.5))), {.noise = &noise});
  lesson.expect("share of the larger mode, by the learnt score", share_of_first(end), Within{0.68, 0.92},
                Needs::training);
  lesson.plot("ncsn", {dots("NCSN", end), dots("the law", law.sample(400))},
              {.x = "x₁", .y = "x₂", .equal = true, .caption = "Annealed Langevin with the learnt score."});
}

void which_levels(Lesson& lesson, const Tensor& digits) {
  lesson.section(
      "8. How many levels, and which step",
      R"(\Phi\left(\sqrt{2d}(\gamma - 1) + 3\gamma\right) - \Phi\left(\sqrt{2d}(\gamma - 1) - 3\gamma\right) \approx \tfrac12)",
      "Song & Ermon 2020", {"examples/05_score_smld/schedule.h:overlap"});
  // What the authors chose for pictures of 32 x 32 x 3: 232 levels from 50 to 0.01, 5 steps of 6.2e-6 each.
  const double ratio = std::pow(50 / 0.01, 1 / 231.0);
  lesson.expect("their levels for CIFAR-10: the overlap", overlap(3072, ratio), Within{0.56, 0.574});
  lesson.expect("their step: the variance at a level's end over its own", variance_after(6.2e-6 / 1e-4, 5, ratio),
                Within{1.05, 1.06});
  std::vector<double> dims, levels_needed;
  for (double d = 2; d < 1e5; d *= 2)
    dims.push_back(d), levels_needed.push_back(std::log(50 / 0.01) / std::log(level_ratio(d)));
  lesson.plot("levels", {{.name = "levels from 50 to 0.01", .x = dims, .y = levels_needed}},
              {.x = "numbers of a sample, d",
               .y = "levels",
               .log = true,
               .caption = "Shells of noise are as thin as ever in many dimensions, and their radii grow as √d: "
                          "neighbours must be closer."});
  lesson.expect("levels for 4 d over levels for d, large d: 2",
                levels_needed.back() / levels_needed[levels_needed.size() - 3], Within{1.9, 2.1});
  const double far = diameter(digits), d = double(digits.size(1)), gamma = level_ratio(d);
  lesson.value("digits: largest distance", far);
  lesson.value("digits: ratio of levels", gamma);
  lesson.value("digits: levels down to 0.05", std::ceil(std::log(far / 0.05) / std::log(gamma)));
  lesson.value("digits: step over the level's variance, 5 steps", step_share(5, gamma));
}

void to_sdes(Lesson& lesson, int64_t walkers) {
  lesson.section(
      "9. More and more levels: an SDE",
      R"(x_i = x_{i-1} + \sqrt{\sigma_i^2 - \sigma_{i-1}^2}\; z \;\to\; dx = \sqrt{\frac{d\sigma^2}{dt}}\, dw)",
      "Song et al. 2021, eq. 8 and 9");
  const VarianceExploding ve(0.01, 50);
  double sum = 0, off = 0;
  const int64_t n = 2000;
  for (int64_t i = 1; i <= n; ++i) {
    const double before = ve.b(double(i - 1) / double(n)), now = ve.b(double(i) / double(n));
    sum += now * now - before * before;
    if (i % 400 == 0) {  // g^2 dt stands for the increment
      const double t = (double(i) - 0.5) / double(n);
      off = std::max(off, std::abs(ve.g2(t) / double(n) / (now * now - before * before) - 1));
    }
  }
  lesson.expect("the increments add up to 50² − 0.01², not to 50²: relative difference",
                std::abs(sum / (2500 - 1e-4) - 1), Below{1e-9});
  lesson.expect("g² dt against an increment of 2000 levels: relative difference", off, Below{1e-4});
  const Mixture law = two_modes();
  const Edm process(20);
  SampleNoise noise(lesson.seed() + 4);
  ReverseDiffusion reverse;
  const Tensor end = sample(process, law, reverse, prior_sample(process, noise.draw({walkers, 2}, Device::cpu()), 20),
                            through(and_zero(log_grid(120, 20, 0.05))), {.noise = &noise});
  lesson.expect("one step a level, 120 levels: share of the larger mode", share_of_first(end), Within{0.72, 0.88});
  lesson.say("Note 03 goes on from here.");
}

}  // namespace

int main(int argc, char** argv) {
  Lesson lesson(argc, argv,
                {.note = "05",
                 .name = "05_score_smld",
                 .title = "Score matching and Langevin dynamics",
                 .about =
                     "A model of the slope of the log density: learnt four ways, sampled by walking uphill with noise, "
                     "and why it takes many noise levels.",
                 .full_time = "3 min"});
  const int64_t samples =
      lesson.option("samples", Sizes{.full = 40000, .quick = 20000, .tiny = 2000, .least = 100}, "of each estimate");
  const int64_t steps = lesson.option("steps", Sizes{.full = 3000, .quick = 500, .tiny = 2}, "of training, each net");
  const int64_t walkers =
      lesson.option("walkers", Sizes{.full = 1280, .quick = 1280, .tiny = 640, .least = 16}, "of Langevin dynamics");
  const int64_t updates = lesson.option("updates", Sizes{.full = 100, .quick = 60, .tiny = 40}, "of each noise level");
  const int64_t pictures = lesson.option("pictures", Sizes{.full = 6000, .quick = 0, .tiny = 0, .least = 0},
                                         "steps of training on digits; 0: none");
  const DefaultDevice host(Device::cpu());  // what is not put on the lesson's device is computed in f64 on the CPU
  const Tensor digits = lesson.checked("data", [&] { return flat_digits(lesson); });
  what_is_modelled(lesson);
  without_the_truth(lesson, samples);
  by_noise(lesson, samples);
  four_losses(lesson, steps);
  langevin_alone(lesson, walkers, std::max<int64_t>(12, 10 * updates));
  annealed(lesson, walkers, updates);
  one_net(lesson, 2 * steps, walkers, updates);
  which_levels(lesson, digits);
  to_sdes(lesson, walkers);
  digits_from_noise(lesson, digits, pictures);
  return lesson.finish();
}
