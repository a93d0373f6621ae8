// The ground of diffusion models: processes, the five outputs, closed-form denoisers, preconditioners.
#include <cmath>
#include <memory>

#include "autograd/graph/engine.h"
#include "autograd/ops.h"
#include "nn/diffusion/precondition.h"
#include "nn/warning.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::diffusion;
using namespace ink::test;

namespace {

std::vector<std::unique_ptr<Process>> all_processes() {
  std::vector<std::unique_ptr<Process>> all;
  all.push_back(std::make_unique<FlowMatching>());
  all.push_back(std::make_unique<Edm>());
  all.push_back(std::make_unique<VarianceExploding>());
  all.push_back(std::make_unique<VariancePreserving>());
  all.push_back(std::make_unique<SubVariancePreserving>());
  for (BetaSchedule s :
       {BetaSchedule::linear, BetaSchedule::scaled_linear, BetaSchedule::cosine, BetaSchedule::sigmoid})
    all.push_back(std::make_unique<Ddpm>(s, 1000));
  all.push_back(std::make_unique<Ddpm>(zero_terminal_snr(betas(BetaSchedule::linear, 1000))));
  return all;
}
const double kShares[] = {0.0013, 0.0305, 0.2503, 0.5003, 0.7503, 0.9993};  // of end(); none is a step of the tables

Tensor times(std::initializer_list<double> t) { return from_data(t, {int64_t(t.size())}, f64); }

Mixture three() {
  return gaussian_mixture(from_data({-1, 0.5, 1, 1, 0.2, -1.4}, {3, 2}, f64), from_data({0.3, 0.2, 0.4}, {3}, f64),
                          from_data({1, 2, 3}, {3}, f64));
}

}  // namespace

TEST_CASE("derivatives of a and b, drift and diffusion agree with differences", "[diffusion]") {
  for (const auto& p : all_processes())
    for (double share : kShares) {
      const double t = share * p->end(), h = 1e-6 * p->end();
      INFO(p->name() << " at " << t);
      CHECK(p->da(t) == Approx((p->a(t + h) - p->a(t - h)) / (2 * h)).epsilon(1e-5).margin(1e-9));
      CHECK(p->db(t) == Approx((p->b(t + h) - p->b(t - h)) / (2 * h)).epsilon(1e-4).margin(1e-9));
      // variance of the SDE: (b^2)' = 2 f b^2 + g^2
      const double b2 = p->b(t) * p->b(t);
      CHECK(p->g2(t) + 2 * p->f(t) * b2 == Approx(2 * p->b(t) * p->db(t)).margin(1e-11 * p->g2(t)));
      CHECK(p->g2(t) >= 0);
      CHECK(p->g2(t) == Approx(p->Process::g2(t)).epsilon(1e-9));
    }
}

TEST_CASE("f, g^2 and sigma of the families are what the papers write", "[diffusion]") {
  const double t = 0.37;
  FlowMatching fm;
  CHECK(fm.f(t) == Approx(-1 / (1 - t)));
  CHECK(fm.g2(t) == Approx(2 * t / (1 - t)));
  VarianceExploding ve;
  CHECK(ve.f(t) == 0);
  CHECK(ve.g2(t) == Approx(2 * std::pow(ve.sigma(t), 2) * std::log(5000.)));
  CHECK(ve.b(0) == 0.01);
  CHECK(ve.b(1) == Approx(50));
  VariancePreserving vp;
  CHECK(vp.f(t) == Approx(-(0.1 + 19.9 * t) / 2));
  CHECK(vp.g2(t) == Approx(0.1 + 19.9 * t));
  CHECK(vp.sigma(t) == Approx(std::sqrt(std::exp(19.9 * t * t / 2 + 0.1 * t) - 1)));
  CHECK(vp.a(1) == Approx(std::exp(-10.05 / 2)));
  SubVariancePreserving sub;
  const double B = sub.integral(t);
  CHECK(sub.f(t) == Approx(vp.f(t)));
  CHECK(sub.g2(t) == Approx(sub.beta(t) * (1 - std::exp(-2 * B))));
  CHECK(sub.sigma(t) == Approx(std::exp(B / 2) - std::exp(-B / 2)));
  CHECK(vp.g2(0) == 0.1);
  CHECK(sub.g2(0) == 0);
  Edm edm;
  CHECK(edm.f(3) == 0);
  CHECK(edm.g2(3) == 6);
  // the general map: sigma' = W / a^2, g^2 = 2 a^2 sigma sigma'
  for (const auto& p : all_processes()) {
    const double s = 0.6003 * p->end(), h = 1e-6 * p->end();
    const double slope = (p->sigma(s + h) - p->sigma(s - h)) / (2 * h);
    INFO(p->name());
    CHECK(p->wronskian(s) / (p->a(s) * p->a(s)) == Approx(slope).epsilon(1e-6));
    CHECK(p->g2(s) == Approx(2 * p->a(s) * p->a(s) * p->sigma(s) * slope).epsilon(1e-6));
    CHECK(p->snr(s) == Approx(std::exp(2 * p->log_snr(s))));
  }
}

