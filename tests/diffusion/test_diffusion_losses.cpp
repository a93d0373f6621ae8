// Losses of diffusion models against closed forms and against each other; noise laws; steps drawn by importance.
#include <cmath>

#include "autograd/graph/engine.h"
#include "autograd/graph/mode.h"
#include "nn/diffusion/losses.h"
#include "nn/diffusion/nets/mlp.h"
#include "nn/diffusion/toy.h"
#include "optim/adam.h"
#include "optim/ema.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::diffusion;
using namespace ink::test;

namespace {

Tensor numbers(const std::vector<double>& v) {
  return from_data(std::span<const double>(v), {int64_t(v.size())}).to(default_device());
}

// The share of draws below each sigma against the integral of the density over ln sigma.
void check_law(const NoiseLaw& law, double low, double high) {
  Generator generator(5);
  const int64_t n = 20000;
  const std::vector<double> draws = law.draw(n, &generator).to_vector<double>();
  double below_low = 0;
  for (double s : draws) below_low += s < low;
  double integral = below_low / double(n), worst = 0, last = low;
  for (int i = 1; i <= 400; ++i) {
    const double s = low * std::pow(high / low, i / 400.);
    integral += law.density(std::sqrt(s * last)) * std::log(s / last), last = s;
    double below = 0;
    for (double d : draws) below += d < s;
    worst = std::max(worst, std::abs(below / double(n) - integral));
  }
  CHECK(worst < 0.015);  // Kolmogorov's bound at this n: 0.0115 for 1 %
}

// The mean of a loss over samples, and whether it is within four standard errors of what it should be.
void check_mean(const Tensor& losses, double expected) {
  const double mean = losses.mean().item(),
               error = std::sqrt(square(losses - mean).mean().item() / double(losses.numel()));
  INFO("mean " << mean << " expected " << expected << " error " << error);
  CHECK(std::abs(mean - expected) < 4 * error + 1e-12);
}

struct Noisy {
  Tensor x0, eps;
};
Noisy gaussian_data(int64_t n, double s) { return {normal({n, 2}, 1) * s, normal({n, 2}, 2)}; }

}  // namespace

TEST_CASE("noise laws draw what their densities say", "[diffusion]") {
  VariancePreserving vp;
  FlowMatching flow;
  const Ddpm ddpm(BetaSchedule::cosine, 1000);
  check_law(LogNormalNoise(), 0.002, 80);
  check_law(LogUniformNoise(), 0.015, 110);
  check_law(UniformTimeNoise(vp, 1e-5), 1e-3, 150);
  check_law(UniformTimeNoise(flow), 1e-3, 1e3);
  check_law(StepNoise(ddpm), 1e-2, 1e3);
  check_law(LogitNormalNoise(0.3, 0.8), 1e-2, 1e2);
  CHECK(LogUniformNoise(1, 2).density(0.5) == 0);
  CHECK(UniformTimeNoise(vp, 0.5).density(vp.sigma(0.4)) == 0);
  // flow matching with uniform times: t (1 - t) in ln sigma
  CHECK(UniformTimeNoise(flow).density(3) == Approx(0.75 * 0.25));
  Generator a(3), b(3);
  const Tensor z = randn({4}, {f64, Device::cpu()}, &b);
  CHECK(difference(LogitNormalNoise(0.3, 0.8).draw(4, &a), [&] {
          const Tensor t = sigmoid(z * 0.8 + 0.3);
          return t / (1 - t);
        }()) < 1e-13);
  CHECK(LogNormalNoise().draw(0).shape() == Shape{0});
}