TEST_CASE("time is the inverse of sigma, and stays within its ends", "[diffusion]") {
  for (const auto& p : all_processes()) {
    INFO(p->name());
    for (double share : kShares) {
      const double t = share * p->end();
      CHECK(p->time(p->sigma(t)) == Approx(t).epsilon(1e-10));
      CHECK(p->Process::time(p->sigma(t)) == Approx(t).epsilon(1e-10));  // by bisection
      CHECK(p->sigma(p->time(p->sigma(t))) == Approx(p->sigma(t)).epsilon(1e-12));
    }
    CHECK(p->time(0) == 0);
    if (p->name() != "edm") CHECK(p->time(INFINITY) == p->end());
  }
  CHECK(VariancePreserving().time(1e-6) > 0);
}

TEST_CASE("DDPM's tables have their known entries", "[diffusion]") {
  Ddpm linear(BetaSchedule::linear, 1000);
  CHECK(linear.beta(1) == Approx(1e-4));
  CHECK(linear.beta(1000) == Approx(0.02));
  CHECK(linear.alpha_bar(1000) == Approx(4.0358e-5).epsilon(1e-4));
  CHECK(linear.alpha_bar(1) == Approx(0.9999));
  CHECK(linear.alpha_bar(0) == 1);
  CHECK(linear.b(1) == Approx(0.01).epsilon(1e-12));
  Ddpm scaled(BetaSchedule::scaled_linear, 1000);
  CHECK(scaled.beta(1) == Approx(0.00085));
  CHECK(scaled.beta(1000) == Approx(0.012));
  CHECK(std::sqrt(scaled.beta(500)) - std::sqrt(scaled.beta(499)) ==
        Approx((std::sqrt(0.012) - std::sqrt(0.00085)) / 999));
  Ddpm cosine(BetaSchedule::cosine, 1000);
  CHECK(cosine.beta(1000) == Approx(0.999));
  const double f0 = std::cos(0.008 / 1.008 * M_PI / 2), f5 = std::cos(0.508 / 1.008 * M_PI / 2);
  CHECK(cosine.alpha_bar(500) == Approx(f5 * f5 / (f0 * f0)));
  // tiny-diffusion's 50 steps with betas up to 0.02: the end is not noise
  std::vector<double> few(50);
  for (size_t i = 0; i < 50; ++i) few[i] = 1e-4 + (0.02 - 1e-4) * double(i) / 49;
  CHECK(Ddpm(few).a(50) == Approx(0.78).margin(0.005));
  Ddpm zero(zero_terminal_snr(betas(BetaSchedule::scaled_linear, 1000)));
  CHECK(zero.a(1000) == 0);
  CHECK(zero.b(1000) == 1);
  CHECK(zero.a(1) == Approx(scaled.a(1)).epsilon(1e-14));
  const double last = scaled.a(1000), first = scaled.a(1);
  CHECK(zero.a(600) == Approx((scaled.a(600) - last) * first / (first - last)));
  CHECK_THROWS_AS(Ddpm(std::vector<double>{}), ValueError);
  CHECK_THROWS_AS(Ddpm({0.1, 1, 0.1}), ValueError);
  CHECK_THROWS_AS(Ddpm({0.1, NAN}), ValueError);
  CHECK_THROWS_AS(betas(BetaSchedule::linear, 0), ValueError);
  CHECK_THROWS_AS(betas(BetaSchedule::linear, 10), ValueError);
  CHECK_THROWS_AS(cosine.alpha_bar(1001), IndexError);
}