TEST_CASE("weights are the errors of the outputs they are named for", "[diffusion]") {
  const VariancePreserving vp;
  const FlowMatching flow;
  for (double t : {0.05, 0.3, 0.9}) {
    CHECK(Weighting{Weight::noise}(vp.sigma(t)) == Approx(1 / denoised_error(vp, t, Output::noise)));
    CHECK(Weighting{Weight::one}(vp.sigma(t)) == Approx(1 / denoised_error(vp, t, Output::denoised)));
    CHECK(Weighting{Weight::v}(vp.sigma(t)) == Approx(1 / denoised_error(vp, t, Output::v)));
    CHECK(Weighting{Weight::velocity}(flow.sigma(t)) == Approx(1 / denoised_error(flow, t, Output::velocity)));
  }
  for (double s : {0.01, 0.5, 30.}) {
    CHECK(Weighting{Weight::edm, 0.7}(s) == Approx(EdmPreconditioner(0.7).at(s).weight()));
    CHECK(Weighting{Weight::velocity}(s) == Approx(FlowPreconditioner().at(s).weight()));
    CHECK(Weighting{Weight::v}(s) == Approx(VPredictionPreconditioner().at(s).weight()));
    // soft-min-SNR: (sigma sd)^2 / (sigma^2 + sd^2)^2 on the error of F
    CHECK(Weighting{Weight::soft_min_snr, 0.7}(s) ==
          Approx(Weighting{Weight::edm, 0.7}(s)*std::pow(s * 0.7 / (s * s + 0.49), 2)));
  }
  CHECK(Weighting{Weight::min_snr, 1, 5}(0.1) == 5);
  CHECK(Weighting{Weight::min_snr, 1, 5}(10) == Approx(0.01));
  for (Weight w : kWeights) {
    INFO(weight_name(w));
    CHECK_THROWS_WITH(Weighting{w}(0), contains("got sigma 0; expected a positive number"));
  }
  CHECK(std::string(weight_name(Weight::soft_min_snr)) == "soft_min_snr");
  CHECK_THROWS_AS(Weighting{}(NAN), ValueError);
}

TEST_CASE("with the exact denoiser of a Gaussian losses stand at their closed-form floors", "[diffusion]") {
  const int64_t n = default_device().is_cpu() ? 20000 : 2000;
  for (double s : {0.5, 2.}) {
    auto [x0, eps] = gaussian_data(n, s);
    const Mixture law = gaussian(zeros({2}, f64), s);
    for (double sigma : {0.05, 0.5, 10.}) {
      const Tensor levels = full({n}, sigma, f64);
      const double floor = s * s * sigma * sigma / (s * s + sigma * sigma);  // of D, per element
      for (Weight w : {Weight::one, Weight::noise, Weight::edm, Weight::velocity}) {
        const Weighting weight{w, s};
        check_mean(denoising_loss(law, x0, eps, levels, weight), weight(sigma) * floor);
      }
      CHECK(Weighting{Weight::edm, s}(sigma)*floor == Approx(1));  // EDM: 1 at every level
    }
  }
  // flow matching: s^2 / ((1 - t)^2 s^2 + t^2), whose integral over t is pi s / 2
  const FlowMatching flow;
  const double s = 0.7;
  auto [x0, eps] = gaussian_data(n, s);
  const Mixture law = gaussian(zeros({2}, f64), s);
  auto velocity = [&](const Tensor& x, const Tensor& t, const Tensor&) {
    return predict(flow, law, Output::velocity, x, t);
  };
  const PredictionLoss loss{flow, Output::velocity, velocity};
  const double t = 0.3;
  check_mean(loss(x0, eps, full({n}, t, f64)), s * s / ((1 - t) * (1 - t) * s * s + t * t));
  std::vector<double> spread;
  for (int64_t i = 0; i < n; ++i) spread.push_back((double(i) + 0.5) / double(n));
  check_mean(loss(x0, eps, numbers(spread)), M_PI * s / 2);
}

TEST_CASE("prediction losses of all outputs are denoising losses with a weight", "[diffusion]") {
  const Mixture wrong = gaussian(full({2}, 0.4, f64), 0.6);  // a denoiser of another law: errors are not at a floor
  auto [x0, eps] = gaussian_data(5, 1);
  const Tensor t = numbers({0.02, 0.3, 0.5, 0.8, 0.97});
  const VariancePreserving vp;
  const FlowMatching flow;
  const Ddpm ddpm(BetaSchedule::linear, 1000);
  for (const Process* p : {(const Process*)&vp, (const Process*)&flow, (const Process*)&ddpm})
    for (Output output : kOutputs) {
      INFO(p->name() << " " << output_name(output));
      const Tensor times = t * p->end();
      auto network = [&](const Tensor& x, const Tensor& told, const Tensor&) {
        CHECK(equal(told, times));
        return predict(*p, wrong, output, x, times);
      };
      std::vector<double> sigma, scale;
      for (double time : times.to_vector<double>())
        sigma.push_back(p->sigma(time)), scale.push_back(1 / denoised_error(*p, time, output));
      const Tensor direct = denoising_loss(wrong, x0, eps, numbers(sigma), {Weight::one}) * numbers(scale);
      CHECK(difference(PredictionLoss{*p, output, network}(x0, eps, times), direct) < 1e-9);
    }
  // behind a preconditioner, EDM's weight makes it the error of F
  const EdmPreconditioner edm(0.8);
  Tensor seen;
  auto f = [&](const Tensor& x, const Tensor& noise, const Tensor&) { return seen = sin(x * 2) + noise.unsqueeze(1); };
  const Tensor sigma = numbers({0.01, 0.1, 1, 5, 60});
  const NetworkDenoiser denoiser{edm, f, f64};
  const Tensor loss = denoising_loss(denoiser, x0, eps, sigma);
  for (int64_t i = 0; i < 5; ++i) {
    const Preconditioning c = edm.at(sigma[i].item());
    const Tensor target = (x0[i] - (x0[i] + eps[i] * sigma[i]) * c.skip) / c.out;
    CHECK(loss[i].item() == Approx(square(seen[i] - target).mean().item()).epsilon(1e-9));
  }
}