TEST_CASE("every output gives every other, and back: 25 conversions at per-sample times", "[diffusion]") {
  const Tensor x0 = normal({6, 3}, 1), eps = normal({6, 3}, 2);
  for (const auto& p : all_processes()) {
    const double T = p->end();
    const Tensor t =
        times({kShares[0] * T, kShares[1] * T, kShares[2] * T, kShares[3] * T, kShares[4] * T, kShares[5] * T});
    const Tensor x = add_noise(*p, x0, eps, t);
    auto rate = [&](double (Process::*r)(double) const) {
      return per_sample([&](double s) { return (*p.get().*r)(s); }, t, x);
    };
    const Tensor a = rate(&Process::a), b = rate(&Process::b), da = rate(&Process::da), db = rate(&Process::db);
    const Tensor truth[] = {x0, eps, -eps / b, a * eps - b * x0, da * x0 + db * eps};
    for (Output from : kOutputs)
      for (Output to : kOutputs) {
        INFO(p->name() << ": " << output_name(from) << " to " << output_name(to));
        const Tensor got = convert(*p, truth[size_t(from)], from, to, x, t);
        // the smaller of x_0's and eps' shares is known to the digits that it has in x
        const Tensor scale = 1 + abs(truth[size_t(to)]);
        const double worst = max(abs(got - truth[size_t(to)]) / scale).item();
        CHECK(worst < 1e-9);
        const Tensor back = convert(*p, got, to, from, x, t);
        CHECK(max(abs(back - truth[size_t(from)]) / (1 + abs(truth[size_t(from)]))).item() < 1e-9);
      }
  }
}

TEST_CASE("in the middle of the process conversions are exact to rounding", "[diffusion]") {
  for (const auto& p : all_processes()) {
    const double t = p->time(0.9);
    for (Output from : kOutputs)
      for (Output to : kOutputs) {
        const Conversion there = conversion(*p, t, from, to), back = conversion(*p, t, to, from);
        INFO(p->name() << ": " << output_name(from) << " to " << output_name(to));
        CHECK(there.of_value * back.of_value == Approx(1).epsilon(1e-12));
        CHECK(there.of_x + there.of_value * back.of_x == Approx(0).margin(1e-12 * (1 + std::abs(there.of_x))));
        // by way of a third
        for (Output via : kOutputs) {
          const Conversion first = conversion(*p, t, from, via), second = conversion(*p, t, via, to);
          CHECK(second.of_x + second.of_value * first.of_x ==
                Approx(there.of_x).epsilon(1e-12).margin(1e-12 * (1 + std::abs(second.of_x))));
          CHECK(second.of_value * first.of_value == Approx(there.of_value).epsilon(1e-12));
        }
      }
    const double a = p->a(t), b = p->b(t), W = p->wronskian(t);
    CHECK(denoised_error(*p, t, Output::denoised) == 1);
    CHECK(denoised_error(*p, t, Output::noise) == Approx(b * b / (a * a)));
    CHECK(denoised_error(*p, t, Output::score) == Approx(std::pow(b * b / a, 2)));
    CHECK(denoised_error(*p, t, Output::v) == Approx(std::pow(b / (a * a + b * b), 2)));
    CHECK(denoised_error(*p, t, Output::velocity) == Approx(b * b / (W * W)));
  }
}

TEST_CASE("conversions at the ends: what follows is given, what does not is refused", "[diffusion]") {
  FlowMatching fm;  // at t = 1 nothing of x_0 is left, at t = 0 no noise
  CHECK(conversion(fm, 1, Output::velocity, Output::denoised).of_value == -1);
  CHECK(conversion(fm, 1, Output::denoised, Output::noise).of_x == 1);
  CHECK_THROWS_AS(conversion(fm, 1, Output::noise, Output::denoised), ValueError);
  CHECK_THROWS_AS(conversion(fm, 0, Output::denoised, Output::noise), ValueError);
  CHECK(conversion(fm, 0, Output::noise, Output::denoised).of_x == 1);
  CHECK(conversion(Edm(), 0, Output::score, Output::denoised).of_x == 1);
  const Tensor x = normal({2, 3}, 1);
  CHECK_THROWS_AS(convert(fm, normal({2, 2}, 1), Output::noise, Output::score, x, times({0.1, 0.2})), ShapeError);
  CHECK_THROWS_AS(convert(fm, x, Output::noise, Output::score, x, times({0.1})), ShapeError);
  CHECK_THROWS_AS(add_noise(fm, x, normal({2, 2}, 1), times({0.1, 0.2})), ShapeError);
  // and gradients pass: d D / d u = -t
  Tensor u = normal({2, 3}, 2).requires_grad_();
  convert(fm, u, Output::velocity, Output::denoised, x, times({0.25, 0.5})).sum().backward();
  CHECK(values(u.grad()) == Values{-0.25, -0.25, -0.25, -0.5, -0.5, -0.5});
}

TEST_CASE("a process can be saved by name, and one's own can be written", "[diffusion]") {
  for (const auto& p : all_processes()) {
    const auto again = make_process(p->name(), p->constants());
    const double t = 0.4003 * p->end();
    CHECK(again->a(t) == p->a(t));
    CHECK(again->b(t) == p->b(t));
    CHECK(again->end() == p->end());
  }
  CHECK_THROWS_AS(make_process("custom", {}), NotSupported);
  CHECK_THROWS_AS(make_process("vp", {1}), ValueError);
  CHECK_THROWS_AS(VarianceExploding(0, 1), ValueError);
  CHECK_THROWS_AS(VariancePreserving(2, 1), ValueError);
  CHECK_THROWS_AS(Edm(-1), ValueError);
  struct Circle : Process {  // cos and sin: the variance-preserving path of constant speed
    double a(double t) const override { return std::cos(t * M_PI / 2); }
    double b(double t) const override { return std::sin(t * M_PI / 2); }
    double da(double t) const override { return -std::sin(t * M_PI / 2) * M_PI / 2; }
    double db(double t) const override { return std::cos(t * M_PI / 2) * M_PI / 2; }
  } circle;
  CHECK(circle.time(1) == Approx(0.5));
  CHECK(circle.wronskian(0.3) == Approx(M_PI / 2));
  // its velocity is the angular v times pi / 2
  CHECK(conversion(circle, 0.3, Output::v, Output::velocity).of_value == Approx(M_PI / 2));
  CHECK(conversion(circle, 0.3, Output::v, Output::velocity).of_x == Approx(0).margin(1e-15));
}

TEST_CASE("a start that is not noise is warned of, with a(T)", "[diffusion]") {
  const Tensor z = normal({2, 2}, 1);
  Warnings heard;
  for (const auto& p : all_processes())
    if (p->name() != "ddpm") prior_sample(*p, z, p->end());
  CHECK(heard.texts.empty());
  CHECK(values(prior_sample(Edm(), z, 80)) == values(z * 80));
  prior_sample(Ddpm(std::vector<double>(50, 0.01)), z, 50);
  REQUIRE(heard.texts.size() == 1);
  CHECK_THAT(heard.texts[0], contains("a(t) = 0.778"));
  prior_sample(Edm(), z, 2);
  CHECK(heard.texts.size() == 2);
}