TEST_CASE("min-SNR is one weight of x_0's error, whichever output is trained", "[diffusion]") {
  const Mixture wrong = gaussian(full({2}, 0.4, f64), 0.6);
  auto [x0, eps] = gaussian_data(4, 1);
  const VariancePreserving vp;
  const Tensor t = numbers({0.05, 0.1, 0.4, 0.9});
  std::vector<Tensor> losses;
  for (Output output : {Output::denoised, Output::noise, Output::v}) {
    auto network = [&](const Tensor& x, const Tensor&, const Tensor&) { return predict(vp, wrong, output, x, t); };
    losses.push_back(PredictionLoss{vp, output, network}(x0, eps, t, {}, min_snr_weight(vp, output, t, 5)));
  }
  std::vector<double> sigma;
  for (double time : t.to_vector<double>()) sigma.push_back(vp.sigma(time));
  losses.push_back(denoising_loss(wrong, x0, eps, numbers(sigma), {Weight::min_snr, 1, 5}));
  for (const Tensor& l : losses) CHECK(difference(l, losses[0]) < 1e-10);
  CHECK_THROWS_AS(min_snr_weight(vp, Output::score, t), NotSupported);
  CHECK(min_snr_weight(FlowMatching(), Output::noise, zeros({1}, f64)).item() == 0);  // infinite SNR
}

TEST_CASE("the variational bound: zero for the truth, a KL else, a probability at step 1", "[diffusion]") {
  const Ddpm p(BetaSchedule::linear, 100);
  auto [x0, eps] = gaussian_data(3, 0.5);
  const Tensor n = tensor({2, 40, 100}, i64), x = add_noise(p, x0, eps, n);
  CHECK(abs(vlb_loss(p, x0, x, eps, zeros_like(x0), n)).max().item() < 1e-12);  // q itself: nu = 0 is beta~
  // one element by hand
  const double wrong = 0.3, share = 0.4;
  const Tensor loss = vlb_loss(p, x0, x, eps + wrong, full_like(x0, share), n);
  for (int64_t i = 0; i < 3; ++i) {
    const int64_t step = n[i].item<int64_t>();
    const double beta = p.beta(step), keep = p.alpha_bar(step), before = p.alpha_bar(step - 1);
    const double small = beta * (1 - before) / (1 - keep), var = std::pow(beta, share) * std::pow(small, 1 - share);
    const double shift = wrong * beta / std::sqrt((1 - keep) * (1 - beta));  // of the mean, by eps
    const double kl = (std::log(var / small) - 1 + small / var + shift * shift / var) / 2;
    CHECK(loss[i].item() == Approx(kl / std::log(2.)).epsilon(1e-9));
  }
  // the variance that the bound asks for at a wrong mean is larger than beta~
  Tensor nu = full_like(x0, 0.5);
  nu.requires_grad_();
  vlb_loss(p, x0, x, eps + 3, nu, n).sum().backward();
  CHECK(nu.grad()[1].max().item() < 0);

  // step 1: probabilities of all levels add to 1; as a density it is a normal one
  const int64_t levels = 16;
  const Tensor grid = (arange(0, levels, 1, f64) / double(levels - 1) * 2 - 1).reshape({levels, 1});
  const Tensor first = full({levels}, 1, i64), noisy = full({levels, 1}, 0.21, f64);
  for (double share : {0., 30.}) {
    const Tensor bits =
        vlb_loss(p, grid, noisy, zeros({levels, 1}, f64), full({levels, 1}, share, f64), first, {.levels = levels});
    CHECK(std::abs(exp(-bits * std::log(2.)).sum().item() - 1) < 1e-9);
  }
  const Tensor density = vlb_loss(p, grid, noisy, zeros({levels, 1}, f64), ones({levels, 1}, f64), first);
  const double mean = 0.21 / std::sqrt(1 - p.beta(1)), var = p.beta(1), at = grid[3][0].item();
  CHECK(density[3].item() ==
        Approx((std::log(2 * M_PI * var) + (at - mean) * (at - mean) / var) / (2 * std::log(2.))).epsilon(1e-9));
}

TEST_CASE("the hybrid loss teaches the mean by the simple loss, the variance by the bound", "[diffusion][grad]") {
  const Ddpm p(BetaSchedule::cosine, 200);
  auto [x0, eps] = gaussian_data(3, 0.5);
  const Tensor n = tensor({1, 40, 200}, i64);
  Tensor out = normal({3, 4}, 7) * 0.5;
  out.requires_grad_();
  auto network = [&](const Tensor&, const Tensor&, const Tensor&) { return out; };
  hybrid_loss(p, network, x0, eps, n).mean().backward();
  const Tensor simple = (out.detach().narrow(1, 0, 2) - eps) / 3;  // d/d out of mean |.|^2 over 2 elements, 3 samples
  CHECK(difference(out.grad().narrow(1, 0, 2), simple) < 1e-12);
  CHECK(abs(out.grad().narrow(1, 2, 2)).max().item() > 0);
  auto loss = [&](const Tensor& o) {
    auto net = [&](const Tensor&, const Tensor&, const Tensor&) { return cat({zeros({3, 2}, f64), o}, 1); };
    return hybrid_loss(p, net, x0, eps, n);
  };
  CHECK(check_twice(loss, normal({3, 2}, 8) * 0.5) == "");
  auto narrow_net = [&](const Tensor& x, const Tensor&, const Tensor&) { return x; };
  CHECK_THROWS_WITH(hybrid_loss(p, narrow_net, x0, eps, n), contains("expected twice the channels"));
  CHECK_THROWS_WITH(vlb_loss(p, x0, x0, eps, eps, full({3}, 0, i64)), contains("got step 0; expected 1 to 200"));
  CHECK_THROWS_AS(vlb_loss(p, x0, x0, eps, zeros({3, 1}, f64), n), ShapeError);
  CHECK_THROWS_WITH(vlb_loss(p, x0, x0, eps, eps, n, {.levels = 1}), contains("got 1 levels"));
}

TEST_CASE("steps by importance: uniform until warm, then by the root of the mean square", "[diffusion]") {
  ImportanceSteps steps(4, 2, 0.1);
  const Tensor all = tensor({1, 2, 3, 4}, i64);
  CHECK(steps.probabilities() == std::vector<double>(4, 0.25));
  steps.update(all, from_data({9, 9, 9, 9}, {4}, f64));
  CHECK_FALSE(steps.warmed_up());
  steps.update(all, from_data({3, 0, 1, 2}, {4}, f64));
  CHECK(steps.warmed_up());
  steps.update(all, from_data({4, 0, 1, 2}, {4}, f64));  // the 9s are forgotten
  const double a = std::sqrt(12.5), sum = a + 0 + 1 + 2;
  const std::vector<double> p = steps.probabilities();
  CHECK(p[0] == Approx(a / sum * 0.9 + 0.025));
  CHECK(p[1] == Approx(0.025));
  CHECK(p[3] == Approx(2 / sum * 0.9 + 0.025));
  Generator generator(4);
  const int64_t count = 20000;
  const ImportanceSteps::Draw d = steps.draw(count, &generator);
  for (int64_t i = 0; i < 4; ++i) CHECK(std::abs((d.n == i + 1).to(f64).mean().item() - p[size_t(i)]) < 0.015);
  // the weighted mean of any loss is its mean over the steps
  const Tensor loss = square(d.n.to(f64));
  check_mean(loss * d.weight, 7.5);
  CHECK_THROWS_WITH(steps.update(full({1}, 5, i64), ones({1})), contains("got step 5; expected 1 to 4"));
  CHECK_THROWS_AS(steps.update(all, ones({3})), ShapeError);
  CHECK_THROWS_AS(ImportanceSteps(0), ValueError);
  CHECK_THROWS_AS(ImportanceSteps(3, 0), ValueError);
  CHECK_THROWS_AS(ImportanceSteps(3, 1, 1.5), ValueError);
}