TEST_CASE("the mixture's denoiser, score and density belong together", "[diffusion]") {
  const Mixture law = three();
  for (double s : {0., 0.05, 0.7, 9.}) {
    Tensor x = normal({4, 2}, 3).requires_grad_();
    const Tensor sigma = full({4}, s, f64);
    // score = gradient of the log density; D = x + sigma^2 score (Tweedie)
    const Tensor g = grad(sum(law.log_density(x, sigma)), x), score = law.score(x, sigma).detach();
    CHECK(difference(score, g) < 1e-12);
    CHECK(difference(law(x, sigma).detach(), (x + s * s * score).detach()) < 1e-12);
  }
  // one Gaussian: D = (s^2 x + sigma^2 m) / (s^2 + sigma^2)
  const Tensor m = from_data({1, -2}, {2}, f64), x = normal({5, 2}, 4);
  const Tensor D = gaussian(m, 0.5)(x, full({5}, 2., f64));
  CHECK(difference(D, (0.25 * x + 4 * m) / 4.25) < 1e-14);
  // and its density integrates to one on a grid
  const Tensor grid = linspace(-6, 6, 241, f64);
  const Tensor xy = stack({repeat_interleave(grid, 241, 0), repeat(grid, {241})}, 1);
  CHECK(sum(exp(law.log_density(xy, full({241 * 241}, 0.3, f64)))).item() * 0.0025 == Approx(1).epsilon(1e-9));
  CHECK(check_twice([&](const Tensor& y) { return law(y, full({3}, 0.6, f64)); }, normal({3, 2}, 5)) == "");
  CHECK_THROWS_AS(law(normal({3, 3}, 1), full({3}, 1., f64)), ShapeError);
  CHECK_THROWS_AS(law(normal({3, 2}, 1), full({2}, 1., f64)), ShapeError);
  CHECK_THROWS_AS(gaussian(m, -1), ValueError);
}

TEST_CASE("a finite set: the weighted mean of its points, the nearest one without noise", "[diffusion]") {
  const Tensor points = from_data({0, 0, 3, 0, 0, 4}, {3, 2}, f64);
  const Mixture law = finite_set(points);
  const Tensor x = from_data({1, 1, 2.9, 0.2, 100, 300}, {3, 2}, f64);
  const Tensor D = law(x, full({3}, 1.5, f64));
  const double w0 = std::exp(-2 / 4.5), w1 = std::exp(-5 / 4.5), w2 = std::exp(-10 / 4.5);
  CHECK(D[0][0].item() == Approx(3 * w1 / (w0 + w1 + w2)));
  CHECK(D[0][1].item() == Approx(4 * w2 / (w0 + w1 + w2)));
  CHECK(values(law(x, zeros({3}, f64))) == Values{0, 0, 3, 0, 0, 4});
  CHECK(all(isfinite(law(x, full({3}, 1e-6, f64)))).item<bool>());
}

TEST_CASE("classes of a mixture, and samples of it", "[diffusion]") {
  Mixture law = three();
  law.labels = from_data({0, 1, 1}, {3}, i64);
  const Tensor x = normal({3, 2}, 6), sigma = full({3}, 0.8, f64), cond = from_data({0, 1, -1}, {3}, i64);
  const Tensor D = law(x, sigma, cond);
  CHECK(difference(D[0], gaussian(law.means[0], 0.3)(x, sigma)[0]) < 1e-14);
  CHECK(difference(D[2], law(x, sigma)[2]) < 1e-14);
  // Bayes: p(x) = sum over classes of P(c) p(x | c)
  const Tensor both =
      exp(law.log_density(x, sigma, zeros({3}, i64))) / 6 + exp(law.log_density(x, sigma, ones({3}, i64))) * 5 / 6;
  CHECK(difference(both, exp(law.log_density(x, sigma))) < 1e-13);
  CHECK_THROWS_AS(law(x, sigma, full({3}, 7, i64)), ValueError);
  CHECK_THROWS_AS(three()(x, sigma, cond), ValueError);
  Generator g(1);
  const Tensor s = law.sample(20000, &g), mean = s.mean({0});
  CHECK(mean[0].item() == Approx((-1 + 2 * 1 + 3 * 0.2) / 6).margin(0.03));
  CHECK(mean[1].item() == Approx((0.5 + 2 * 1 - 3 * 1.4) / 6).margin(0.03));
}

TEST_CASE("predict goes to EDM's frame and back, also where nothing of the data is left", "[diffusion]") {
  const Mixture law = three();
  const Tensor m = from_data({1, -2}, {2}, f64);
  for (const auto& p : all_processes()) {
    const Tensor t = times({0.3003 * p->end(), 0.7 * p->end()}), x = normal({2, 2}, 8);
    const Tensor a = per_sample([&](double s) { return p->a(s); }, t, x),
                 b = per_sample([&](double s) { return p->b(s); }, t, x);
    // a Gaussian's law under noise is N(a m, a^2 s^2 + b^2): its score needs no frame
    const Tensor score = predict(*p, gaussian(m, 0.5), Output::score, x, t);
    INFO(p->name());
    CHECK(difference(score, (a * m - x) / (square(a) * 0.25 + square(b))) < 1e-12);
  }
  const Tensor x = normal({2, 2}, 9), end = times({1, 1});
  const Tensor u = predict(FlowMatching(), law, Output::velocity, x, end);  // eps - E[x_0] there
  const Tensor mean = sum(exp(law.log_weights).unsqueeze(1) * law.means, {0}) / 6;
  CHECK(difference(u, x - mean) < 1e-7);
}

TEST_CASE("preconditioners: algebra of table 1", "[diffusion]") {
  const EdmPreconditioner edm(0.7);
  for (double sigma : {0.002, 0.3, 5., 80.}) {
    const Preconditioning c = edm.at(sigma);
    const double sd2 = 0.49, s2 = sigma * sigma;
    CHECK(c.in * c.in * (sd2 + s2) == Approx(1));  // variance of the input
    // the target (x_0 - c_skip (x_0 + sigma eps)) / c_out has variance 1
    CHECK((std::pow(1 - c.skip, 2) * sd2 + c.skip * c.skip * s2) / (c.out * c.out) == Approx(1));
    CHECK(c.weight() == Approx((s2 + sd2) / (s2 * sd2)));
    CHECK(c.noise == Approx(std::log(sigma) / 4));
    // no other c_skip would do with a smaller c_out
    for (double skip : {c.skip - 0.01, c.skip + 0.01})
      CHECK(std::pow(1 - skip, 2) * sd2 + skip * skip * s2 > c.out * c.out);
    const Preconditioning one = EdmPreconditioner(1).at(sigma), v = VPredictionPreconditioner().at(sigma);
    CHECK(one.skip == Approx(v.skip));
    CHECK(one.in == Approx(v.in));
    CHECK(one.out == Approx(-v.out));  // EDM's F is -v
    CHECK(VpPreconditioner().at(sigma).noise == Approx(999 * VariancePreserving().time(sigma)));
    CHECK(VePreconditioner().at(sigma).noise == Approx(std::log(sigma / 2)));
  }
  CHECK(edm.at(0).skip == 1);
  CHECK(edm.at(0).out == 0);
  CHECK(std::isfinite(edm.at(0).noise));
  CHECK_THROWS_AS(EdmPreconditioner(0), ValueError);
}

TEST_CASE("iDDPM's grid by EDM's recursion is the cosine table, and c_noise its nearest row", "[diffusion]") {
  const int64_t M = 1000;
  std::vector<double> u(M + 1);
  auto A = [&](int64_t j) { return std::pow(std::sin(M_PI * double(j) / (2 * M * 1.008)), 2); };
  for (int64_t j = M; j > 0; --j)
    u[size_t(j - 1)] = std::sqrt((u[size_t(j)] * u[size_t(j)] + 1) / std::max(A(j - 1) / A(j), 0.001) - 1);
  const DdpmPreconditioner pre;
  for (int64_t j : {0, 8, 400, 998, 999}) {
    CHECK(pre.process.sigma(double(M - j)) == Approx(u[size_t(j)]).epsilon(1e-9));
    CHECK(pre.at(u[size_t(j)]).noise == double(M - 1 - j));
  }
  for (double sigma : {0.003, 0.02, 0.7, 30., 1e5}) {
    int64_t best = 0;
    for (int64_t j = 0; j < M; ++j)  // u_M = 0 is no step
      if (std::abs(u[size_t(j)] - sigma) < std::abs(u[size_t(best)] - sigma)) best = j;
    CHECK(pre.at(sigma).noise == double(M - 1 - best));
  }
}