TEST_CASE("derivatives of the losses, halves, and what is refused", "[diffusion][grad][errors]") {
  auto [x0, eps] = gaussian_data(3, 1);
  const Tensor sigma = numbers({0.1, 1, 9});
  const EdmPreconditioner edm(0.5);
  const FlowMatching flow;
  auto through_f = [&](const Tensor& w) {
    auto f = [&](const Tensor& x, const Tensor& noise, const Tensor&) {
      return tanh(matmul(x, w)) * noise.unsqueeze(1);
    };
    return denoising_loss(NetworkDenoiser{edm, f, f64}, x0, eps, sigma);
  };
  CHECK(check_twice(through_f, normal({2, 2}, 4)) == "");
  auto through_flow = [&](const Tensor& w) {
    auto f = [&](const Tensor& x, const Tensor&, const Tensor&) { return tanh(matmul(x, w)); };
    return PredictionLoss{flow, Output::velocity, f}(x0, eps, sigma / 10);
  };
  CHECK(check_twice(through_flow, normal({2, 2}, 4)) == "");
  auto zero = [](const Tensor& x, const Tensor&, const Tensor&) { return zeros_like(x); };
  const Tensor half = denoising_loss(zero, x0.to(f16), eps.to(f16), sigma, {Weight::noise});
  CHECK(half.dtype() == f32);
  CHECK(difference(half.to(f64), denoising_loss(zero, x0, eps, sigma, {Weight::noise})) < 2e-3);
  CHECK_THROWS_AS(denoising_loss(zero, x0, eps, zeros({2}, f64), {}), ShapeError);
  CHECK_THROWS_AS(denoising_loss(zero, x0, eps.narrow(0, 0, 1), sigma, {}), ShapeError);
  CHECK_THROWS_WITH(denoising_loss(zero, x0, eps, zeros({3}, f64), {}), contains("got sigma 0"));
  auto wide = [](const Tensor& x, const Tensor&, const Tensor&) { return cat({x, x}, 1); };
  CHECK_THROWS_WITH((PredictionLoss{flow, Output::velocity, wide}(x0, eps, sigma / 10)),
                    contains("the network returned [3, 4]; expected [3, 2]"));
  CHECK_THROWS_AS(LogNormalNoise(0, 0), ValueError);
  CHECK_THROWS_AS(LogUniformNoise(2, 1), ValueError);
  CHECK_THROWS_AS(UniformTimeNoise(flow, 0, 1.1), ValueError);
}

TEST_CASE("EDM on a mixture: the loss of a small net goes most of the way to its floor", "[diffusion]") {
  if (!default_device().is_cpu()) return;  // thousands of small kernels
  manual_seed(1);
  const Mixture law = three_gaussians();
  const double sd = measure_sigma_data(law.sample(4000));
  const EdmPreconditioner edm(sd);
  PointNet net({.width = 32, .hidden = 2, .noise = {.features = 16, .scale = 16}});
  Adam optimizer(net.parameters(), {.lr = 5e-3});
  auto f = [&](const Tensor& x, const Tensor& noise, const Tensor&) { return net.forward(x, noise); };
  const NetworkDenoiser denoiser{edm, f};
  const LogNormalNoise noise;
  auto loss = [&](int64_t n, auto&& d) {
    const Tensor x0 = law.sample(n).to(f32), sigma = noise.draw(n);
    return denoising_loss(d, x0, randn({n, 2}), sigma, Weighting{Weight::edm, sd}).mean();
  };
  for (int step = 0; step < 400; ++step) {
    optimizer.zero_grad();
    loss(128, denoiser).backward();
    optimizer.step();
  }
  NoGrad guard;
  const double floor = loss(20000, law).item(), got = loss(20000, denoiser).item();
  INFO("loss " << got << " floor " << floor);
  CHECK(got < floor + 0.4 * (1 - floor));  // a net of zeros is near 1
  CHECK(got > floor - 0.03);
}