TEST_CASE("a network that predicts what its preconditioner says is the denoiser", "[diffusion]") {
  const Mixture law = three();
  const Tensor x = normal({4, 2}, 10), sigma = times({0.01, 0.4, 3, 60}), D = law(x, sigma);
  const VariancePreserving vp;
  const FlowMatching fm;
  auto of = [&](const Process& p, Output output, const Tensor& s) {  // the output at noise levels s, in p's own frame
    const Tensor t = reshape(per_sample([&](double v) { return p.time(v); }, s, x), {-1});
    return predict(p, law, output, per_sample([&](double v) { return p.a(v); }, t, x) * x, t);
  };
  struct Case {
    std::unique_ptr<Preconditioner> pre;
    Tensor target;
  };
  std::vector<Case> cases;
  cases.push_back({std::make_unique<EdmPreconditioner>(1), -of(vp, Output::v, sigma)});
  cases.push_back({std::make_unique<VPredictionPreconditioner>(), of(vp, Output::v, sigma)});
  cases.push_back({std::make_unique<VpPreconditioner>(), of(vp, Output::noise, sigma)});
  cases.push_back({std::make_unique<VePreconditioner>(), (D - x) / unsqueeze(sigma, 1)});
  cases.push_back({std::make_unique<DdpmPreconditioner>(), of(vp, Output::noise, sigma)});
  cases.push_back({std::make_unique<FlowPreconditioner>(), of(fm, Output::velocity, sigma)});
  for (const Case& c : cases) {
    INFO(c.pre->name());
    Tensor seen, noise;
    auto network = [&](const Tensor& in, const Tensor& n, const Tensor&) {
      seen = in, noise = n;
      return c.target;
    };
    const Tensor got = NetworkDenoiser{*c.pre, network, f64}(x, sigma);
    CHECK(max(abs(got - D)).item() < 1e-11);
    for (int64_t i = 0; i < 4; ++i) {
      const Preconditioning k = c.pre->at(sigma[i].item());
      CHECK(noise[i].item() == k.noise);
      CHECK(difference(seen[i], x[i] * k.in) < 1e-15);
    }
    // the network runs in its own dtype, and D has x's
    auto single = [&](const Tensor& in, const Tensor& n, const Tensor&) {
      CHECK(in.dtype() == f32);
      CHECK(n.dtype() == f32);
      return to(c.target, f32);
    };
    CHECK(NetworkDenoiser{*c.pre, single}(x, sigma).dtype() == f64);
    const auto again = make_preconditioner(c.pre->name(), c.pre->constants());
    CHECK(again->at(0.3).noise == c.pre->at(0.3).noise);
    CHECK(again->at(0.3).skip == c.pre->at(0.3).skip);
  }
  auto wrong = [&](const Tensor& in, const Tensor&, const Tensor&) { return in.sum({1}); };
  CHECK_THROWS_AS((NetworkDenoiser{*cases[0].pre, wrong}(x, sigma)), ShapeError);
  CHECK_THROWS_AS(make_preconditioner("nothing", {}), NotSupported);
}

TEST_CASE("for Gaussian data of that deviation EDM's best F is 0 and its loss 1 at every level", "[diffusion]") {
  const double sd = 0.5;
  const Mixture law = gaussian(zeros({2}, f64), sd);
  for (double s : {0.01, 0.5, 20.}) {
    const Tensor x = normal({3, 2}, 11), sigma = full({3}, s, f64);
    const Preconditioning c = EdmPreconditioner(sd).at(s);
    CHECK(max(abs((law(x, sigma) - c.skip * x) / c.out)).item() < 1e-13);
    CHECK(c.weight() * sd * sd * s * s / (sd * sd + s * s) == Approx(1));
  }
}

TEST_CASE("a sigma_data that is not the data's is warned of", "[diffusion]") {
  const Tensor data = normal({1000, 2}, 12);
  Warnings heard;
  check_sigma_data(1, data);
  check_sigma_data(1.9, data);
  CHECK(heard.texts.empty());
  check_sigma_data(2.5, data);
  check_sigma_data(0.3, data);
  CHECK(heard.texts.size() == 2);
}
